"""Schedulers: they start and stop containers until the demand is met. One module for each backend."""
