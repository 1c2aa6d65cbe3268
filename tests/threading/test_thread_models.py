"""Threading a stretch of adenylate kinase: as it is, damaged, beside copies, backwards, with parts missing."""

from dataclasses import replace

import numpy as np
import pytest

from deepmm_jax.config import AlignmentConfig, ThreadingConfig
from deepmm_jax.errors import NothingBuiltError
from deepmm_jax.evidence.points import type_points
from deepmm_jax.threading.bonds import find_bonds
from deepmm_jax.threading.candidates import CalphaCandidates, candidate_features, find_candidates, offset_votes
from deepmm_jax.threading.models import thread_models
from deepmm_jax.threading.scores import fitted_weights, score_problem
from deepmm_jax.threading.search import longest_path, search_chain
from deepmm_jax.threading.tables import prepare
from reference.threading_stretch import Stretch


STEPS = 30_000


def thread(
    stretch: Stretch, positions: np.ndarray, seed: int = 0, start: np.ndarray | None = None, steps: int = STEPS
) -> np.ndarray:
    """Cα positions (NaN: unbuilt) of the best chain through given candidates, from the longest path unless told."""
    candidates = CalphaCandidates(
        positions=positions.astype(np.float32),
        features=candidate_features(stretch.evidence, offset_votes(stretch.evidence), positions),
    )
    bonds, points = (
        find_bonds(stretch.evidence, candidates.positions),
        type_points(stretch.evidence, candidates.positions),
    )
    problem = score_problem(candidates, bonds, points, stretch.profile, fitted_weights())
    start = longest_path(problem) if start is None else start
    places = search_chain(prepare(problem), start, steps, (3.0, 0.5), seed).places
    return np.where(places[:, None] >= 0, positions[places], np.nan)


def in_place(stretch: Stretch, built: np.ndarray) -> float:
    """Share of the built residues that lie within 2.5 Å of their own Cα."""
    here = np.isfinite(built[:, 0])
    return float((np.linalg.norm(built[here] - stretch.calpha[here], axis=1) < 2.5).mean())


def coverage(built: np.ndarray) -> float:
    return float(np.isfinite(built[:, 0]).mean())


def test_ideal_evidence_has_one_answer(stretch: Stretch):
    models = thread_models(stretch.evidence, stretch.profile, ThreadingConfig(searches=2), AlignmentConfig())
    best = models.positions[0]
    assert coverage(best) >= 0.97
    assert in_place(stretch, best) == 1.0
    assert np.sqrt(np.nanmean(((best - stretch.calpha) ** 2).sum(axis=1))) < 0.5
    assert (np.diff(models.scores) <= 0).all()
    assert models.mscores[0] > 1.5
    np.testing.assert_array_equal(models.built, np.isfinite(models.positions[..., 0]))
    assert (models.support[models.built] >= 0).all()
    assert (models.support[~models.built] == 0).all()


def test_the_reversed_chain_is_kept_and_scores_far_less(stretch: Stretch):
    models = thread_models(stretch.evidence, stretch.profile, ThreadingConfig(searches=1), AlignmentConfig())
    reverse = models.positions[1]
    assert models.scores[1] < models.scores[0] / 2
    direction = np.diff(stretch.calpha, axis=0)
    step = np.diff(reverse, axis=0)
    near = np.isfinite(step[:, 0])
    place = np.linalg.norm(reverse[:-1][near][:, None] - stretch.calpha[None, :-1], axis=2).argmin(axis=1)
    assert ((step[near] * direction[place]).sum(axis=1) < 0).mean() > 0.8


def crossed(order: np.ndarray, calpha: np.ndarray) -> np.ndarray:
    """The tails swapped where two strands pass each other closest."""
    away = np.linalg.norm(calpha[:, None] - calpha[None], axis=2)
    away[np.abs(np.subtract.outer(*[np.arange(len(calpha))] * 2)) < 20] = np.inf
    a, b = sorted(np.unravel_index(away.argmin(), away.shape))
    return np.concatenate([order[: a + 1], order[a + 1 : b + 1][::-1], order[b + 1 :]])


def revisited(order: np.ndarray, calpha: np.ndarray) -> np.ndarray:
    """A helix run through by every second turn, and back by the others."""
    turns = np.linalg.norm(calpha[3:] - calpha[:-3], axis=1) < 6
    first = next(k for k in range(len(turns)) if turns[k : k + 8].all())
    helix = np.arange(first, first + 11)
    return np.concatenate([order[:first], order[helix[::2]], order[helix[1::2][::-1]], order[first + 11 :]])


