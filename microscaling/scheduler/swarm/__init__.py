"""Services of a Docker Swarm."""
