"""Leaf helpers: they know nothing of tasks, engines or schedulers."""
