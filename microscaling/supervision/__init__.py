"""The agent and its supervisors: health file, systemd, signals, privileges."""
