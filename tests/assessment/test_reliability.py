"""Which residues are right, and whether their confidence says so."""

import json

import numpy as np
import pytest

from deepmm_jax.assessment.reliability import (
    calibration_error,
    ranking_power,
    reliability,
    reliability_figures,
    right_residues,
)


def test_right_residues_are_near_and_of_the_type_that_is_there():
    reference = np.array([[0.0, 0, 0], [3.8, 0, 0], [7.6, 0, 0], [11.4, 0, 0]])
    positions = np.array([[0.5, 0, 0], [7.6, 1.9, 0], [3.8, 0, 0], [11.4, 2.1, 0], [np.nan] * 3])
    # The second stands where a residue of its own type is, the third where another type is; the fourth is too far.
    assert right_residues(positions, "AGVGA", reference, "ALGG").tolist() == [True, True, False, False, False]


def test_reliability_and_its_error_by_hand():
    confidence = np.array([0.05, 0.15, 0.18, 0.95, 1.0])
    right = np.array([False, True, False, True, True])
    table = reliability(confidence, right)
    np.testing.assert_allclose(table, [[0.05, 0, 1], [0.165, 0.5, 2], [0.975, 1, 2]])
    expected = (0.05 * 1 + 0.335 * 2 + 0.025 * 2) / 5
    assert calibration_error(confidence, right) == pytest.approx(expected)
    # Too modest below, too sure above: one bin cannot see all of it, more can.
    confidence, right = np.array([0.6, 0.6, 0.8, 0.8]), np.array([False, True, True, True])
    assert calibration_error(confidence, right, bins=1) == pytest.approx(0.05)
    assert calibration_error(confidence, right) == pytest.approx((0.1 + 0.2) / 2)
    assert calibration_error(np.ones(3), np.ones(3, bool)) == calibration_error(np.zeros(0), np.zeros(0, bool)) == 0


def test_honest_confidence_has_no_error_and_boasting_has(rng):
    confidence = rng.uniform(0, 1, 200_000)
    right = rng.uniform(0, 1, 200_000) < confidence
    assert calibration_error(confidence, right) < 0.005
    assert calibration_error(np.sqrt(confidence), right) > 0.1


def test_ranking_power_counts_pairs(rng):
    confidence = rng.integers(0, 5, 60) / 4
    right = rng.uniform(0, 1, 60) < 0.4
    pairs = np.sign(confidence[right][:, None] - confidence[~right][None])
    assert ranking_power(confidence, right) == pytest.approx(float(((pairs + 1) / 2).mean()))
    assert ranking_power(confidence, np.ones(60, bool)) is None
    figures = reliability_figures(confidence, right)
    assert json.loads(json.dumps(figures)) == figures and figures["residues"] == 60
    assert figures["right"] == pytest.approx(right.mean(), abs=1e-4)
    assert figures["ranking_power"] == pytest.approx(float(((pairs + 1) / 2).mean()), abs=1e-4)
    assert reliability_figures(confidence, np.ones(60, bool))["ranking_power"] is None
