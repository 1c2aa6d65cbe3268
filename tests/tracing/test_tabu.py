"""Tabu search: the whole search against its plain twin, and the rules each tree must keep."""

from dataclasses import replace

import numpy as np
import pytest

from deepmm_jax.config import TracingConfig
from deepmm_jax.tracing import tabu
from deepmm_jax.tracing.graph import PointGraph
from deepmm_jax.tracing.likeness import kendall_tau
from deepmm_jax.tracing.tabu import search_trees
from deepmm_jax.tracing.values import LocalDensePoints
from reference import tracing_oracle as oracle


QUICK = TracingConfig(
    rounds=(12,), neighbours=6, tabu_length=4, trajectories=3, local_radius=(2.2,), length_ratio=1.1, keep_length=(0.4,)
)


def tangled_graph(rng, n, reach=1.9):
    """Points of a random walk in a small space, joined to all within reach; weights independent of lengths."""
    walk, box = np.cumsum(rng.normal(0, 0.6, (n, 3)), axis=0), 1.1 * np.cbrt(n)
    positions = (walk - box * np.floor(walk / box)).astype(np.float32)
    apart = np.linalg.norm(positions[:, None].astype(float) - positions[None], axis=-1)
    ends = np.argwhere(np.triu(apart < reach, k=1))
    part = np.arange(n)
    for a, b in ends:
        part[part == part[b]] = part[a]
    vertices = np.flatnonzero(part == np.bincount(part).argmax())
    ends = np.searchsorted(vertices, ends[part[ends[:, 0]] == part[vertices[0]]])
    points = LocalDensePoints(
        positions=positions,
        density=np.ones(n, np.float32),
        voxels=np.zeros((0, 3), np.int32),
        member=np.zeros(0, np.int32),
    )
    length = apart[np.ix_(vertices, vertices)][ends[:, 0], ends[:, 1]]
    weight = length * rng.uniform(0.5, 1.5, len(ends))
    return PointGraph(points=points, vertices=vertices, ends=ends, length=length, weight=weight)


def parts(graph, config):
    """Ends, length, weight and spanning tree over the local edges."""
    local = graph.local_edges(*config.local_radius)
    return graph.ends[local], graph.length[local], graph.weight[local], graph.spanning_tree[local]


@pytest.mark.parametrize("seed", range(3))
def test_the_search_is_that_of_its_plain_twin(seed):
    graph = tangled_graph(np.random.default_rng(seed), 26)
    ends, length, weight, first = parts(graph, QUICK)
    edges = set(np.flatnonzero(first).tolist())
    earlier = []
    for number, found in enumerate(search_trees(graph, QUICK, seed)):
        best, score, path = oracle.search(
            ends,
            length,
            weight,
            edges,
            {e for e in edges if length[e] < QUICK.keep_length[0]},
            QUICK.length_ratio * length[first].sum(),
            earlier,
            rounds=QUICK.rounds[0],
            neighbours=QUICK.neighbours,
            tabu_length=QUICK.tabu_length,
            random=oracle.Splitmix64(int(tabu._random_state(seed, number)[0])),
        )
        np.testing.assert_array_equal(np.flatnonzero(found.in_tree), best)
        np.testing.assert_array_equal(found.path, path)
        assert found.score == pytest.approx(score, rel=1e-12)
        earlier.append(path)
    assert earlier[0] != oracle.heaviest_path(ends, weight, edges)[1]  # the search has moved


