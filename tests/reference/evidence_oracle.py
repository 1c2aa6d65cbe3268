"""Equation 1 and the nearest Cα by looking at every atom from every voxel."""

import numpy as np

from reference.density_oracle import voxels


def distances(positions: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Distance of every atom (n, 3; voxels) from every voxel, shape (nx, ny, nz, n)."""
    apart = voxels(shape)[:, None] - positions.astype(float)[None]
    return np.linalg.norm(apart, axis=-1).reshape(*shape, len(positions))


def atom_probability(positions: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Equation 1 with the maximum over atoms: exp(-d²/r_0²) within r_cut = 2 Å, r_0 = 1 Å."""
    d = distances(positions, shape)
    return np.where(d <= 2.0, np.exp(-(d**2)), 0.0).max(axis=-1)
