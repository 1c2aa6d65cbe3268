"""States of residues: exact on trees, good on graphs with cycles, no worse for the descent."""

import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax.allatom.packing import best_states, descend, total_cost
from reference import side_chain_oracle


def problem(edges: list[tuple[int, int]], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    costs = rng.uniform(0, 3, (6, 4)).astype(np.float32)
    pair_costs = rng.exponential(2, (len(edges), 4, 4)).astype(np.float32)
    return costs, np.array(edges, np.int32), pair_costs


def test_trees_are_solved_exactly(rng: np.random.Generator):
    for _ in range(10):
        parts = problem([(0, 1), (1, 2), (1, 3), (3, 4), (0, 5)], rng)
        wanted, lowest = side_chain_oracle.best_states(*parts)
        states = best_states(*map(jnp.array, parts))
        np.testing.assert_array_equal(states, wanted)
        assert float(total_cost(states, *map(jnp.array, parts))) == pytest.approx(lowest, rel=1e-5)


def test_cycles_are_solved_nearly(rng: np.random.Generator):
    off = []
    for _ in range(20):
        parts = problem([(0, 1), (1, 2), (0, 2), (2, 3), (3, 4), (4, 5), (2, 5)], rng)
        lowest = side_chain_oracle.best_states(*parts)[1]
        off.append(float(total_cost(best_states(*map(jnp.array, parts)), *map(jnp.array, parts))) - lowest)
    assert min(off) > -1e-4
    assert np.mean(np.array(off) < 1e-4) >= 0.8


def test_edges_that_fill_up_count_for_nothing(rng: np.random.Generator):
    costs, edges, pair_costs = problem([(0, 1), (0, 0)], rng)
    pair_costs[1] = 0
    states = best_states(*map(jnp.array, (costs, edges, pair_costs)))
    np.testing.assert_array_equal(states, best_states(*map(jnp.array, (costs, edges[:1], pair_costs[:1]))))


def test_descent_ends_where_no_residue_alone_gains(rng: np.random.Generator):
    parts = problem([(0, 1), (1, 2), (0, 2), (2, 3), (3, 4), (4, 5), (2, 5)], rng)
    arrays = [jnp.array(part) for part in parts]
    start = jnp.array(rng.integers(0, 4, 6))
    states = np.asarray(descend(start, *arrays))
    cost = float(total_cost(jnp.array(states), *arrays))
    assert cost <= float(total_cost(start, *arrays))
    for residue in range(6):
        for state in range(4):
            other = states.copy()
            other[residue] = state
            assert float(total_cost(jnp.array(other), *arrays)) > cost - 1e-3
