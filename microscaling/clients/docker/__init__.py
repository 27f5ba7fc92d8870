"""The Docker engine: its address, connection, errors and images."""
