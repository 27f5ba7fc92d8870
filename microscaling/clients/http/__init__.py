"""HTTP with a total deadline, its proxies, bodies and pauses."""
