"""Chaos with containers that are frozen in place of being stopped."""
