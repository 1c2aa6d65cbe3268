"""Main-chain paths of volumes: a helix on a grid, one search and several."""

import numpy as np
import pytest
from scipy.spatial import KDTree

from deepmm_jax.config import TracingConfig
from deepmm_jax.errors import NothingBuiltError
from deepmm_jax.tracing import build_graph, find_local_dense_points, trace_main_chain, trace_paths
from deepmm_jax.tracing.tabu import search_trees


STEP = np.ones(3)


def probability_near(xyz, margin=5):
    """Equation 1 with r0 = 1 Å and r_cut = 2 Å on a 1 Å grid about the atoms: volume, origin."""
    origin = np.floor(xyz.min(axis=0)) - margin
    shape = (np.ceil(xyz.max(axis=0)) + margin - origin).astype(int) + 1
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1) + origin
    distance, _ = KDTree(xyz).query(grid, distance_upper_bound=2.0)
    return np.exp(-np.square(distance)).astype(np.float32), origin


def helix(turns=6, per_turn=40, radius=4.0, pitch=5.4):
    """Points along a helix, 0.7 Å apart."""
    t = np.arange(turns * per_turn) * 2 * np.pi / per_turn
    return np.stack([radius * np.cos(t), radius * np.sin(t), pitch * t / (2 * np.pi)], axis=1)


def test_a_helix_is_one_path_from_end_to_end():
    curve = helix()
    volume, origin = probability_near(curve)
    traced = trace_main_chain(volume, STEP, origin, TracingConfig(rounds=(20,), trajectories=2, threshold=0.1))
    for path in traced.paths:
        apart, along = KDTree(curve).query(traced.points.positions[path])
        assert len(set(path.tolist())) == len(path)
        assert apart.max() < 1.0
        along = along if along[0] < along[-1] else along[::-1]
        assert along[0] <= 4 and along[-1] >= len(curve) - 5  # within 3 Å of either end
        assert np.diff(along).min() >= -3 and np.diff(along).max() <= 6  # runs on, never leaps a turn
        assert KDTree(traced.points.positions[path]).query(curve)[0].max() < 1.5


def test_the_same_graph_and_seed_give_the_same_paths():
    volume, origin = probability_near(helix(turns=3))
    config = TracingConfig(rounds=(10,), trajectories=3, local_radius=(7.5,))
    points = find_local_dense_points(volume, STEP, origin, config)
    graph = build_graph(points, volume, STEP, origin, bandwidth=config.bandwidth)
    whole = trace_main_chain(volume, STEP, origin, config, seed=4)
    np.testing.assert_array_equal(whole.points.positions, points.positions)
    for a, b in zip(trace_paths(graph, config, seed=4).paths, whole.paths):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("threads", [1, 4])
def test_all_searches_give_their_paths_whatever_the_threads(monkeypatch, threads):
    volume, origin = probability_near(helix(turns=3))
    several = TracingConfig(rounds=(5, 15), keep_length=(0.5, 1.0), local_radius=(5.0, 10.0), trajectories=3)
    points = find_local_dense_points(volume, STEP, origin, several)
    graph = build_graph(points, volume, STEP, origin, bandwidth=several.bandwidth)
    found = [t.path for k in range(8) for t in search_trees(graph, several, 3, k)]
    expected = dict.fromkeys(tuple(graph.vertices[path]) for path in found)  # each once, in the order of the searches
    assert len(expected) > 3
    monkeypatch.setattr("deepmm_jax.tracing.paths.get_num_threads", lambda: threads)
    traced = trace_paths(graph, several, seed=3).paths
    assert [tuple(path) for path in traced] == list(expected)


def test_a_speck_is_refused():
    volume = np.zeros((12, 12, 12), np.float32)
    volume[6, 6, 6] = 1.0
    with pytest.raises(NothingBuiltError, match="has 1 of the 5 points"):
        trace_main_chain(volume, STEP, np.zeros(3), TracingConfig())
