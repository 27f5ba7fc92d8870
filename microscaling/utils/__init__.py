"""Leaf helpers, without knowledge of tasks, engines or schedulers."""
