"""The label of the containers that the agent creates on a Docker engine."""

from __future__ import annotations

LABEL = "com.microscaling.microscaling-in-a-box"
"""Marks our containers; its value is the task's name."""
