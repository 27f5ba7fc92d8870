"""The decision in virtual time, against queues that are simulated."""
