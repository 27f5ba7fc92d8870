"""The server's data on disk: settings and history."""
