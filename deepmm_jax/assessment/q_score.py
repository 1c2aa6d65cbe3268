"""Q-score: how well the density around each atom looks like that of an atom (Pintilie et al. 2020).

Values of the map at points up to 2 Å from an atom, nearer to it than to any other, are correlated about their
means with a Gaussian of the distance. The published points are drawn at random; here they are the same every time.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.ndimage import map_coordinates
from scipy.spatial import KDTree

from deepmm_jax.density.map import DensityMap
from deepmm_jax.structure.chain import Chain


SIGMA = 0.6
"""Å; width of the Gaussian, of an atom at 1.3 Å (the program's default; the EMDB reports 0.4)."""
RADII = np.arange(0.0, 2.01, 0.1)
"""Å."""
POINTS = 8
"""Of each radius."""
DIRECTIONS = 96
"""From which the points of a radius are taken, those that are nearest to the atom."""
NEIGHBOURS = 64
"""Atoms within 4 Å; heavy atoms of a protein have a third as many."""
AT_ONCE = 1_000
EDGE = 1e-9
"""So that a whole number of points is not lost to rounding."""


def q_scores(density: DensityMap, positions: Float[np.ndarray, "n 3"], sigma: float = SIGMA) -> Float[np.ndarray, "n"]:
    """Q-score in [-1, 1] of each atom, given the positions (Å) of all heavy atoms; NaN for one outside the map."""
    tree = KDTree(positions)
    parts = [_q_scores(density, positions[k : k + AT_ONCE], tree, sigma) for k in range(0, len(positions), AT_ONCE)]
    return np.concatenate([np.empty(0), *parts])


def mean_q_score(density: DensityMap, chains: Sequence[Chain], sigma: float = SIGMA) -> float:
    """Mean Q-score of the atoms of a model that lie in the map; NaN if none does."""
    scores = q_scores(density, np.concatenate([chain.positions for chain in chains]), sigma)
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")


def _q_scores(
    density: DensityMap,
    centres: Float[np.ndarray, "n 3"],
    tree: KDTree,
    sigma: float,
) -> Float[np.ndarray, "n"]:
    directions = _sphere(DIRECTIONS)
    # A point is nearer to its own atom than to one at d from it as far as |d|² / 2 u·d in the direction u.
    found = tree.query(centres, k=1 + NEIGHBOURS, distance_upper_bound=2 * RADII[-1])
    distance, neighbours = (np.asarray(column)[:, 1:] for column in found)  # the first is the atom itself
    met = np.isfinite(distance)
    towards = np.where(met[..., None], tree.data[np.where(met, neighbours, 0)] - centres[:, None], 0.0)
    along = np.einsum("nkx,dx->nkd", towards, directions)
    squares = np.square(towards).sum(-1)[..., None]
    limits = np.divide(squares, 2 * along, out=np.full(along.shape, np.inf), where=along > 0)
    own = RADII[1:, None] < limits.min(1)[:, None, :]
    # Of the points that are an atom's own, POINTS that lie evenly in the order of the spiral, or all.
    share = POINTS / np.maximum(own.sum(-1, keepdims=True), POINTS)
    rank = np.cumsum(own, -1)
    chosen = own & (np.floor(rank * share + EDGE) > np.floor((rank - 1) * share + EDGE))
    points = centres[:, None, None] + RADII[1:, None, None] * directions
    values = np.zeros(chosen.shape)
    values[chosen] = map_coordinates(density.data, density.to_grid(points[chosen]).T, order=1, mode="constant")
    middle = map_coordinates(density.data, density.to_grid(centres).T, order=1, mode="constant")
    # The centre counts as POINTS points, as the other radii do.
    flat = (len(centres), -1)
    weight = np.column_stack([np.full(len(centres), float(POINTS)), chosen.reshape(flat)])
    seen = np.column_stack([middle, values.reshape(flat)]).astype(np.float64)
    ideal = np.exp(-0.5 * (np.append(0.0, np.repeat(RADII[1:], DIRECTIONS)) / sigma) ** 2)
    total = weight.sum(1, keepdims=True)
    seen = seen - (weight * seen).sum(1, keepdims=True) / total
    ideal = ideal - (weight * ideal).sum(1, keepdims=True) / total
    scale = np.sqrt((weight * seen**2).sum(1) * (weight * ideal**2).sum(1))
    score = np.divide((weight * seen * ideal).sum(1), scale, out=np.zeros(len(centres)), where=scale > 0)
    grid = density.to_grid(centres)
    inside = ((grid >= 0) & (grid <= np.array(density.shape) - 1)).all(1)
    return np.where(inside, score, np.nan)


def _sphere(count: int) -> Float[np.ndarray, "count 3"]:
    """Directions spread evenly: a Fibonacci spiral."""
    k = np.arange(count) + 0.5
    polar, turn = np.arccos(1.0 - 2.0 * k / count), np.pi * (1.0 + np.sqrt(5.0)) * k
    return np.stack([np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)], axis=1)
