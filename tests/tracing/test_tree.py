"""Trees in preorder: worth and heaviest path against brute force, before and after swaps."""

import numpy as np
import pytest

from deepmm_jax.tracing.tree import heaviest_path, measure, measure_swap, root_tree
from reference import tracing_oracle as oracle


def random_tree(rng, n, reach):
    """Each vertex hangs on one of the `reach` before it: small reach, long chains. Vertex numbers are shuffled."""
    number = rng.permutation(n)
    parent = [rng.integers(max(0, v - reach), v) for v in range(1, n)]
    ends = np.stack([number[1:], number[parent]], axis=1).astype(np.int64)
    return ends, rng.uniform(0.1, 3.0, n - 1)


def swaps(tree, ends, n):
    """Every swap of every edge: row, edge out, and the rows of all pairs across."""
    for cut in range(1, n):
        inside = range(cut, tree.last[cut])
        outside = [r for r in range(n) if r not in inside]
        yield from ((cut, tree.edge[cut], a, b) for a in inside for b in outside)


def test_rows_are_a_preorder(rng):
    ends, weight = random_tree(rng, 30, 4)
    tree = root_tree(ends, weight, np.ones(29, bool), 7)
    assert tree.vertex[0] == 7 and tree.above[0] == tree.edge[0] == -1
    np.testing.assert_array_equal(tree.vertex[tree.row], np.arange(30))
    for r in range(1, 30):
        assert {tree.vertex[r], tree.vertex[tree.above[r]]} == set(ends[tree.edge[r]])
        assert tree.link[r] == weight[tree.edge[r]]
        assert tree.above[r] < r < tree.last[r] <= tree.last[tree.above[r]]


@pytest.mark.parametrize("reach", [1, 2, 5, 40])
@pytest.mark.parametrize("n", [2, 3, 12, 40])
def test_worth_and_heaviest_path_from_any_root(rng, n, reach):
    ends, weight = random_tree(rng, n, reach)
    edges = range(n - 1)
    score, path = oracle.worth(ends, weight, edges), oracle.heaviest_path(ends, weight, edges)[1]
    for root in range(n):
        tree = root_tree(ends, weight, np.ones(n - 1, bool), root)
        branches = measure(tree)
        np.testing.assert_allclose(branches.score, score, rtol=1e-12)
        np.testing.assert_array_equal(heaviest_path(tree, branches), path)


@pytest.mark.parametrize("reach", [1, 3, 12])
def test_worth_and_heaviest_path_after_any_swap(rng, reach):
    n = 9
    ends, weight = random_tree(rng, n, reach)
    tree = root_tree(ends, weight, np.ones(n - 1, bool), rng.integers(n))
    whole = measure(tree)
    for cut, out, inner, outer in swaps(tree, ends, n):
        new_ends, new_weight = ends.copy(), weight.copy()
        new_ends[out], new_weight[out] = tree.vertex[[inner, outer]], rng.uniform(0.1, 3.0)
        branches = measure_swap(tree, whole, cut, inner, outer, new_weight[out])
        np.testing.assert_allclose(branches.score, oracle.worth(new_ends, new_weight, range(n - 1)), rtol=1e-12)
        expected = oracle.heaviest_path(new_ends, new_weight, range(n - 1))[1]
        np.testing.assert_array_equal(heaviest_path(tree, branches), expected)


def test_a_star_is_worth_its_two_heaviest_arms_and_the_squares_of_the_others():
    ends = np.array([[0, v] for v in range(1, 6)])
    weight = np.array([1.0, 5.0, 2.0, 4.0, 3.0])
    branches = measure(root_tree(ends, weight, np.ones(5, bool), 3))
    assert branches.score == pytest.approx(9.0**2 + 3**2 + 2**2 + 1)


def test_edges_of_no_weight_keep_their_vertices():
    ends = np.array([[0, 1], [1, 2], [2, 3]])
    tree = root_tree(ends, np.array([0.0, 1.0, 0.0]), np.ones(3, bool), 1)
    np.testing.assert_array_equal(heaviest_path(tree, measure(tree)), [0, 1, 2, 3])
