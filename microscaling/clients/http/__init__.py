"""HTTP with a total deadline, and what belongs to its URLs, proxies and bodies."""
