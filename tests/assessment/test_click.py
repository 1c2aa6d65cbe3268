"""Structure overlap: one to one, blind to sequence and order, in the frame that overlaps most."""

from itertools import permutations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from deepmm_jax.assessment.click import one_to_one, structure_overlap
from deepmm_jax.assessment.correspondence import pair_residues
from deepmm_jax.assessment.report import paired_calpha
from deepmm_jax.assessment.tm_score import tm_score
from reference.click_oracle import overlap
from reference.golden_pairs import golden_pairs
from reference.tm_score_oracle import decoys


SAME_TRACE = ("calpha only", "backbone only", "displaced 1.5", "two chains", "three chains")
STILL = (np.eye(3), np.zeros(3))


@pytest.fixture
def reference() -> np.ndarray:
    return next(points for name, _, points in decoys() if name == "noise-120")


def test_the_matching_is_the_largest_and_then_the_shortest():
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.normal(size=(4, 3)) * 3.0, rng.normal(size=(5, 3)) * 3.0
        apart = np.linalg.norm(a[:, None] - b[None], axis=-1)
        options = []
        for columns in permutations(range(5), 4):
            within = [d for d in apart[range(4), list(columns)] if d <= 3.5]
            options.append((len(within), -sum(within)))
        pairs = one_to_one(a, b, 3.5)
        assert (len(pairs), -apart[pairs[:, 0], pairs[:, 1]].sum()) == pytest.approx(max(options))
        assert len(set(pairs[:, 0].tolist())) == len(set(pairs[:, 1].tolist())) == len(pairs)


def test_order_does_not_matter_and_the_smaller_structure_is_the_whole(reference):
    part = np.random.default_rng(1).permutation(reference)[:70]
    overlap, deviation = structure_overlap(part, reference, *STILL)
    assert overlap == 1.0 and deviation == pytest.approx(0.0, abs=1e-9)


def test_a_small_displacement_is_removed(reference):
    turn = Rotation.from_rotvec([0.02, -0.01, 0.03])
    overlap, deviation = structure_overlap(turn.apply(reference) + 0.8, reference, *STILL)
    assert overlap == 1.0 and deviation == pytest.approx(0.0, abs=1e-6)


def test_residues_far_away_do_not_overlap(reference):
    model = reference.copy()
    model[90:] += 200.0
    overlap, deviation = structure_overlap(model, reference, *STILL)
    assert overlap == pytest.approx(0.75) and deviation == pytest.approx(0.0, abs=1e-6)


def test_nothing_overlaps(reference):
    assert structure_overlap(reference + 1000.0, reference, *STILL) == (0.0, None)


@pytest.mark.parametrize(("displacement", "overlap"), [(3.4, 1.0), (3.7, 63 / 64)])
def test_a_pair_counts_up_to_three_and_a_half_angstrom(displacement, overlap):
    grid = 20.0 * np.stack(np.meshgrid(*[np.arange(4.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    model = grid.copy()
    model[21, 0] += displacement
    assert structure_overlap(model, grid, *STILL)[0] == pytest.approx(overlap)


@pytest.mark.parametrize("pair", [p for p in golden_pairs() if p.name not in SAME_TRACE], ids=lambda pair: pair.name)
def test_the_oracle_agrees(pair):
    model, reference = (np.concatenate([c.calpha for c in side]).astype(float) for side in (pair.model, pair.reference))
    pairs = paired_calpha(pair.model, pair.reference, pair_residues(pair.model, pair.reference))
    start = tm_score(*pairs, len(reference))
    ours = structure_overlap(model, reference, start.rotation, start.translation)
    assert ours == pytest.approx(overlap(model, reference, start.rotation, start.translation), abs=1e-6)
