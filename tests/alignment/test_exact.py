"""The exact alignment against enumeration of all alignments, and laws it obeys."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax.alignment.exact import UNREACHABLE, align_exact
from deepmm_jax.alignment.skips import LONGEST_LEAP, POINTS_LEAPT, path_leaps
from reference.alignment_oracle import (
    best_alignment,
    exact_score,
    greedy_alignment,
    leap_score,
    padded_case,
    random_case,
    random_path,
    score_alignment,
)


END_GAPS = [None, -1.0, -0.1]
SKIPS = [(-3.0, -0.5), (-0.5, -0.25), (0.0, 0.0), (-100.0, -1.0)]


@partial(jax.jit, static_argnames="end_gap")
def align(sites, spans, weights, standard, *sizes, positions=None, skip=None, end_gap):
    leaps = None if positions is None else path_leaps(positions, skip[0], skip[1])
    return align_exact(sites, spans, weights, standard, *sizes, leaps, end_gap=end_gap)


def solve(case, end_gap, n_residues, n_points, positions=None, skip=None):
    problem = (jnp.asarray(x) for x in (*case, n_residues, n_points))
    leaps = {} if skip is None else {"positions": jnp.asarray(positions), "skip": jnp.asarray(skip, jnp.float32)}
    score, points = align(*problem, end_gap=end_gap, **leaps)
    return float(score), tuple(np.asarray(points)[:n_residues].tolist())


def solve_padded(case, end_gap, positions=None, skip=None):
    """One shape for all cases, so that they compile once; `test_padding_changes_nothing` vouches for it."""
    if positions is not None:
        positions = np.pad(positions, ((0, 64 - len(positions)), (0, 0)), mode="edge")
    return solve(padded_case(case, 24, 64, 20), end_gap, *case[0].shape, positions, skip)


def leap_of(positions, skip):
    return partial(_leap, positions, skip)


def _leap(positions, skip, start, end, unbuilt):
    return leap_score(positions, start, end, unbuilt, skip, POINTS_LEAPT, LONGEST_LEAP)


@pytest.mark.parametrize("end_gap", END_GAPS)
@pytest.mark.parametrize(("n", "m", "band"), [(1, 1, 1), (2, 8, 4), (4, 12, 5), (6, 12, 11), (6, 7, 3), (6, 6, 6)])
def test_equals_the_best_of_all_alignments(n, m, band, end_gap):
    for seed in range(3):
        case = random_case(seed, n, m, band)
        score, points = best_alignment(*case, end_gap)
        found, found_points = solve_padded(case, end_gap)
        assert found == pytest.approx(score, abs=1e-4)
        assert found_points == points


@pytest.mark.parametrize("skip", SKIPS)
@pytest.mark.parametrize(("n", "m", "band"), [(1, 1, 1), (3, 9, 4), (5, 11, 3)])
def test_equals_the_best_of_all_alignments_with_skips(n, m, band, skip):
    for seed in range(3):
        case, positions = random_case(seed, n, m, band), random_path(seed, m)
        score, points = best_alignment(*case, -1.0, leap_of(positions, skip))
        found, found_points = solve_padded(case, -1.0, positions, skip)
        assert found == pytest.approx(score, abs=1e-4)
        assert found_points == points


@pytest.mark.parametrize("skip", SKIPS[1:3])
def test_skips_equal_the_recurrence_over_all_ways(skip):
    skips = 0
    for seed in range(3):
        case, positions = random_case(seed, 14, 40, 9), random_path(seed, 40)
        leap = leap_of(positions, skip)
        score, points = solve_padded(case, -1.0, positions, skip)
        assert score == pytest.approx(exact_score(*case, -1.0, leap), abs=1e-3)
        assert score == pytest.approx(score_alignment(*case, points, -1.0, leap), abs=1e-3)
        built = np.flatnonzero(np.array(points) >= 0)
        skips += np.count_nonzero(np.diff(built) > 1)
    assert skips > 3


def test_skips_that_cost_too_much_are_not_made():
    case, positions = random_case(5, 20, 60, 12), random_path(5, 60)
    assert solve_padded(case, -1.0, positions, (-1000.0, -1.0)) == solve_padded(case, -1.0)


def test_a_gap_is_as_long_as_the_chain_that_bridges_it():
    """Twelve residues on a line, of which the points 4 to 7 are taken away; the rest fits without them."""
    calpha = np.arange(12) * np.array([[3.8], [0.0], [0.0]])
    for unbuilt in (3, 4, 6):  # as many residues as the sequence has where four places are empty
        positions = np.delete(calpha.T, range(4, 8), axis=0).astype(np.float32)
        n = 8 + unbuilt
        sites = np.full((n, 8), -4.0, np.float32)
        sites[range(4), range(4)] = sites[range(n - 4, n), range(4, 8)] = 3.0
        spans = np.tile(np.arange(1, 8, dtype=np.float32)[:, None] * 3.8, (1, 8))
        case = (sites, spans, np.full(n, 5.0, np.float32), np.float32(3.8))
        _, points = solve_padded(case, -1.0, positions - 0.01 * positions, (-2.0, -0.1))
        whole = (0, 1, 2, 3, *(-1,) * unbuilt, 4, 5, 6, 7)
        assert (points == whole) == (unbuilt >= 4)


@pytest.mark.parametrize("end_gap", END_GAPS)
def test_score_is_that_of_the_alignment(end_gap):
    for seed in range(5):
        case = random_case(seed, 20, 64, 9)
        score, points = solve_padded(case, end_gap)
        assert score == pytest.approx(score_alignment(*case, points, end_gap or 0.0), abs=1e-3)
        built = [j for j in points if j >= 0]
        assert all(0 < b - a <= 9 for a, b in zip(built, built[1:]))


def test_ends_without_evidence_stay_unbuilt():
    sites, spans, weights, standard = random_case(2, 12, 60, 20)
    sites[:3] = sites[9:] = -8.0
    _, points = solve_padded((sites, spans, weights, standard), -1.0)
    assert points[:3] == points[9:] == (-1, -1, -1)
    assert min(points[3:9]) >= 0
    _, forced = solve_padded((sites, spans, weights, standard), None)
    assert min(forced) >= 0


def test_dear_end_gaps_force_every_residue():
    case = random_case(8, 20, 64, 20)
    assert solve_padded(case, -1000.0)[1] == solve_padded(case, None)[1]


def test_a_path_too_short_has_no_full_length_alignment():
    score, points = solve_padded(random_case(3, 6, 4, 4), None)
    assert score < UNREACHABLE / 2
    assert set(points) == {-1}


def test_never_worse_than_greedy():
    for seed in range(10):
        case = random_case(seed, 20, 21, 20)
        greedy, points = greedy_alignment(*case)
        assert min(points) >= 0
        assert solve_padded(case, None)[0] >= greedy - 1e-4


@pytest.mark.parametrize("end_gap", [None, -0.1])
def test_the_mirrored_problem_has_the_mirrored_answer(end_gap):
    sites, spans, weights, standard = random_case(4, 15, 60, 12)
    weights[:] = 0.8
    # Entry [k - 1, j] spans j - k ... j; backwards the same segment ends at the mirror image of j - k.
    mirrored = np.stack([np.roll(row[::-1], k) for k, row in enumerate(spans, start=1)])
    score, points = solve_padded((sites, spans, weights, standard), end_gap)
    found, found_points = solve_padded((sites[::-1, ::-1], mirrored, weights, standard), end_gap)
    assert found == pytest.approx(score, abs=1e-4)
    assert tuple(59 - j if j >= 0 else -1 for j in found_points[::-1]) == points


@pytest.mark.parametrize("end_gap", [None, -1.0])
def test_padding_changes_nothing(end_gap):
    case = random_case(6, 10, 40, 9)
    assert solve_padded(case, end_gap) == solve(case, end_gap, 10, 40)
    leaps = random_path(6, 40), (-0.5, -0.25)
    assert solve_padded(case, -1.0, *leaps) == solve(case, -1.0, 10, 40, *leaps)


def test_gradient_of_the_score_is_the_alignment():
    sites, *others = (jnp.asarray(x) for x in (*random_case(9, 8, 30, 9), 8, 30))
    differentiate = jax.jit(jax.value_and_grad(lambda s: align(s, *others, end_gap=None), has_aux=True))
    (_, points), gradient = differentiate(sites)
    np.testing.assert_allclose(gradient, np.eye(30)[np.asarray(points)], atol=1e-6)
