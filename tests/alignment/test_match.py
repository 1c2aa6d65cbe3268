"""Match scores of equation 2 against the tables of figure 2b and hand-worked log-odds."""

from dataclasses import replace

import numpy as np
import pytest

from deepmm_jax.alignment.match import BACKGROUND_FREQUENCIES, distance_weights, match_scores
from deepmm_jax.config import AlignmentConfig
from deepmm_jax.constants import AMINO_ACIDS, CLASS_OF_AMINO_ACID, MATCH_AMINO_ACID, MATCH_SECONDARY_STRUCTURE
from deepmm_jax.errors import ConfigError
from deepmm_jax.evidence.volumes import TypedPoints
from deepmm_jax.sequence.profile import SequenceProfile


LOG_ODDS, MATRICES = AlignmentConfig(match="log-odds"), AlignmentConfig(match="matrices")


def typed_points(amino_acids, structure):
    m = len(amino_acids)
    return TypedPoints(
        positions=np.zeros((m, 3), np.float32),
        calpha=np.ones(m, np.float32),
        amino_acids=np.asarray(amino_acids, np.float32),
        secondary_structure=np.asarray(structure, np.float32),
    )


def profile(letters, structure):
    return SequenceProfile(name="test", letters=letters, secondary_structure=np.asarray(structure, np.float32))


def random_case(seed=0, m=7):
    rng = np.random.default_rng(seed)
    points = typed_points(rng.dirichlet(np.ones(20), m), rng.dirichlet(np.ones(3), m))
    letters = "GAKWX"
    structure = np.append(rng.dirichlet(np.ones(3), len(letters) - 1), np.zeros((1, 3)), axis=0)
    return profile(letters, structure), points


def test_matrices_look_up_the_most_probable_types():
    sequence, points = random_case()
    found = match_scores(sequence, points, MATRICES)
    for i, j in np.ndindex(found.shape):
        amino_acid = MATCH_AMINO_ACID[sequence.classes[i], points.classes[j]]
        structure = MATCH_SECONDARY_STRUCTURE[sequence.states[i], points.states[j]]
        assert found[i, j] == pytest.approx(1.0 * amino_acid + 0.5 * structure)


def test_matrices_golden_values():
    points = typed_points(np.eye(20)[[AMINO_ACIDS.index(a) for a in "WK"]], [[1, 0, 0], [0, 1, 0]])
    sequence = profile("WGX", [[1, 0, 0], [0, 0, 1], [0, 0, 0]])
    expected = [[1.2 + 0.75, -1.2 - 0.5], [-1.4 - 0.25, -0.8 - 0.25], [-0.15, -0.15]]
    np.testing.assert_allclose(match_scores(sequence, points, MATRICES), expected, atol=1e-6)


def test_log_odds_are_the_log_likelihood_ratio_and_the_mean_structure_score():
    sequence, points = random_case(1)
    found = match_scores(sequence, points, LOG_ODDS)
    background = BACKGROUND_FREQUENCIES / BACKGROUND_FREQUENCIES.sum()
    for i, j in np.ndindex(found.shape):
        expected = 0.5 * sum(
            sequence.secondary_structure[i, s] * points.secondary_structure[j, t] * MATCH_SECONDARY_STRUCTURE[s, t]
            for s in range(3)
            for t in range(3)
        )
        if sequence.letters[i] != "X":
            a = AMINO_ACIDS.index(sequence.letters[i])
            expected += np.log(max(points.amino_acids[j, a], 1e-3)) - np.log(background[a])
        assert found[i, j] == pytest.approx(expected, abs=1e-5)


def test_points_that_say_nothing_score_nothing():
    background = BACKGROUND_FREQUENCIES / BACKGROUND_FREQUENCIES.sum()
    points = typed_points(background[None], [[1 / 3, 1 / 3, 1 / 3]])
    found = match_scores(profile(AMINO_ACIDS + "X", np.zeros((21, 3))), points, LOG_ODDS)
    np.testing.assert_allclose(found, 0.0, atol=1e-5)


def test_the_background_is_the_composition_by_class():
    shares = np.bincount(CLASS_OF_AMINO_ACID[:20], BACKGROUND_FREQUENCIES)
    assert BACKGROUND_FREQUENCIES.sum() == pytest.approx(100, abs=0.2)
    assert AMINO_ACIDS[BACKGROUND_FREQUENCIES.argmax()] == "L"
    assert AMINO_ACIDS[BACKGROUND_FREQUENCIES.argmin()] == "W"
    np.testing.assert_allclose(shares, [46.20, 32.23, 11.33, 10.15], atol=0.02)  # GASCVTIP, LDNEQM, KR, HFYW


def test_distance_weights_follow_the_sequence_prediction():
    sequence = profile("AAAA", [[1, 0, 0], [0.2, 0.5, 0.3], [0, 0, 1], [0, 0, 0]])
    np.testing.assert_allclose(distance_weights(sequence, MATRICES), [1.0, 0.7, 0.8, 0.8])
    np.testing.assert_allclose(distance_weights(sequence, LOG_ODDS), [1.0, 0.79, 0.8, 0.8], rtol=1e-6)


def test_unknown_mode_is_refused():
    config = replace(LOG_ODDS)
    object.__setattr__(config, "match", "blosum")  # the type check of the tests would stop a plain argument
    with pytest.raises(ConfigError, match="'blosum'"):
        match_scores(*random_case(), config)
