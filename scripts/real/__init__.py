"""The simulator's prediction beside what happened: `make decisions`."""