@pytest.mark.parametrize("seed", range(4))
def test_every_tree_keeps_the_rules(seed):
    graph = tangled_graph(np.random.default_rng(100 + seed), 120)
    ends, length, weight, first = parts(graph, QUICK)
    start = search_trees(graph, replace(QUICK, rounds=(0,), trajectories=1), seed)[0]
    np.testing.assert_array_equal(start.in_tree, first)
    found = search_trees(graph, replace(QUICK, rounds=(40,)), seed)
    for trajectory in found:
        edges = np.flatnonzero(trajectory.in_tree)
        spanning = oracle.spanning_edges(ends, np.where(trajectory.in_tree, 0.0, 1.0), set(range(len(graph.vertices))))
        assert spanning == set(edges.tolist())  # connected, without a cycle
        assert length[edges].sum() <= QUICK.length_ratio * length[first].sum() * (1 + 1e-12)
        assert trajectory.in_tree[first & (length < QUICK.keep_length[0])].all()
        assert trajectory.score == pytest.approx(oracle.worth(ends, weight, edges), rel=1e-12)
        np.testing.assert_array_equal(trajectory.path, oracle.heaviest_path(ends, weight, edges)[1])
    assert max(t.score for t in found) > 1.05 * start.score


def test_trajectories_are_alternatives():
    """A best path is the one of the spanning tree or unlike all best paths before it."""
    graph = tangled_graph(np.random.default_rng(7), 120)
    found = search_trees(graph, replace(QUICK, rounds=(40,), trajectories=5), 0)
    start = search_trees(graph, replace(QUICK, rounds=(0,), trajectories=1), 0)[0]
    new = [t.path for t in found if not np.array_equal(t.path, start.path)]
    assert len(new) > 1
    for later, path in enumerate(new):
        for other in new[:later]:
            rank = np.full(len(graph.vertices), -1)
            rank[other] = np.arange(len(other))
            assert abs(kendall_tau(path, rank)) <= tabu.MOST_ALIKE


def test_a_seed_fixes_the_search_and_another_changes_it():
    graph = tangled_graph(np.random.default_rng(8), 120)
    once, again, other = (search_trees(graph, QUICK, seed) for seed in (5, 5, 6))
    for a, b in zip(once, again):
        np.testing.assert_array_equal(a.path, b.path)
        np.testing.assert_array_equal(a.in_tree, b.in_tree)
    assert any(not np.array_equal(a.in_tree, b.in_tree) for a, b in zip(once, other))


def test_more_rounds_only_add_to_the_worth_after_the_first():
    graph = tangled_graph(np.random.default_rng(9), 100)
    scores = [search_trees(graph, replace(QUICK, rounds=(r,), trajectories=1), 0)[0].score for r in (1, 5, 10, 20, 40)]
    assert scores == sorted(scores) and scores[0] < scores[-1]


def test_the_best_tree_is_one_moved_to_even_if_the_first_is_worth_more():
    graph = tangled_graph(np.random.default_rng(9), 100)
    first, moved = (search_trees(graph, replace(QUICK, rounds=(r,), trajectories=1), 0)[0] for r in (0, 1))
    assert (first.in_tree != moved.in_tree).sum() == 2
    assert moved.rounds == 1


def test_every_search_has_its_own_radius_kept_edges_rounds_and_random_numbers():
    graph = tangled_graph(np.random.default_rng(5), 100)
    several = replace(QUICK, local_radius=(2.2, 3.0), rounds=(3, 6))
    alone = replace(QUICK, local_radius=(3.0,), rounds=(3,))
    for found, expected in zip(search_trees(graph, several, 1, 2), search_trees(graph, alone, 1)):
        assert found.in_tree.size == expected.in_tree.size == graph.local_edges(3.0).sum()
        assert found.rounds == expected.rounds == 3
        assert not np.array_equal(found.in_tree, expected.in_tree)
    assert search_trees(graph, several, 1, 3)[0].rounds == 6


def test_a_tree_without_alternatives_is_kept():
    graph = tangled_graph(np.random.default_rng(1), 40)
    tree = graph.spanning_tree
    bare = replace(graph, ends=graph.ends[tree], length=graph.length[tree], weight=graph.weight[tree])
    for trajectory in search_trees(bare, QUICK, 0):
        assert trajectory.in_tree.all() and trajectory.rounds == 0


def test_random_numbers_are_splitmix64():
    """First outputs for state 1234567, as published with the generator (Rosetta Code, xoshiro pages)."""
    random = np.array([1234567], np.uint64)
    modulus = 2**31 - 1
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [tabu._draw(random, modulus) for _ in expected] == [e % modulus for e in expected]
