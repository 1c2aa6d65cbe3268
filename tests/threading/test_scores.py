"""Bonds and the threading score: features against their definition, the score against a count by hand."""

from dataclasses import replace

import numpy as np
import pytest

from deepmm_jax.constants import SECONDARY_STRUCTURES
from deepmm_jax.threading.bonds import LONGEST, SHORTEST, find_bonds
from deepmm_jax.threading.geometry import shape_counts
from deepmm_jax.threading.scores import (
    CLASH_DISTANCE,
    ThreadingProblem,
    chain_score,
    fitted_weights,
    score_problem,
    threading_problem,
)
from reference.threading_stretch import Stretch


def test_bonds_join_all_pairs_of_fitting_distance_in_both_directions(stretch: Stretch):
    positions = stretch.candidates.positions
    away = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    wanted = {tuple(pair) for pair in np.argwhere((away > SHORTEST) & (away <= LONGEST)).tolist()}
    assert {tuple(pair) for pair in stretch.bonds.ends.tolist()} == wanted


def test_true_bonds_look_better_than_false_ones_and_their_reverse(stretch: Stretch):
    bonds = find_bonds(stretch.evidence, stretch.calpha.astype(np.float32))
    follows = bonds.ends[:, 1] == bonds.ends[:, 0] + 1
    precedes = bonds.ends[:, 0] == bonds.ends[:, 1] + 1
    worth = bonds.features @ np.array(fitted_weights().bond)
    assert follows.sum() == len(stretch.calpha) - 1
    assert worth[follows].min() > np.median(worth[~follows & ~precedes])
    assert np.median(worth[follows]) > np.median(worth[precedes]) + 1
    length = np.linalg.norm(np.diff(stretch.calpha, axis=0), axis=1)
    np.testing.assert_allclose(np.sqrt(bonds.features[follows, 1]), np.abs(length - 3.8), atol=1e-4)
    assert bonds.features[follows, 6][1:-1].min() > 0.99  # the vector to the next Cα lies on the bond
    assert bonds.features[precedes, 8][1:-1].min() > 0.99  # as that to the previous one does on its reverse


def test_without_directions_bonds_have_none(stretch: Stretch):
    bonds = find_bonds(replace(stretch.evidence, directions=None), stretch.candidates.positions)
    assert (bonds.features[:, 6:] == 0).all()


def shape_worth(problem: ThreadingProblem, places: np.ndarray) -> float:
    """What the shape of a chain adds to its score."""
    points = problem.points
    angles, dihedrals = shape_counts(points.positions, problem.structure, points.secondary_structure, places)
    return float((angles * problem.weights.angle).sum() + (dihedrals * problem.weights.dihedral).sum())


def test_the_score_of_a_chain_is_the_sum_of_its_parts(stretch: Stretch):
    weights = replace(fitted_weights(), close=1.5, gap=5.0, gap_residue=0.25, end_residue=0.5, clash=7.0)
    problem = score_problem(stretch.candidates, stretch.bonds, stretch.points, stretch.profile, weights)
    nearest = np.linalg.norm(stretch.candidates.positions[:, None] - stretch.calpha[None], axis=2).argmin(axis=0)
    whole = chain_score(problem, nearest)
    sites = problem.sites[nearest, np.arange(len(nearest))]
    bonds = problem.bonds[nearest[:-1], nearest[1:]]
    close = problem.close[np.ix_(nearest, nearest)] & (np.abs(np.subtract.outer(*[np.arange(len(nearest))] * 2)) >= 3)
    shape = shape_worth(problem, nearest)
    assert whole == pytest.approx(float(sites.sum() + bonds.sum() - weights.close * close.sum() / 2 + shape), rel=1e-5)
    part = nearest.copy()
    part[:2] = -1
    part[30:33] = -1
    lost = sites[:2].sum() + bonds[:2].sum() + sites[30:33].sum() + bonds[29:33].sum()
    lost += shape - shape_worth(problem, part)
    assert chain_score(problem, part) == pytest.approx(float(whole - lost - 2 * 0.5 - 5 - 3 * 0.25), rel=1e-5)
    leap = nearest.copy()
    leap[30:32] = -1
    leap[32:] = np.roll(nearest[32:], 25)
    far = np.linalg.norm(problem.points.positions[leap[29]] - problem.points.positions[leap[32]])
    assert far > 12
    straight = chain_score(replace(problem, weights=replace(weights, clash=0.0)), leap)
    assert chain_score(problem, leap) < straight - 7 + 1e-3


def test_candidates_that_are_one_exclude_each_other(stretch: Stretch):
    problem = threading_problem(stretch.evidence, stretch.profile)
    positions = problem.points.positions
    away = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    np.testing.assert_array_equal(problem.near, (away < CLASH_DISTANCE) & ~np.eye(len(positions), dtype=bool))


def test_the_right_amino_acid_and_state_score_best(stretch: Stretch):
    problem = threading_problem(stretch.evidence, stretch.profile)
    nearest = np.linalg.norm(problem.points.positions[:, None] - stretch.calpha[None], axis=2).argmin(axis=0)
    sites = problem.sites[nearest]
    assert (np.diag(sites)[:, None] >= sites - 2).mean() > 0.95
    structure = np.array(fitted_weights().structure)
    assert structure.shape == (len(SECONDARY_STRUCTURES),) * 2
    assert structure[0, 0] > structure[0, 1]
    assert structure[1, 1] > structure[1, 0]


def test_unknown_secondary_structure_counts_for_nothing(stretch: Stretch):
    unknown = replace(stretch.profile, secondary_structure=np.zeros_like(stretch.profile.secondary_structure))
    weights = fitted_weights()
    without = replace(weights, structure=np.zeros((3, 3)).tolist())
    pieces = (stretch.candidates, stretch.bonds, stretch.points)
    np.testing.assert_allclose(
        score_problem(*pieces, unknown, weights).sites,
        score_problem(*pieces, stretch.profile, without).sites,
        atol=1e-5,
    )
