"""Clients of other processes: HTTP, Docker, Kubernetes, registries, websockets."""
