"""Cα candidates: none of the true ones is missed, they are where votes gather, and a network without votes is heard."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import KDTree

from deepmm_jax.threading import candidates as module
from deepmm_jax.threading.candidates import Votes, find_candidates, gather, offset_votes, vote_modes
from reference.threading_stretch import Stretch


def test_every_calpha_has_a_candidate_and_there_are_not_many_more(stretch: Stretch):
    distance, _ = KDTree(stretch.candidates.positions).query(stretch.calpha)
    assert distance.max() < 0.1  # ideal offsets point to the very place
    assert len(stretch.candidates) < 4 * len(stretch.calpha)
    assert len(KDTree(stretch.candidates.positions).query_pairs(0.5)) == 0


def test_without_offsets_peaks_and_main_chain_are_left(stretch: Stretch):
    found = find_candidates(replace(stretch.evidence, offset=None, directions=None))
    distance, _ = KDTree(found.positions).query(stretch.calpha)
    assert (distance < 1.5).mean() > 0.97
    assert np.isfinite(found.features).all()


def test_gather_is_one_step_of_the_mean_shift(rng: np.random.Generator):
    votes = Votes(places=rng.uniform(0, 4, (60, 3)), weights=rng.random(60))
    at = rng.uniform(0, 4, (7, 3))
    height, mean = gather(votes, at)
    for position, value, place in zip(at, height, mean):
        squared = ((votes.places - position) ** 2).sum(axis=1)
        kernel = (
            votes.weights * np.exp(-squared / (2 * module.VOTE_WIDTH**2)) * (squared <= (3 * module.VOTE_WIDTH) ** 2)
        )
        assert value == pytest.approx(kernel.sum())
        np.testing.assert_allclose(place, (kernel[:, None] * votes.places).sum(axis=0) / kernel.sum())
    alone, there = gather(votes, np.array([[50.0, 0, 0]]))
    assert alone == 0
    np.testing.assert_array_equal(there, [[50.0, 0, 0]])


def test_modes_are_where_votes_gather(rng: np.random.Generator):
    centres = np.array([[0.0, 0, 0], [3.8, 0, 0], [3.8, 3.8, 0]])
    places = np.concatenate([centre + rng.normal(0, 0.2, (200, 3)) for centre in centres])
    modes = vote_modes(Votes(places=places, weights=np.ones(len(places))))
    distance, nearest = KDTree(modes).query(centres)
    assert distance.max() < 0.15
    assert len(set(nearest.tolist())) == 3


def test_votes_stand_in_angstrom_wherever_the_map_lies(stretch: Stretch):
    here = offset_votes(stretch.evidence)
    moved = offset_votes(replace(stretch.evidence, origin=stretch.evidence.origin + [10.0, -20.0, 30.0]))
    np.testing.assert_allclose(moved.places, here.places + [10.0, -20.0, 30.0])


def test_only_so_many_likely_candidates_are_kept(stretch: Stretch, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_CANDIDATES", 50)
    few = find_candidates(stretch.evidence)
    assert len(few) == 50
    distance, _ = KDTree(stretch.calpha).query(few.positions)
    assert (distance < 1).mean() > 0.9
