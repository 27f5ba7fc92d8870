"""The control socket, and the commands that use it."""
