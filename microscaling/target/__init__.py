"""The rules that decide how many containers a task needs: one module for each."""
