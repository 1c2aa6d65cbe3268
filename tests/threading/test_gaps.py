"""Gaps: closed along main chain, never through empty space or another residue."""

from dataclasses import replace

import numpy as np
import pytest

from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.threading.gaps import close_gaps, open_gaps
from reference.threading_stretch import Stretch


def with_gap(stretch: Stretch, *gaps: slice) -> CalphaModels:
    positions = stretch.calpha[None].astype(np.float32).copy()
    built = np.ones((1, len(stretch.calpha)), bool)
    for gap in gaps:
        positions[0, gap] = np.nan
        built[0, gap] = False
    return CalphaModels(
        positions=positions,
        built=built,
        scores=np.ones(1, np.float32),
        mscores=np.ones(1, np.float32),
        support=built.astype(np.float32),
    )


def test_open_gaps_are_short_and_inside():
    built = np.array([0, 0, 1, 0, 1, 1] + [0] * 8 + [1] + [0] * 9 + [1, 0], bool)
    assert open_gaps(built) == [(2, 4), (5, 14)]


@pytest.mark.parametrize(("start", "length"), [(20, 1), (30, 2), (45, 3), (60, 5)])
def test_a_gap_is_closed_along_the_main_chain(stretch: Stretch, start: int, length: int):
    gap = slice(start, start + length)
    closed = close_gaps(stretch.evidence, with_gap(stretch, gap))
    assert closed.built.all()
    assert np.linalg.norm(closed.positions[0, gap] - stretch.calpha[gap], axis=1).max() < 2.0
    assert (closed.support[0, gap] > 0).any()
    others = np.delete(np.arange(len(stretch.calpha)), np.r_[gap])
    np.testing.assert_array_equal(closed.positions[0, others], stretch.calpha[others])


def test_nothing_is_built_through_empty_space(stretch: Stretch):
    gap = slice(40, 45)
    empty = replace(stretch.evidence, main_chain=stretch.evidence.main_chain * 0.01)
    model = with_gap(stretch, gap)
    np.testing.assert_array_equal(close_gaps(empty, model).built, model.built)


def test_ends_and_long_gaps_stay_open(stretch: Stretch):
    model = with_gap(stretch, slice(0, 3), slice(30, 39))
    np.testing.assert_array_equal(close_gaps(stretch.evidence, model).built, model.built)


def test_a_gap_too_short_for_its_distance_stays_open(stretch: Stretch):
    model = with_gap(stretch, slice(20, 30))
    squeezed = replace(
        model,
        positions=np.concatenate([model.positions[:, :22], model.positions[:, 30:]], axis=1),
        built=np.concatenate([model.built[:, :22], model.built[:, 30:]], axis=1),
        support=np.concatenate([model.support[:, :22], model.support[:, 30:]], axis=1),
    )
    assert open_gaps(squeezed.built[0]) == [(19, 22)]
    assert not close_gaps(stretch.evidence, squeezed).built.all()
