"""The metrics of an agent for Prometheus, at an address of its own. Imported only if they are switched on."""
