"""Reloads under load on a real engine: `make reload-storm`."""
