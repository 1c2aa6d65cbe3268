"""Gaps: residues that a search left unbuilt inside a chain, where main chain leads from one side to the other."""

from dataclasses import replace
from itertools import product

import numpy as np
from jaxtyping import Bool, Float
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import KDTree

from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.evidence.points import interpolate
from deepmm_jax.evidence.volumes import Evidence


LONGEST_GAP = 8
"""Residues: longer gaps stay open."""
SHORTEST_STEP, LONGEST_STEP = 2.4, 5.0
"""Å of path for each step from residue to residue, at least (a helix cut short) and at most (voxels go in zigzag)."""
LEAST_MAIN_CHAIN = 0.1
"""Mean main-chain probability of a path that is followed: nothing is built through empty space."""
MARGIN = 8.0
"""A path goes no farther than this out of the box between its ends, Å."""
OCCUPIED = 2.5
"""A path keeps this far from the other residues, Å."""
RELUCTANCE = 0.03
"""The cost of a voxel is its length / (main-chain probability + this)."""

HALF_NEIGHBOURHOOD = tuple(d for d in product((-1, 0, 1), repeat=3) if d > (0, 0, 0))


def close_gaps(evidence: Evidence, models: CalphaModels) -> CalphaModels:
    """The same models with gaps of up to 8 residues closed along the likeliest main chain, where there is any.

    The residues of a gap stand at equal distances along the path (Å); their `support` is the Cα probability there.
    """
    positions, built, support = models.positions.copy(), models.built.copy(), models.support.copy()
    for model in range(len(models)):
        for before, after in open_gaps(models.built[model]):
            path = main_chain_path(evidence, positions[model], before, after)
            if path is None:
                continue
            gap = slice(before + 1, after)
            positions[model, gap] = path
            built[model, gap] = True
            grid = ((path - evidence.origin) / evidence.step).astype(np.float32)
            support[model, gap] = np.clip(interpolate(evidence.calpha, grid), 0, 1)
    return replace(models, positions=positions, built=built, support=support)


def open_gaps(built: Bool[np.ndarray, "n"]) -> list[tuple[int, int]]:
    """The residues before and behind each stretch of at most 8 unbuilt ones inside a chain."""
    residues = np.flatnonzero(built)
    skipped = np.diff(residues) - 1
    at = np.flatnonzero((skipped > 0) & (skipped <= LONGEST_GAP))
    return [(int(residues[k]), int(residues[k + 1])) for k in at]


def main_chain_path(
    evidence: Evidence, positions: Float[np.ndarray, "n 3"], before: int, after: int
) -> Float[np.ndarray, "k 3"] | None:
    """Where the residues between two built ones stand, Å; None if no main chain of a fitting length joins these.

    The cheapest path through the voxels around, away from the other residues (Dijkstra).
    """
    steps, ends = after - before, positions[[before, after]].astype(np.float64)
    if np.linalg.norm(ends[1] - ends[0]) > LONGEST_STEP * steps:
        return None  # no path is shorter, and the voxels between would be many
    last = np.array(evidence.main_chain.shape) - 1
    low = np.clip(((ends.min(axis=0) - MARGIN - evidence.origin) / evidence.step).astype(int), 0, last)
    high = np.clip(((ends.max(axis=0) + MARGIN - evidence.origin) / evidence.step).astype(int) + 1, 0, last) + 1
    chain = evidence.main_chain[tuple(map(slice, low, high))].astype(np.float64)
    places = evidence.origin + (np.moveaxis(np.indices(chain.shape), 0, -1) + low) * evidence.step
    others = np.delete(positions, slice(before, after + 1), axis=0)
    others = others[np.isfinite(others).all(axis=1)]
    free = np.ones(chain.size, bool)
    if len(others):
        free = KDTree(others).query(places.reshape(-1, 3))[0] > OCCUPIED
    start, goal = (int(voxel) for voxel in np.ravel(KDTree(places.reshape(-1, 3)).query(ends)[1]))
    free[[start, goal]] = True
    _, predecessor = dijkstra(_voxel_graph(chain, evidence.step, free), indices=start, return_predecessors=True)
    if predecessor[goal] < 0:
        return None
    path = [goal]
    while path[-1] != start:
        path.append(predecessor[path[-1]])
    way = np.concatenate([ends[:1], places.reshape(-1, 3)[path[::-1][1:-1]], ends[1:]])
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
    if not SHORTEST_STEP * steps <= length[-1] <= LONGEST_STEP * steps:
        return None
    if chain.ravel()[path].mean() < LEAST_MAIN_CHAIN:
        return None
    along = length[-1] * np.arange(1, steps) / steps
    return np.stack([np.interp(along, length, way[:, axis]) for axis in range(3)], axis=1).astype(np.float32)


def _voxel_graph(chain: np.ndarray, step: np.ndarray, free: np.ndarray) -> coo_array:
    """Voxels joined to those of their 26 neighbours that are free, at the cost of going there."""
    number = np.arange(chain.size).reshape(chain.shape)
    price = 1 / (np.maximum(chain, 0) + RELUCTANCE)
    ends, costs = [], []
    for move in HALF_NEIGHBOURHOOD:
        here = tuple(slice(max(-d, 0), n - max(d, 0)) for d, n in zip(move, chain.shape))
        there = tuple(slice(max(d, 0), n - max(-d, 0)) for d, n in zip(move, chain.shape))
        a, b = number[here].ravel(), number[there].ravel()
        both = free[a] & free[b]
        ends.append(np.stack([a[both], b[both]]))
        costs.append((np.linalg.norm(move * step) * (price[here] + price[there]).ravel() / 2)[both])
    a, b = np.concatenate(ends, axis=1)
    cost = np.concatenate(costs)
    return coo_array((np.tile(cost, 2), (np.append(a, b), np.append(b, a))), shape=(chain.size, chain.size))
