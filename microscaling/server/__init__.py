"""The self-hosted counterpart of the agents, for configuration and demand, with a live page."""
