"""Deployments of Kubernetes."""
