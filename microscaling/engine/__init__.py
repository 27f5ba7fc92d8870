"""What decides how many containers each task should have."""
