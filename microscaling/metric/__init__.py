"""How each task does: one module a source of measurements."""
