"""What an agent says of its own tasks."""
