"""Real job frameworks, and what is measured of their queues in every state."""
