"""Evidence at points between voxels: Cα probability and pooled types at given positions, peaks of Cα (section 2.4)."""

from collections.abc import Iterator
from itertools import product

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree

from deepmm_jax.config import TypingConfig
from deepmm_jax.evidence.volumes import Evidence, TypedPoints


POOL_WIDTH = 1.5
"""Voxels are pooled with weight exp(-d²/POOL_WIDTH²), the weight with which types are learnt, Å."""
LEAST_PROBABILITY = 1e-4
"""A type is not believed to be less likely than this in any one voxel."""


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


def pool_types(
    volume: Float[np.ndarray, "nx ny nz c"],
    grid_positions: Float[np.ndarray, "n 3"],
    radius: float,
) -> Float[np.ndarray, "n c"]:
    """Types at fractional grid positions: the geometric mean over the voxels within `radius` voxels, normalised.

    A voxel at distance d weighs exp(-d²/POOL_WIDTH²); its probabilities are opinions on the same residue, and
    their errors differ with the voxel's place in the network's coarser grids. Beyond the volume its edge values count.
    """
    last = np.array(volume.shape[:3]) - 1
    place = np.clip(grid_positions, 0, last).astype(np.float32)
    centre = np.rint(place).astype(int)
    total = np.zeros((len(place), volume.shape[3]), np.float32)
    weights = np.zeros(len(place), np.float32)
    reach = int(radius + 0.5)
    for step in product(range(-reach, reach + 1), repeat=3):
        voxel = centre + step
        squared = ((voxel - place) ** 2).sum(axis=1)
        rows = np.flatnonzero((squared <= radius**2) & ((voxel >= 0) & (voxel <= last)).all(axis=1))
        weight = np.exp(-squared[rows] / POOL_WIDTH**2).astype(np.float32)
        probability = volume[tuple(voxel[rows].T)].astype(np.float32)
        total[rows] += weight[:, None] * np.log(np.maximum(probability, LEAST_PROBABILITY))
        weights[rows] += weight
    mean = np.exp(total / weights[:, None])
    return mean / mean.sum(axis=1, keepdims=True)


def type_points(
    evidence: Evidence, positions: Float[np.ndarray, "n 3"], pool_radius: float = 1.5, *, vote: bool = False
) -> TypedPoints:
    """Cα probability, amino-acid and secondary-structure probabilities at positions (Å) (section 2.4).

    Types are pooled over `pool_radius` Å (`pool_types`); 0 interpolates them instead, as the paper looks at one place.
    With `vote` they are those of the place where the offset at the position says that the Cα is.
    Where a network has no type heads the probabilities are uniform, so that types count for nothing.
    Raises ConfigError for a radius between 0 and that of a voxel.
    """
    TypingConfig(pool_radius=pool_radius, vote=vote)
    grid = ((positions - evidence.origin) / evidence.step).astype(np.float32)
    calpha = grid
    if vote and evidence.offset is not None:
        calpha = (grid + interpolate(evidence.offset, grid) / evidence.step).astype(np.float32)

    def types(volume: np.ndarray | None, channels: int) -> np.ndarray:
        if volume is None:
            return np.full((len(grid), channels), 1 / channels, np.float32)
        if pool_radius:
            return pool_types(volume, calpha, pool_radius / float(evidence.step.mean()))
        values = interpolate(volume, calpha)
        return values / values.sum(axis=1, keepdims=True)

    return TypedPoints(
        positions=positions.astype(np.float32),
        calpha=np.clip(interpolate(evidence.calpha, grid), 0, 1),
        amino_acids=types(evidence.amino_acids, 20),
        secondary_structure=types(evidence.secondary_structure, 3),
    )


def calpha_peaks(evidence: Evidence, threshold: float = 0.2, separation: float = 0.0) -> Float[np.ndarray, "n 3"]:
    """Positions (Å) of the maxima of the Cα probability among their 26 neighbours, refined to below a voxel.

    Each peak is moved to the centre of mass of the probability in its 3³ neighbourhood. Of peaks closer than
    `separation` (Å) the most probable stays.
    """
    padded = np.pad(evidence.calpha, 1)
    neighbourhood = np.stack(list(_shifted(padded, evidence.calpha.shape)))
    # Of equal neighbours the first is the peak: a Cα halfway between two voxels must not count twice.
    first = (evidence.calpha > neighbourhood[:13].max(axis=0)) & (evidence.calpha >= neighbourhood[14:].max(axis=0))
    peak = first & (evidence.calpha > threshold)
    moves = np.array(list(np.ndindex(3, 3, 3)), np.float32) - 1
    weights = neighbourhood[:, peak]
    shift = weights.T @ moves / weights.sum(axis=0)[:, None]
    peaks = (evidence.origin + (np.argwhere(peak) + shift) * evidence.step).astype(np.float32)
    return peaks[separate(peaks, evidence.calpha[peak], separation)]


def separate(peaks: Float[np.ndarray, "n 3"], height: Float[np.ndarray, "n"], separation: float) -> np.ndarray:
    """Rows of the peaks that stay when the highest of those closer than `separation` suppresses the others."""
    kept = np.ones(len(peaks), bool)
    neighbours = KDTree(peaks).query_ball_point(peaks, separation) if len(peaks) else []
    for row in np.argsort(-height, kind="stable"):
        if kept[row]:
            kept[neighbours[row]] = False
            kept[row] = True
    return np.flatnonzero(kept)


def _shifted(padded: np.ndarray, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    for i, j, k in np.ndindex(3, 3, 3):
        yield padded[i : i + shape[0], j : j + shape[1], k : k + shape[2]]
