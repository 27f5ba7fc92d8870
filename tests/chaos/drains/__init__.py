"""Chaos with containers that drain: they are at work when they are to go."""
