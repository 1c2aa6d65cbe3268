"""From main-chain paths to ranked models: an artificial path along a real backbone, and laws."""

import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from deepmm_jax.alignment import align_paths, paper_mscore
from deepmm_jax.alignment.ranking import distinct
from deepmm_jax.config import AlignmentConfig
from deepmm_jax.constants import SECONDARY_STRUCTURES
from deepmm_jax.errors import ConfigError, NothingBuiltError
from deepmm_jax.evidence.volumes import TypedPoints
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.secondary_structure import assign_secondary_structure
from deepmm_jax.tracing.values import LocalDensePoints, MainChainPaths


DATA = Path(os.environ.get("DEEPMM_JAX_DATA", Path(__file__).parents[3] / "shared" / "data"))
YEAST_PROTEIN = DATA / "structures" / "1yfq_A.pdb.gz"
PAPER = AlignmentConfig(recurrence="greedy", match="matrices", end_gap=None)
EXACT = replace(PAPER, recurrence="exact")
LOG_ODDS = AlignmentConfig(match="log-odds")


def as_paths(positions, *paths):
    points = LocalDensePoints(
        positions=positions,
        density=np.ones(len(positions), np.float32),
        voxels=np.zeros((0, 3), int),
        member=np.zeros(0, int),
    )
    return MainChainPaths(points=points, paths=tuple(np.asarray(path) for path in paths))


def evidence_at(positions, nearest_calpha, profile):
    """Points that know the type and the structure of the residue nearest to them."""
    distance = np.linalg.norm(positions - nearest_calpha[1], axis=1)
    residue = nearest_calpha[0]
    amino_acids = 0.7 * np.eye(21)[profile.amino_acids[residue]][:, :20] + 0.3 / 20
    return TypedPoints(
        positions=positions.astype(np.float32),
        calpha=np.exp(-(distance**2)).astype(np.float32),
        amino_acids=amino_acids.astype(np.float32),
        secondary_structure=profile.secondary_structure[residue],
    )


