"""Demand engines: the decision how many containers each task should have."""
