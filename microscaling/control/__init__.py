"""The control socket of an agent, and the commands that ask it: `status` and `explain`."""
