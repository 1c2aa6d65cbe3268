"""Evidence at points between voxels."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from deepmm_jax.evidence.volumes import Evidence, TypedPoints


def interpolate(volume: np.ndarray, grid_positions: Float[np.ndarray, "n 3"]) -> np.ndarray:
    """Trilinear interpolation of a volume (nx, ny, nz) or (nx, ny, nz, channels) at fractional grid positions.

    Returns (n,) or (n, channels); beyond the volume its edge values count.
    """
    last = np.array(volume.shape[:3]) - 1
    place = np.clip(grid_positions, 0, last)
    low = np.minimum(place.astype(int), np.maximum(last - 1, 0))
    fraction = (place - low).astype(np.float32)
    total = np.zeros((len(place), *volume.shape[3:]), np.float32)
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, fraction, 1 - fraction), axis=1)
        i, j, k = np.minimum(low + corner, last).T
        total += weight.reshape(-1, *(1,) * (volume.ndim - 3)) * volume[i, j, k]
    return total


def type_points(evidence: Evidence, positions: Float[np.ndarray, "n 3"]) -> TypedPoints:
    """Cα probability, amino-acid and secondary-structure probabilities at positions (Å) (section 2.4).

    Where a network has no type heads the probabilities are uniform, so that types count for nothing.
    """
    grid = ((positions - evidence.origin) / evidence.step).astype(np.float32)

    def types(volume: np.ndarray | None, channels: int) -> np.ndarray:
        if volume is None:
            return np.full((len(grid), channels), 1 / channels, np.float32)
        values = interpolate(volume, grid)
        return values / values.sum(axis=1, keepdims=True)

    return TypedPoints(
        positions=positions.astype(np.float32),
        calpha=np.clip(interpolate(evidence.calpha, grid), 0, 1),
        amino_acids=types(evidence.amino_acids, 20),
        secondary_structure=types(evidence.secondary_structure, 3),
    )


def calpha_peaks(evidence: Evidence, threshold: float = 0.2) -> Float[np.ndarray, "n 3"]:
    """Positions (Å) of the maxima of the Cα probability among their 26 neighbours, refined to below a voxel.

    Each peak is moved to the centre of mass of the probability in its 3³ neighbourhood.
    """
    padded = np.pad(evidence.calpha, 1)
    neighbourhood = np.stack(list(_shifted(padded, evidence.calpha.shape)))
    # Of equal neighbours the first is the peak: a Cα halfway between two voxels must not count twice.
    first = (evidence.calpha > neighbourhood[:13].max(axis=0)) & (evidence.calpha >= neighbourhood[14:].max(axis=0))
    peak = first & (evidence.calpha > threshold)
    moves = np.array(list(np.ndindex(3, 3, 3)), np.float32) - 1
    weights = neighbourhood[:, peak]
    shift = weights.T @ moves / weights.sum(axis=0)[:, None]
    return (evidence.origin + (np.argwhere(peak) + shift) * evidence.step).astype(np.float32)


def _shifted(padded: np.ndarray, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    for i, j, k in np.ndindex(3, 3, 3):
        yield padded[i : i + shape[0], j : j + shape[1], k : k + shape[2]]
