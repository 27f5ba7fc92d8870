"""The consumers of a queue, as its source lists them, and whether each has a job."""
