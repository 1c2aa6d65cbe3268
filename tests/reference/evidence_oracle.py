"""Equation 1, the nearest Cα and pooled types by looking at every atom or place from every voxel."""

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


def pool_types(volume: np.ndarray, places: np.ndarray, radius: float) -> np.ndarray:
    """Weighted geometric mean of the types of all voxels within a radius of each place (voxels), normalised."""
    shape = volume.shape[:3]
    inside = np.clip(places, 0, np.array(shape) - 1)
    apart = distances(inside, shape).reshape(-1, len(places))
    weights = np.where(apart <= radius, np.exp(-(apart**2) / 1.5**2), 0.0)
    logs = np.log(np.maximum(volume.reshape(-1, volume.shape[-1]).astype(float), 1e-4))
    mean = np.exp((weights[:, :, None] * logs[:, None]).sum(axis=0) / weights.sum(axis=0)[:, None])
    return mean / mean.sum(axis=1, keepdims=True)
