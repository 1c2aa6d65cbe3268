"""TM-score: figures of another program, a brute-force search, and laws."""

import numpy as np
import pytest

from deepmm_jax.assessment.correspondence import pair_residues
from deepmm_jax.assessment.report import paired_calpha
from deepmm_jax.assessment.tm_score import tm_distance, tm_score
from deepmm_jax.structure.superposition import move
from deepmm_jax.structure.write import calpha_chain
from reference.golden_pairs import fingerprint, golden, golden_pairs
from reference.tm_score_oracle import brute_force_tm_score, decoys


GOLDEN = golden("tm_score")
DECOYS = {name: (model, reference) for name, model, reference in decoys()}
PAIRS = {pair.name: pair for pair in golden_pairs()}


@pytest.mark.parametrize("name", GOLDEN)
def test_tmscore_agrees(name):
    """Within 0.002; of shapes that hardly resemble each other ours finds better superpositions than TMscore."""
    if name in PAIRS:
        pair = PAIRS[name]
        found = fingerprint(pair.model), fingerprint(pair.reference)
        model, reference = paired_calpha(pair.model, pair.reference, pair_residues(pair.model, pair.reference))
        length = sum(map(len, pair.reference))
    else:
        model, reference = DECOYS[name]
        length = len(reference)
        chains = [[calpha_chain("A", "A" * length, points.astype(np.float32))] for points in (model, reference)]
        found = fingerprint(chains[0]), fingerprint(chains[1])
    assert found == (
        pytest.approx(GOLDEN[name]["model"], abs=0.01),
        pytest.approx(GOLDEN[name]["reference"], abs=0.01),
    ), "the input is another"
    theirs, ours = GOLDEN[name]["tm_score"], tm_score(model, reference, length).value
    assert theirs - 0.0002 <= ours <= theirs + (0.002 if theirs > 0.5 else 0.008)


def test_every_pair_was_judged():
    assert GOLDEN.keys() == DECOYS.keys() | {name for name, pair in PAIRS.items() if pair.paired}


@pytest.mark.parametrize("name", ["noise-30", "hinge-30", "tail-60"])
def test_no_other_motion_is_better(name):
    model, reference = DECOYS[name]
    assert (
        tm_score(model, reference, len(reference)).value
        >= brute_force_tm_score(model, reference, len(reference)) - 1e-5
    )


def test_the_value_is_that_of_its_superposition():
    for model, reference in (DECOYS[name] for name in ("noise-30", "hinge-60", "tail-120", "drift-214")):
        score = tm_score(model, reference, len(reference) + 7)
        apart = np.linalg.norm(move(model, score.rotation, score.translation) - reference, axis=1)
        d0 = tm_distance(len(reference) + 7)
        assert score.value == pytest.approx(np.sum(1.0 / (1.0 + (apart / d0) ** 2)) / (len(reference) + 7))
        assert np.linalg.det(score.rotation) == pytest.approx(1.0)


def test_the_same_shape_scores_one_and_missing_residues_count():
    _, reference = DECOYS["noise-214"]
    assert tm_score(reference, reference, 214).value == pytest.approx(1.0)
    assert tm_score(reference[:107] + 50.0, reference[:107], 214).value == pytest.approx(0.5)


def test_the_scale_by_length():
    assert tm_distance(5) == tm_distance(18) == 0.5
    assert tm_distance(115) == pytest.approx(1.24 * 100 ** (1 / 3) - 1.8)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5])
def test_a_few_residues_are_no_trouble(n):
    points = np.random.default_rng(n).normal(size=(n, 3)) * 10.0
    assert tm_score(points + 4.0, points, 100).value == pytest.approx(n / 100)
