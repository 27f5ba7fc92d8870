"""`microscaling check`: looks at a configuration and at all that it needs, and touches nothing."""
