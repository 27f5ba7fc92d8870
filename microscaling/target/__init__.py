"""The rules by which a task's need is judged: one module a rule."""
