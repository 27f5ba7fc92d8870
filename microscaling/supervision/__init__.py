"""What an agent tells those who supervise it, and what they tell it: health, systemd, signals."""