@pytest.mark.parametrize(
    "damage", [crossed, revisited, lambda order, calpha: order[::-1]], ids=["crossed", "revisited", "reversed"]
)
def test_a_path_that_took_the_wrong_way_is_mended(stretch: Stretch, damage):
    positions = stretch.candidates.positions
    order = np.linalg.norm(positions[:, None] - stretch.calpha[None], axis=2).argmin(axis=0)
    start = damage(order, stretch.calpha).astype(np.int32)
    assert (start != order).sum() > 8
    before = thread(stretch, positions, start=start, steps=0)
    assert in_place(stretch, before) * coverage(before) < 0.95
    built = thread(stretch, positions, start=start)
    assert in_place(stretch, built) == 1.0
    assert coverage(built) >= 0.97


def test_missing_candidates_are_skipped(stretch: Stretch, rng: np.random.Generator):
    positions = stretch.candidates.positions
    lost = rng.random(len(positions)) < 0.1
    built = thread(stretch, positions[~lost])
    assert in_place(stretch, built) >= 0.98
    assert coverage(built) >= 0.8


def test_spurious_candidates_are_not_believed(stretch: Stretch, rng: np.random.Generator):
    positions = stretch.candidates.positions
    extra = len(positions) * 3 // 10
    low, high = positions.min(axis=0), positions.max(axis=0)
    built = thread(stretch, np.concatenate([positions, rng.uniform(low, high, (extra, 3))]))
    assert in_place(stretch, built) >= 0.98
    assert coverage(built) >= 0.95


def test_one_of_several_copies_is_built_and_never_half_of_each(stretch: Stretch):
    """Three copies of the density side by side, touching: the chain keeps to one of them."""
    evidence = stretch.evidence
    width = evidence.main_chain.shape[0] - 12

    def beside(volume: np.ndarray) -> np.ndarray:
        out = np.zeros((volume.shape[0] + 2 * width, *volume.shape[1:]), volume.dtype)
        for copy in range(3):
            here = out[copy * width : copy * width + volume.shape[0]]
            np.copyto(here, volume, where=(np.abs(volume) > np.abs(here)))
        return out

    names = ("main_chain", "calpha", "offset", "directions", "amino_acids", "secondary_structure")
    volumes = {name: beside(getattr(evidence, name)) for name in names}
    volumes["amino_acids"] = np.maximum(volumes["amino_acids"], 1e-4)
    volumes["secondary_structure"] = np.maximum(volumes["secondary_structure"], 1e-4)
    for name in ("amino_acids", "secondary_structure"):
        volumes[name] /= volumes[name].sum(axis=-1, keepdims=True)
    three = replace(evidence, atoms=None, **volumes)
    models = thread_models(three, stretch.profile, ThreadingConfig(searches=1), AlignmentConfig())
    best = models.positions[0]
    away = np.stack([np.linalg.norm(best - (stretch.calpha + [copy * width, 0, 0]), axis=1) for copy in range(3)])
    assert np.nanmax((away < 2).sum(axis=1)) >= 0.9 * len(stretch.calpha)


@pytest.mark.parametrize("hidden", [(0, 12), (40, 52), (70, 84)])
def test_what_has_no_density_stays_unbuilt(stretch: Stretch, hidden: tuple[int, int]):
    gone = stretch.calpha[slice(*hidden)]
    kept = np.delete(stretch.calpha, slice(*hidden), axis=0)
    positions = stretch.candidates.positions
    to_gone, to_kept = (np.linalg.norm(positions[:, None] - set_[None], axis=2).min(axis=1) for set_ in (gone, kept))
    built = thread(stretch, positions[to_kept < to_gone])
    rest = np.delete(built, slice(*hidden), axis=0)
    assert np.isfinite(built[slice(*hidden), 0]).mean() <= 0.2
    assert coverage(rest) >= 0.95
    assert (
        in_place(stretch, np.where(np.isin(np.arange(len(built)), np.r_[slice(*hidden)])[:, None], np.nan, built))
        >= 0.98
    )


def test_an_empty_map_has_no_model(stretch: Stretch):
    empty = np.zeros_like(stretch.evidence.main_chain)
    evidence = replace(stretch.evidence, main_chain=empty, calpha=empty)
    assert len(find_candidates(evidence)) == 0
    with pytest.raises(NothingBuiltError, match="1AKE_A: no chain"):
        thread_models(evidence, stretch.profile, ThreadingConfig(searches=1, moves=1), AlignmentConfig())
