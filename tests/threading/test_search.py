"""The search: its dynamic programming against an oracle, its bookkeeping, and what it finds."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from deepmm_jax.evidence.volumes import TypedPoints
from deepmm_jax.threading.geometry import N_ANGLES, N_DIHEDRALS
from deepmm_jax.threading.rows import back_row, empty_rows, front_row, join, trace
from deepmm_jax.threading.scores import ThreadingProblem, chain_score, fitted_weights
from deepmm_jax.threading.search import align_path, longest_path, search_chain
from deepmm_jax.threading.tables import prepare
from reference.threading_oracle import best_placement


def random_problem(rng: np.random.Generator, m: int, n: int, *, crowded: bool) -> ThreadingProblem:
    """Candidates in a box with random scores; in a crowded one some exclude each other."""
    positions = rng.uniform(0, 6 if crowded else 12, (m, 3)).astype(np.float32)
    away = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    return ThreadingProblem(
        points=TypedPoints(
            positions=positions,
            calpha=np.ones(m, np.float32),
            amino_acids=np.full((m, 20), 0.05, np.float32),
            secondary_structure=np.full((m, 3), 1 / 3, np.float32),
        ),
        sites=rng.normal(1, 3, (m, n)).astype(np.float32),
        bonds=np.where((away > 0) & (rng.random((m, m)) < 0.6), rng.normal(0, 2, (m, m)), -np.inf).astype(np.float32),
        near=(away > 0) & (away < (2.7 if crowded else 0.1)),
        close=(away >= 2.7) & (away < (3.8 if crowded else 0.1)),
        structure=rng.dirichlet(np.ones(3), n),
        weights=replace(
            fitted_weights(),
            angle=rng.normal(0, 0.2 * crowded, (3, N_ANGLES)).tolist(),
            dihedral=rng.normal(0, 0.2 * crowded, (3, N_DIHEDRALS)).tolist(),
            close=1.5,
            gap=2.0,
            gap_residue=0.3,
            end_residue=0.7,
            clash=6.0,
        ),
    )


@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 5), (9, 4), (12, 12), (7, 20)])
def test_the_sequence_is_placed_on_a_path_as_well_as_can_be(rng: np.random.Generator, m: int, n: int):
    for _ in range(5):
        problem = random_problem(rng, m, n, crowded=False)
        path = rng.permutation(m)
        wide = replace(problem, points=replace(problem.points, positions=problem.points.positions / 100))
        score, places = best_placement(wide, path)
        chain = align_path(prepare(wide), path)
        assert chain.score == pytest.approx(score, abs=1e-3)
        np.testing.assert_array_equal(chain.places, places)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 5), (9, 4), (12, 12), (7, 20)])
def test_a_placement_is_the_same_wherever_its_front_and_back_are_joined(rng: np.random.Generator, m: int, n: int):
    for _ in range(3):
        problem = random_problem(rng, m, n, crowded=False)
        path = rng.permutation(m).astype(np.int32)
        tables, slots, rows = prepare(problem), rng.permutation(m + 3)[:m], empty_rows(m + 3, n)
        for j in range(m):
            front_row(tables, rows, path, slots, j)
        for j in reversed(range(m)):
            back_row(tables, rows, path, slots, m, j)
        score, places = best_placement(problem, path)
        for j in range(m + 1):
            found, room = np.empty(n, np.int32), np.empty(n, np.float32)
            assert join(tables, rows, path, slots, m, j, room) == pytest.approx(score, abs=1e-3)
            trace(tables, rows, path, slots, m, j, found, room)
            np.testing.assert_array_equal(found, places)


def test_the_search_counts_clashes_and_distances_as_the_score_does(rng: np.random.Generator):
    faults = 0
    for _ in range(20):
        problem = random_problem(rng, 14, 10, crowded=True)
        chain = align_path(prepare(problem), rng.permutation(14))
        assert chain.score == pytest.approx(chain_score(problem, chain.places), abs=1e-3)
        faults += chain.score < best_placement(problem, chain.places[chain.places >= 0])[0] - 1
    assert faults > 0


def test_no_short_search_beats_a_long_one_by_much_and_all_scores_are_true(rng: np.random.Generator):
    problem = random_problem(rng, 25, 15, crowded=True)
    tables, start = prepare(problem), longest_path(problem)
    found = [search_chain(tables, start, steps, (3.0, 0.5), 1) for steps in (0, 300, 20_000)]
    for chain in found:
        assert chain.score == pytest.approx(chain_score(problem, chain.places), abs=1e-2)
        used = chain.places[chain.places >= 0]
        assert len(set(used.tolist())) == len(used)
    assert found[0].score <= found[1].score <= found[2].score
    assert found[2].score > found[0].score + 5


def test_a_seed_gives_one_chain_and_another_may_give_another(rng: np.random.Generator):
    problem = random_problem(rng, 40, 30, crowded=True)
    tables, start = prepare(problem), longest_path(problem)
    first, again, other = (search_chain(tables, start, 2000, (3.0, 0.5), seed) for seed in (5, 5, 6))
    assert first.score == again.score
    np.testing.assert_array_equal(first.places, again.places)
    assert first.score != other.score


def test_the_best_of_all_placements_is_found(rng: np.random.Generator):
    """Against the exhaustive answer on five candidates: every order of them, aligned by the oracle."""
    problem = random_problem(rng, 5, 5, crowded=True)
    tables = prepare(problem)
    best = max(
        align_path(tables, np.array(order)).score for size in range(1, 6) for order in permutations(range(5), size)
    )
    assert search_chain(tables, longest_path(problem), 5000, (3.0, 0.5), 0).score == pytest.approx(best, abs=1e-3)


def test_without_bonds_nothing_is_found(rng: np.random.Generator):
    problem = replace(random_problem(rng, 6, 4, crowded=False), bonds=np.full((6, 6), -np.inf, np.float32))
    assert len(longest_path(problem)) == 0
    assert (search_chain(prepare(problem), longest_path(problem), 100, (3.0, 0.5), 0).places == -1).all()


def test_a_search_can_be_ended_from_outside(rng: np.random.Generator):
    problem = random_problem(rng, 40, 30, crowded=True)
    tables, start = prepare(problem), longest_path(problem)
    halt = np.zeros(1, bool)
    with ThreadPoolExecutor() as workers:
        endless = workers.submit(search_chain, tables, start, 10**9, (3.0, 0.5), 0, halt)
        time.sleep(0.2)
        assert not endless.done()
        halt[0] = True
        chain = endless.result(timeout=10)
    assert chain.score == pytest.approx(chain_score(problem, chain.places), abs=1e-2)
