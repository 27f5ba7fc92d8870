"""Benchmarks: us, the alternatives and the floor, side by side, on one engine, in one run."""
