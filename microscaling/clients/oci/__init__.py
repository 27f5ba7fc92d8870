"""Registries of images (OCI distribution): names, logins, and the configuration of an image."""
