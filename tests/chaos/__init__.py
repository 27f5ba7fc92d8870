"""Faults at random, on real parts, and invariants that are looked at from outside."""
