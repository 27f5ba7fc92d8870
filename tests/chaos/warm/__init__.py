"""Chaos with containers that are started ahead, frozen, and told go."""
