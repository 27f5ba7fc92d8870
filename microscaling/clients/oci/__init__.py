"""Registries of images (OCI distribution): names, logins, configuration of an image."""
