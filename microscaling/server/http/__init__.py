"""What the server answers: agents, browsers, tools."""
