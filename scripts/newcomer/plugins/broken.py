"""A plugin that cannot be imported."""

raise RuntimeError("this one is\nbroken")
