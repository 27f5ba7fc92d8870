"""A websocket that connects again by itself, over sockets with a total deadline."""
