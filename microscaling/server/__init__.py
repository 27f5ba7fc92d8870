"""The self-hosted counterpart of the agents ("Microscaling-in-a-Box"): configuration, demand, a live page."""
