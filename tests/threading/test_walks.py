"""Sums over walks against enumeration, and what the field makes of a known chain."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from deepmm_jax.evidence.volumes import TypedPoints
from deepmm_jax.threading.field import likely_path, settle
from deepmm_jax.threading.geometry import ANGLES
from deepmm_jax.threading.models import merged
from deepmm_jax.threading.scores import (
    CLASH_DISTANCE,
    LONGEST_STEP,
    ThreadingProblem,
    fitted_weights,
    marked_pairs,
    score_problem,
)
from deepmm_jax.threading.search import ThreadedChain
from deepmm_jax.threading.walks import LEAST, find_walks, occupancies
from reference.threading_stretch import Stretch


def small_problem(rng: np.random.Generator, m: int, n: int) -> ThreadingProblem:
    positions = rng.uniform(0, 7, (m, 3)).astype(np.float32)
    points = TypedPoints(
        positions=positions,
        calpha=np.full(m, 0.5, np.float32),
        amino_acids=np.full((m, 20), 0.05, np.float32),
        secondary_structure=rng.dirichlet(np.ones(3), m).astype(np.float32),
    )
    length = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    bonds = np.where((length > 2.6) & (length < 5.0), rng.normal(0, 3, (m, m)), -np.inf).astype(np.float32)
    return ThreadingProblem(
        points=points,
        structure=rng.dirichlet(np.ones(3), n),
        sites=rng.normal(1, 2, (m, n)).astype(np.float32),
        bonds=bonds,
        near=marked_pairs(positions, CLASH_DISTANCE),
        close=np.zeros((m, m), bool),
        weights=replace(fitted_weights(), gap=3.0, gap_residue=0.5, end_residue=0.7),
    )


def walk_score(problem: ThreadingProblem, places: tuple[int, ...]) -> float:
    """The score of one walk, -inf where it is none."""
    weights, positions = problem.weights, problem.points.positions.astype(float)
    built = [i for i, c in enumerate(places) if c >= 0]
    if not built:
        return -np.inf
    total = sum(float(problem.sites[places[i], i]) for i in built)
    total -= weights.end_residue * (built[0] + len(places) - 1 - built[-1])
    for i, j in zip(built, built[1:]):
        a, b, skipped = places[i], places[j], j - i - 1
        if not skipped:
            total += float(problem.bonds[a, b]) if problem.bonds[a, b] > LEAST else -np.inf
        else:
            total -= weights.gap + weights.gap_residue * skipped
        if skipped == 1:
            far = np.linalg.norm(positions[a] - positions[b]) > 2 * LONGEST_STEP
            total -= np.inf if a == b or problem.near[a, b] or far else 0
    for i in range(len(places) - 2):
        a, b, c = places[i : i + 3]
        if min(a, b, c) >= 0 and np.isfinite(total):
            u, v = positions[a] - positions[b], positions[c] - positions[b]
            kind = int((u @ v / np.linalg.norm(u) / np.linalg.norm(v) < ANGLES).sum())
            state = (problem.structure[i + 1] + problem.points.secondary_structure[b]) / 2
            total += float(state @ np.array(weights.angle)[:, kind])
            total -= np.inf if a == c or problem.near[a, c] else 0
    return total


@pytest.mark.parametrize("temperature", [0.6, 3.0])
@pytest.mark.parametrize(("m", "n"), [(6, 1), (6, 3), (4, 4)])
def test_occupancies_are_those_of_all_walks_counted_one_by_one(
    rng: np.random.Generator, m: int, n: int, temperature: float
):
    problem = small_problem(rng, m, n)
    weight, wanted = 0.0, np.zeros((n, m))
    for places in product(range(-1, m), repeat=n):
        share = np.exp(walk_score(problem, places) / temperature)
        weight += share
        for i, c in enumerate(places):
            if c >= 0:
                wanted[i, c] += share
    found = occupancies(find_walks(problem), problem, problem.sites.T.astype(float), temperature)
    np.testing.assert_allclose(found, wanted / weight, atol=1e-5)


def test_long_chains_neither_overflow_nor_vanish(rng: np.random.Generator):
    problem = small_problem(rng, 40, 400)
    found = occupancies(find_walks(problem), problem, 3 * problem.sites.T.astype(float), 0.6)
    assert np.isfinite(found).all()
    assert found.sum(axis=1).max() < 1 + 1e-3
    assert found.sum() > 300


def test_the_field_settles_on_the_true_chain(stretch: Stretch):
    problem = score_problem(stretch.candidates, stretch.bonds, stretch.points, stretch.profile, fitted_weights())
    occupied = settle(problem, find_walks(problem), seed=0)
    assert occupied.shape == (len(stretch.profile), len(stretch.candidates))
    away = np.linalg.norm(stretch.candidates.positions[occupied.argmax(axis=1)] - stretch.calpha, axis=1)
    assert (away < 1.5).mean() > 0.95
    path = likely_path(occupied)
    assert len(np.unique(path)) == len(path)


def test_merging_puts_together_what_two_chains_have_right(stretch: Stretch):
    problem = score_problem(stretch.candidates, stretch.bonds, stretch.points, stretch.profile, fitted_weights())
    away = np.linalg.norm(stretch.candidates.positions[:, None] - stretch.calpha[None], axis=2)
    true, n = away.argmin(axis=0), len(stretch.calpha)
    halves = [np.where(np.arange(n) < n // 2 + 1, true, -1), np.where(np.arange(n) >= n // 2, true, -1)]
    narrow = merged(problem, [ThreadedChain(0.0, half) for half in halves])
    assert np.isfinite(narrow.bonds).sum() == n - 1
    occupied = settle(narrow, find_walks(narrow), seed=0)
    assert (occupied.argmax(axis=1) == true).mean() > 0.98
