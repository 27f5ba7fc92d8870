"""Sources of the list of tasks, one per module."""
