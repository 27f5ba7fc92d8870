"""Destinations of the reports on the tasks: one module for each."""
