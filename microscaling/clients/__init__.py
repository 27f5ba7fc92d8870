"""Clients of what is outside this process: HTTP, Docker, Kubernetes, registries, websockets."""
