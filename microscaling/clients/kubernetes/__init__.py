"""The API server of Kubernetes, and how to log in to it."""
