"""`make swarm`: a real Swarm of three managers on this machine, and what may happen to it."""
