"""The graph of local dense points: which of them may be neighbours on the main chain (section 2.3; MAINMAST)."""

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import no_type_check

import numpy as np
from jaxtyping import Bool, Float, Int
from numba import njit
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from deepmm_jax.errors import NothingBuiltError
from deepmm_jax.tracing.mean_shift import kernel_density
from deepmm_jax.tracing.values import LocalDensePoints


FEWEST_POINTS = 5
"""A graph of fewer points is no chain."""

HALF_NEIGHBOURHOOD = tuple(d for d in product((-1, 0, 1), repeat=3) if d > (0, 0, 0))
"""One of each two opposite directions to the 26 neighbours of a voxel."""

INTERIOR = np.arange(1, 10) / 10.0
"""Where on an edge, as fractions of its length, the kernel density is looked at."""


@dataclass(frozen=True, kw_only=True)
class PointGraph:
    """The largest connected part of the graph of local dense points.

    `vertices` (n,) are indices into `points`; `ends` (m, 2) the two vertex numbers (0 to n-1) of each edge; `length`
    (m,) its length in Å; `weight` (m,) what it is worth to the search: length × least kernel density along the edge.
    """

    points: LocalDensePoints
    vertices: Int[np.ndarray, " n"]
    ends: Int[np.ndarray, "m 2"]
    length: Float[np.ndarray, " m"]
    weight: Float[np.ndarray, " m"]

    @cached_property
    def positions(self) -> Float[np.ndarray, "n 3"]:
        """Vertex positions, Å."""
        return self.points.positions[self.vertices]

    @cached_property
    def spanning_tree(self) -> Bool[np.ndarray, " m"]:
        """The edges of the minimum spanning tree, by length (Kruskal)."""
        order = np.argsort(self.length, kind="stable")
        chosen = np.zeros(len(order), bool)
        _kruskal(self.ends, order, np.ones(len(self.vertices), bool), chosen)
        return chosen

    def local_edges(self, radius: float) -> Bool[np.ndarray, " m"]:
        """The edges that may be swapped into a tree.

        For every vertex the spanning tree of the sub-graph within `radius` Å of it (both ends of an edge inside); the
        edges of all these trees, and of the spanning tree of the whole.
        """
        order = np.argsort(self.length, kind="stable")
        chosen = self.spanning_tree.copy()
        inside = np.zeros(len(self.vertices), bool)
        for near in KDTree(self.positions).query_ball_point(self.positions, radius):
            inside[near] = True
            _kruskal(self.ends, order, inside, chosen)
            inside[near] = False
        return chosen


def build_graph(
    points: LocalDensePoints,
    volume: Float[np.ndarray, "nx ny nz"],
    step: Float[np.ndarray, "3"],
    origin: Float[np.ndarray, "3"],
    *,
    bandwidth: float,
) -> PointGraph:
    """Join points whose voxels touch, keep the largest connected part and weigh its edges.

    `volume`, `step` and `origin` (Å) are those the points were found in, `bandwidth` (Å) that of the mean shift.
    Raises NothingBuiltError if fewer than `FEWEST_POINTS` points hang together.
    """
    ends = touching_points(points)
    n = len(points.positions)
    _, part = connected_components(coo_array((np.ones(len(ends)), ends.T), shape=(n, n)), directed=False)
    size = np.bincount(part, minlength=1)
    if size.max() < FEWEST_POINTS:
        raise NothingBuiltError(
            f"The largest connected piece of main chain has {size.max()} of the {FEWEST_POINTS} points a chain needs; "
            "lower the tracing threshold, or check that the map covers the molecule."
        )
    vertices = np.flatnonzero(part == size.argmax())
    ends = np.searchsorted(vertices, ends[part[ends[:, 0]] == size.argmax()])
    a, b = points.positions[vertices][ends].astype(np.float64).swapaxes(0, 1)
    length = np.linalg.norm(b - a, axis=1)
    along = (a[:, None] + INTERIOR[:, None] * (b - a)[:, None] - origin) / step
    density = kernel_density(np.maximum(volume, 0.0), along.reshape(-1, 3), step, bandwidth=bandwidth)
    weight = length * density.reshape(len(ends), -1).min(axis=1)
    return PointGraph(points=points, vertices=vertices, ends=ends, length=length, weight=weight)


def touching_points(points: LocalDensePoints) -> Int[np.ndarray, "m 2"]:
    """Pairs of points (i < j, sorted) of which any two voxels are among each other's 26 neighbours, shape (m, 2)."""
    label = np.full(points.voxels.max(axis=0) + 3, -1)  # one empty voxel all around
    label[tuple(points.voxels.T + 1)] = points.member
    inner = label[1:-1, 1:-1, 1:-1]
    met = [np.empty((0, 2), int)]
    for dx, dy, dz in HALF_NEIGHBOURHOOD:
        other = label[tuple(slice(1 + d, 1 + d + n) for d, n in zip((dx, dy, dz), inner.shape, strict=True))]
        touch = (inner >= 0) & (other >= 0) & (inner != other)
        met.append(np.stack([inner[touch], other[touch]], axis=1))
    return np.unique(np.sort(np.concatenate(met), axis=1), axis=0)


@njit(cache=True, nogil=True)
@no_type_check
def _kruskal(ends, order, inside, chosen):
    """Mark the edges of the minimum spanning forest of the vertices `inside`; `order` sorts the edges by length."""
    root = np.arange(inside.size)
    for edge in order:
        a, b = ends[edge]
        if inside[a] and inside[b]:
            while root[a] != a:
                root[a] = root[root[a]]
                a = root[a]
            while root[b] != b:
                root[b] = root[root[b]]
                b = root[b]
            if a != b:
                root[a] = b
                chosen[edge] = True
