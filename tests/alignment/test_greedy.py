"""The authors' recurrence against the same recurrence written cell by cell."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax.alignment.greedy import GAP, align_greedy
from reference.alignment_oracle import greedy_alignment, padded_case, random_case, score_alignment


align = jax.jit(align_greedy)


def solve(case, n_residues, n_points):
    score, points = align(*(jnp.asarray(x) for x in (*case, n_residues, n_points)))
    return float(score), np.asarray(points)[:n_residues].tolist()


def solve_padded(case):
    """One shape for all cases, so that they compile once; `test_padding_changes_nothing` vouches for it."""
    return solve(padded_case(case, 16, 48, 48), *case[0].shape)


@pytest.mark.parametrize("steps_per_unit", [1, 2, 8])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 9), (6, 12), (6, 6), (7, 4), (12, 40)])
def test_equals_the_recurrence_to_the_last_bit_with_ties(n, m, steps_per_unit):
    for seed in range(8):
        case = random_case(seed, n, m, m, steps_per_unit)
        assert solve_padded(case) == greedy_alignment(*case)


def test_equals_the_recurrence_on_real_numbers():
    for seed in range(10):
        case = random_case(100 + seed, 15, 48, 48)
        score, points = greedy_alignment(*case)
        found, found_points = solve_padded(case)
        assert found == pytest.approx(score, abs=1e-4)
        assert found_points == points
        assert found == pytest.approx(score_alignment(*case, points, GAP), abs=1e-4)


def test_a_short_path_pays_for_every_residue_it_cannot_hold():
    score, points = solve_padded(random_case(3, 6, 4, 4))
    assert points.count(-1) == 2
    assert score == pytest.approx(2 * GAP, abs=50)


@pytest.mark.parametrize("n", [5, 9])
def test_padding_changes_nothing(n):
    case = random_case(n, n, 7, 7, 4)
    assert solve_padded(case) == solve(case, n, 7)
