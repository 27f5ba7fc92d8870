"""The Docker engine: where it is, how to reach it, its errors and images."""
