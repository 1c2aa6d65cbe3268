"""A sum of Gaussians over atoms, written as the formula stands."""

import numpy as np


def gaussian_sum(points: np.ndarray, positions: np.ndarray, weights: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Σ_a weight_a exp(-|x - x_a|² / width_a²) at points (n, 3), every atom at every point."""
    out = np.zeros(len(points))
    for position, weight, width in zip(positions.astype(float), weights, widths, strict=True):
        out += weight * np.exp(-((points - position) ** 2).sum(axis=1) / float(width) ** 2)
    return out


def voxels(shape: tuple[int, ...]) -> np.ndarray:
    """Indices of all voxels in C order, shape (n, 3)."""
    return np.array(list(np.ndindex(*shape)))
