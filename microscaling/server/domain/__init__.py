"""The users of the server and their tasks, and the decisions for them. Nothing here does I/O."""
