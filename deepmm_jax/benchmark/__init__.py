"""Suites of targets whose structure is known, measured one by one, here or on a cluster."""
