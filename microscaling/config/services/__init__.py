"""The tasks in the labels of a person's own services, such as those of a Compose file."""
