"""What the server knows of its users and their tasks, and how it decides for them."""
