"""A websocket that reconnects by itself, over sockets with a total deadline."""
