"""Densities that look like experimental maps, one effect a module; docs/simulator.md explains them."""
