"""The form of a configuration: its sections, keys and values, and their errors."""
