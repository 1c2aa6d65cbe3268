"""Density maps: files, placement, resampling, scaling, simulation."""

from deepmm_jax.density.map import DensityMap as DensityMap
