"""TCP connections with a total deadline."""
