"""Chaos on a Swarm: faults at random, three agents, and what must hold all the while."""
