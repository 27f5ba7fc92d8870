"""Processes of this machine in place of containers."""
