"""What makes the demand come true: one module a backend."""
