"""Replicas that an orchestrator runs: the agent asks for their number."""
