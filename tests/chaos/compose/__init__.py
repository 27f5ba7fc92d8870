"""Faults at random with a Compose project whose services the agent scales, and a person who uses Compose."""
