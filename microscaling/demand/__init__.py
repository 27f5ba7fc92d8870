"""What is wanted of each service, and the capacity that they share."""
