"""The demand for each service, and the capacity that they share."""
