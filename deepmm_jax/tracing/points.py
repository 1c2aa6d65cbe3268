"""Local dense points: where the seeds of the mean shift meet (section 2.3; MAINMAST)."""

from typing import no_type_check

import numpy as np
from jaxtyping import Float, Int
from numba import njit
from scipy.spatial import KDTree

from deepmm_jax.config import TracingConfig
from deepmm_jax.errors import NothingBuiltError
from deepmm_jax.tracing.mean_shift import shift_points
from deepmm_jax.tracing.values import LocalDensePoints


def find_local_dense_points(
    volume: Float[np.ndarray, "nx ny nz"],
    step: Float[np.ndarray, "3"],
    origin: Float[np.ndarray, "3"],
    config: TracingConfig,
) -> LocalDensePoints:
    """Local dense points of a main-chain probability (step and origin in Å).

    Every voxel above `config.threshold` (and above zero: negative values count as zero) is a seed of the mean shift;
    seeds (x fastest) that end closer than `config.merge_distance` become one point, the densest of them. Points whose
    density, scaled to [0, 1] over all points, is below `config.min_relative_density` are dropped; their voxels then
    belong to no point.

    Raises NothingBuiltError if no voxel is above the threshold.
    """
    positive = np.maximum(volume, 0.0)
    voxels = np.argwhere(positive.T > max(config.threshold, 0.0))[:, ::-1]  # x fastest: merging depends on the order
    if not len(voxels):
        raise NothingBuiltError(
            f"No voxel has a main-chain probability above {config.threshold:g} (the highest is {volume.max():.3g}); "
            "lower the tracing threshold, or check that the map covers the molecule."
        )
    grid, density = shift_points(
        positive, voxels.astype(np.float32), step, bandwidth=config.bandwidth, max_shift=config.max_shift
    )
    positions = (origin + step * grid).astype(np.float32)
    winner = merge(positions, density, config.merge_distance)
    kept, member = np.unique(winner, return_inverse=True)
    positions, density = positions[kept], density[kept]
    dense = density - density.min() >= config.min_relative_density * np.ptp(density)
    number = np.where(dense, np.cumsum(dense) - 1, -1)
    return LocalDensePoints(
        positions=positions[dense],
        density=density[dense],
        voxels=voxels.astype(np.int32),
        member=number[member].astype(np.int32),
    )


def merge(
    positions: Float[np.ndarray, "n 3"], density: Float[np.ndarray, " n"], distance: float
) -> Int[np.ndarray, " n"]:
    """Index of the point that each point is merged into (its own index if it stays).

    In order, each point that is still there meets the later ones closer than `distance`: of the two the less dense
    goes (the later one of equals), and what had joined it goes along. A point that goes meets no others.
    """
    tree = KDTree(positions)
    pairs = tree.query_pairs(distance, output_type="ndarray")
    apart = np.linalg.norm(positions[pairs[:, 0]].astype(np.float64) - positions[pairs[:, 1]], axis=1)
    pairs = pairs[apart < distance]
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    return _winners(pairs, density)


@njit(cache=True, nogil=True)
@no_type_check
def _winners(pairs, density):
    winner = np.arange(density.size)
    for row in range(pairs.shape[0]):
        i, j = pairs[row]
        if winner[i] == i and winner[j] == j:
            if density[j] > density[i]:
                winner[i] = j
            else:
                winner[j] = i
    for i in range(winner.size):
        last = i
        while winner[last] != last:
            last = winner[last]
        winner[i] = last
    return winner
