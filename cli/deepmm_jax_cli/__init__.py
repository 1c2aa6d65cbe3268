"""The `deepmm-jax` command: parse, call the library, write, summarise."""
