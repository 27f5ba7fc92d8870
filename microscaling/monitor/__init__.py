"""Where the state of the tasks is told: one module a destination."""
