"""What `microscaling check` finds."""
