"""Where the list of tasks comes from: one module a source."""
