"""The graph of points: touching voxels, spanning trees, weights, the largest part."""

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

from deepmm_jax.errors import NothingBuiltError
from deepmm_jax.tracing.graph import PointGraph, build_graph, touching_points
from deepmm_jax.tracing.values import LocalDensePoints
from reference import tracing_oracle as oracle


def random_points(rng, n_voxels=90, n_points=14, extent=7):
    """Voxels dealt out to points at random, some to none."""
    cells = rng.choice(extent**3, n_voxels, replace=False)
    return LocalDensePoints(
        positions=rng.uniform(0, extent - 1, (n_points, 3)).astype(np.float32),
        density=rng.uniform(1, 2, n_points).astype(np.float32),
        voxels=np.stack(np.unravel_index(cells, (extent,) * 3), axis=1).astype(np.int32),
        member=rng.integers(-1, n_points, n_voxels).astype(np.int32),
    )


def random_graph(rng, n=40, extra=60):
    """A connected graph over random positions: a chain and random edges."""
    positions = rng.uniform(0, 9, (n, 3)).astype(np.float32)
    pairs = {(i, i + 1) for i in range(n - 1)} | {tuple(sorted(rng.choice(n, 2, replace=False))) for _ in range(extra)}
    ends = np.array(sorted(pairs))
    length = np.linalg.norm(positions[ends[:, 0]].astype(float) - positions[ends[:, 1]], axis=1)
    points = LocalDensePoints(
        positions=positions,
        density=np.ones(n, np.float32),
        voxels=np.zeros((0, 3), np.int32),
        member=np.zeros(0, np.int32),
    )
    return PointGraph(points=points, vertices=np.arange(n), ends=ends, length=length, weight=length)


def test_points_are_joined_if_voxels_touch(rng):
    points = random_points(rng)
    np.testing.assert_array_equal(touching_points(points), oracle.touching_points(points.voxels, points.member))


def test_the_spanning_tree_is_as_short_as_scipys(rng):
    graph = random_graph(rng)
    n = len(graph.vertices)
    expected = minimum_spanning_tree(coo_array((graph.length, graph.ends.T), shape=(n, n))).sum()
    assert graph.spanning_tree.sum() == n - 1
    np.testing.assert_allclose(graph.length[graph.spanning_tree].sum(), expected)


def test_coinciding_points_are_spanned_too():
    graph = random_graph(np.random.default_rng(0), n=6, extra=0)
    coincident = PointGraph(
        points=graph.points, vertices=graph.vertices, ends=graph.ends, length=np.zeros(5), weight=np.zeros(5)
    )
    assert coincident.spanning_tree.all()


@pytest.mark.parametrize("radius", [2.0, 5.0])
def test_local_edges_are_the_spanning_trees_of_all_neighbourhoods(rng, radius):
    graph = random_graph(rng)
    expected = oracle.spanning_edges(graph.ends, graph.length, set(range(len(graph.vertices))))
    for centre in graph.positions:
        near = np.flatnonzero(np.linalg.norm(graph.positions - centre, axis=1) <= radius)
        expected |= oracle.spanning_edges(graph.ends, graph.length, set(near.tolist()))
    np.testing.assert_array_equal(np.flatnonzero(graph.local_edges(radius)), sorted(expected))


def test_edges_of_the_largest_part_weigh_length_times_least_density(rng):
    points = random_points(rng, n_voxels=50, n_points=12)
    volume = rng.uniform(0, 1, (8, 8, 8)).astype(np.float32)
    step, origin = np.array([1.0, 0.9, 1.2]), np.array([-0.5, -0.2, -0.4])
    graph = build_graph(points, volume, step, origin, bandwidth=2.0)
    ends = graph.vertices[graph.ends]
    everywhere = oracle.touching_points(points.voxels, points.member)
    kept = set(graph.vertices.tolist())
    assert [tuple(e) for e in ends] == [e for e in everywhere if kept >= set(e)]
    assert all(kept >= set(e) or not kept & set(e) for e in everywhere)
    for (a, b), length, weight in zip(points.positions[ends][:10].astype(float), graph.length, graph.weight):
        along = [(a + f / 10 * (b - a) - origin) / step for f in range(1, 10)]
        least = min(oracle.weighted_mean(volume, p, step, 2.0)[0] for p in along)
        np.testing.assert_allclose([length, weight], [np.linalg.norm(b - a), length * least], rtol=1e-5)


def test_a_few_scattered_points_are_refused():
    points = LocalDensePoints(
        positions=np.array([[0.0, 0, 0], [1, 0, 0], [5, 5, 5]], np.float32),
        density=np.ones(3, np.float32),
        voxels=np.array([[0, 0, 0], [1, 0, 0], [5, 5, 5]], np.int32),
        member=np.arange(3, dtype=np.int32),
    )
    with pytest.raises(NothingBuiltError, match="has 2 of the 5 points"):
        build_graph(points, np.ones((7, 7, 7)), np.ones(3), np.zeros(3), bandwidth=2.0)
