"""Services of Docker Compose, scaled by copies of the containers that Compose made."""
