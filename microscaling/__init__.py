"""Microscaling: shares a fixed number of containers between services, by priority."""

__version__ = "1.0.0"
