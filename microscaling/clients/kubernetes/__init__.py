"""The API server of Kubernetes: requests and login."""
