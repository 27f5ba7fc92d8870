"""Containers that the agent creates, starts, stops and removes by itself."""