def toy_chain(n, seed=0, letters="GAKWLDFRHE"):
    """A smooth random chain of Cα 3.8 Å apart with three points between neighbours, and its evidence."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(n - 1, 3))
    for i in range(1, n - 1):
        steps[i] = 0.6 * steps[i - 1] / np.linalg.norm(steps[i - 1]) + 0.5 * steps[i]
    calpha = np.cumsum(np.vstack([np.zeros(3), 3.8 * steps / np.linalg.norm(steps, axis=1, keepdims=True)]), axis=0)
    along = np.linspace(0, n - 1, 4 * (n - 1) + 1)
    positions = np.stack([np.interp(along, np.arange(n), x) for x in calpha.T], axis=1)
    structure = np.eye(3, dtype=np.float32)[rng.integers(3, size=n)]
    profile = SequenceProfile(name="toy", letters="".join(rng.choice(list(letters), n)), secondary_structure=structure)
    residue = np.round(along).astype(int)
    return calpha, profile, evidence_at(positions, (residue, calpha[residue]), profile)


@cache
def real_backbone():
    """Chain A of 1YFQ sampled at N, Cα, C and the midpoints between them, with 0.3 Å of noise."""
    if not YEAST_PROTEIN.exists():
        pytest.skip(f"needs the shared data: {YEAST_PROTEIN} is absent (set DEEPMM_JAX_DATA)")
    chain = read_chains(YEAST_PROTEIN)[0]
    backbone = np.stack([chain.atom(name) for name in ("N", "CA", "C")], axis=1).reshape(-1, 3)
    dense = np.interp(np.arange(2 * len(backbone) - 1) / 2, np.arange(len(backbone)), np.arange(len(backbone)))
    positions = np.stack([np.interp(dense, np.arange(len(backbone)), x) for x in backbone.T], axis=1)
    residue = np.clip((dense // 3).astype(int), 0, len(chain) - 1)
    positions += np.random.default_rng(0).normal(scale=0.3 / np.sqrt(3), size=positions.shape)
    states = [SECONDARY_STRUCTURES.index(s) for s in assign_secondary_structure(chain)]
    profile = SequenceProfile(
        name="1yfq", letters=chain.sequence, secondary_structure=np.eye(3, dtype=np.float32)[states]
    )
    return chain.calpha, profile, evidence_at(positions, (residue, chain.calpha[residue]), profile)


@cache
def real_models(config):
    """Models from the real backbone, whose only path runs from the last residue to the first."""
    _, profile, points = real_backbone()
    return align_paths(as_paths(points.positions, np.arange(len(points.positions))[::-1]), points, profile, config)


def in_place(models, calpha):
    return np.sqrt(np.nanmean(np.sum((models.positions[0] - calpha) ** 2, axis=-1)))


@pytest.mark.parametrize("config", [PAPER, EXACT, LOG_ODDS], ids=["greedy", "exact", "log-odds"])
def test_a_real_backbone_is_found_again(config):
    calpha, _, _ = real_backbone()
    models = real_models(config)
    assert models.built[0].all()
    assert in_place(models, calpha) < 0.6
    assert models.scores[0] == models.scores.max()
    assert np.all(np.diff(models.scores) <= 0)


def test_exact_scores_no_less_than_greedy_on_a_real_backbone():
    assert real_models(EXACT).scores[0] >= real_models(PAPER).scores[0] - 1e-3


def test_paper_mscore_is_the_score_per_residue_of_the_paper_alignment():
    _, profile, points = toy_chain(30)
    paths = as_paths(points.positions, np.arange(len(points.positions)))
    for config in (PAPER, EXACT):
        models = align_paths(paths, points, profile, config)
        np.testing.assert_allclose(models.mscores, models.scores / 30, rtol=1e-5)


def test_mscore_does_not_depend_on_the_match_mode():
    _, profile, points = toy_chain(30)
    paths = as_paths(points.positions, np.arange(len(points.positions)))
    by_matrices, by_log_odds = (align_paths(paths, points, profile, config) for config in (EXACT, LOG_ODDS))
    np.testing.assert_array_equal(by_matrices.positions[0], by_log_odds.positions[0])
    assert by_log_odds.scores[0] > by_matrices.scores[0] + 1
    assert by_log_odds.mscores[0] == pytest.approx(by_matrices.mscores[0], abs=0.02)


def test_mscore_by_hand():
    profile = SequenceProfile(
        name="two", letters="WKG", secondary_structure=np.float32([[1, 0, 0], [0, 0, 1], [0, 0, 1]])
    )
    points = TypedPoints(
        positions=np.zeros((3, 3), np.float32),
        calpha=np.float32([1.0, 0.5, 0.9]),
        amino_acids=np.eye(20, dtype=np.float32)[[18, 8, 5]],  # W, K, G
        secondary_structure=np.float32([[1, 0, 0], [1, 0, 0], [0, 0, 1]]),
    )
    distances = np.float32([np.nan, 4.0, np.nan])
    found = paper_mscore(profile, points, np.array([True, True, False]), distances, 3.8)
    assert found == pytest.approx(((1.2 + 0.75 + 1.6) + (1.1 - 0.25 + 0.8) - 0.8 * 0.2) / 3, rel=1e-5)


@pytest.mark.parametrize("config", [PAPER, EXACT, LOG_ODDS], ids=["greedy", "exact", "log-odds"])
def test_the_direction_of_a_path_does_not_matter(config):
    _, profile, points = toy_chain(30)
    order = np.arange(len(points.positions))
    one, other = (
        align_paths(as_paths(points.positions, path), points, profile, config) for path in (order, order[::-1])
    )
    np.testing.assert_array_equal(one.positions, other.positions)
    np.testing.assert_array_equal(one.scores, other.scores)


def test_models_move_with_the_map():
    _, profile, points = toy_chain(30)
    rotation = Rotation.random(random_state=0)
    order = np.arange(len(points.positions))
    models = align_paths(as_paths(points.positions, order), points, profile, EXACT)
    moved = replace(points, positions=(rotation.apply(points.positions) + [30, -20, 5]).astype(np.float32))
    found = align_paths(as_paths(moved.positions, order), moved, profile, EXACT)
    expected = rotation.apply(models.positions[0]) + [30, -20, 5]
    np.testing.assert_allclose(found.positions[0], expected, atol=1e-4)
    assert found.scores[0] == pytest.approx(models.scores[0], abs=1e-3)


def test_the_order_and_the_number_of_points_do_not_matter():
    _, profile, points = toy_chain(30)
    m = len(points.positions)
    models = align_paths(as_paths(points.positions, np.arange(m)), points, profile, EXACT)
    place = np.random.default_rng(0).permutation(m + 100)  # of the points, 100 lie on no path
    scattered = TypedPoints(
        positions=np.zeros((m + 100, 3), np.float32),
        calpha=np.ones(m + 100, np.float32),
        amino_acids=np.full((m + 100, 20), 0.05, np.float32),
        secondary_structure=np.full((m + 100, 3), 1 / 3, np.float32),
    )
    for name in ("positions", "calpha", "amino_acids", "secondary_structure"):
        getattr(scattered, name)[place[:m]] = getattr(points, name)
    found = align_paths(as_paths(scattered.positions, place[:m]), scattered, profile, EXACT)
    np.testing.assert_array_equal(found.positions, models.positions)
    np.testing.assert_array_equal(found.scores, models.scores)


def test_ends_beyond_the_path_stay_unbuilt():
    calpha, profile, points = toy_chain(40)
    inner = np.arange(4 * 6, 4 * 33 + 1)  # residues 6 to 33 are visible
    models = align_paths(as_paths(points.positions, inner), points, profile, LOG_ODDS)
    np.testing.assert_array_equal(np.flatnonzero(models.built[0]), np.arange(6, 34))
    np.testing.assert_allclose(models.positions[0, 6:34], calpha[6:34], atol=1e-3)
    np.testing.assert_array_equal(np.isfinite(models.positions).all(axis=-1), models.built)
    assert np.all(models.support[0, 6:34] > 0.9)
    assert not models.support[~models.built].any()


def test_the_right_path_ranks_first_and_models_are_distinct():
    calpha, profile, points = toy_chain(40)
    _, _, decoy = toy_chain(40, seed=9)
    m = len(points.positions)
    both = TypedPoints(
        positions=np.concatenate([decoy.positions + 60, points.positions]),
        calpha=np.concatenate([decoy.calpha, points.calpha]),
        amino_acids=np.concatenate([decoy.amino_acids, points.amino_acids]),
        secondary_structure=np.concatenate([decoy.secondary_structure, points.secondary_structure]),
    )
    models = align_paths(as_paths(both.positions, np.arange(m), np.arange(m, 2 * m)), both, profile, EXACT)
    np.testing.assert_allclose(models.positions[0], calpha, atol=1e-3)
    assert 2 <= len(models) <= 10
    assert distinct(models.positions, 5.0, 10) == list(range(len(models)))


def test_distinct_drops_moved_copies_and_keeps_what_shares_too_little():
    rng = np.random.default_rng(0)
    first, other = rng.normal(size=(2, 30, 3)) * 20
    copy = Rotation.random(random_state=1).apply(first) + 7 + rng.normal(size=(30, 3))
    start, end = first.copy(), first.copy()
    start[15:] = np.nan
    end[:10] = np.nan
    models = np.stack([start, copy, other, end, first]).astype(np.float32)
    assert distinct(models, 5.0, 10) == [0, 2, 3]  # start and end share five residues
    assert distinct(models, 5.0, 2) == [0, 2]
    assert distinct(models, 0.0, 10) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("config", [PAPER, EXACT], ids=["greedy", "exact"])
def test_full_length_needs_a_long_enough_path(config):
    _, profile, points = toy_chain(30)
    with pytest.raises(NothingBuiltError, match="toy: none of 2 directed main-chain paths .the longest has 29 points"):
        align_paths(as_paths(points.positions, np.arange(29)), points, profile, config)


def test_nothing_to_align_and_unknown_recurrence_are_errors():
    _, profile, points = toy_chain(30)
    with pytest.raises(NothingBuiltError, match="0 main-chain paths"):
        align_paths(as_paths(points.positions), points, profile, EXACT)
    config = replace(EXACT)
    object.__setattr__(config, "recurrence", "soft")  # the type check of the tests would stop a plain argument
    with pytest.raises(ConfigError, match="'soft'"):
        align_paths(as_paths(points.positions, np.arange(9)), points, profile, config)
