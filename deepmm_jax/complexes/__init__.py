"""Several chains in one map."""
