"""The HTTP side of the server: for agents, browsers and programs."""
