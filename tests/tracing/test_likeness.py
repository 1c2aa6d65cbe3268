"""Kendall τ between paths, against pair counting and scipy."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from deepmm_jax.tracing.likeness import kendall_tau
from reference import tracing_oracle as oracle


def ranks(path, n):
    """Place of each of n vertices in the path, -1 off it."""
    rank = np.full(n, -1)
    rank[path] = np.arange(len(path))
    return rank


@pytest.mark.parametrize(("n", "first", "second"), [(60, 60, 60), (61, 40, 50), (50, 17, 9), (9, 4, 3), (5, 2, 2)])
def test_tau_is_that_of_counted_pairs(rng, n, first, second):
    path, other = rng.permutation(n)[:first], rng.permutation(n)[:second]
    assert kendall_tau(path, ranks(other, n)) == pytest.approx(oracle.kendall_tau(path, other), abs=1e-12)


def test_tau_is_scipys_on_every_third_vertex(rng):
    path, other = rng.permutation(100), rng.permutation(100)
    expected = kendalltau(np.arange(34), ranks(other, 100)[path[::3]]).statistic
    assert kendall_tau(path, ranks(other, 100)) == pytest.approx(expected)


def test_a_path_is_like_itself_and_the_contrary_of_its_reverse(rng):
    path = rng.permutation(70)
    assert kendall_tau(path, ranks(path, 70)) == 1.0
    assert kendall_tau(path[::-1].copy(), ranks(path, 70)) == -1.0


def test_paths_without_common_vertices_are_not_alike():
    assert kendall_tau(np.arange(10), ranks(np.arange(10, 20), 20)) == 0.0
