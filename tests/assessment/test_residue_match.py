"""Residue and sequence match by the rule of chain_comparison."""

import numpy as np
import pytest

from deepmm_jax.assessment.match import residue_match
from deepmm_jax.assessment.report import evaluate_model
from reference.golden_pairs import fingerprint, golden, golden_pairs


GOLDEN = golden("matches")


def along(*x: float) -> np.ndarray:
    return np.array([[value, 0.0, 0.0] for value in x])


def test_the_rule_step_by_step():
    reference = along(0.0, 4.0, 8.0, 12.0)
    # 0.1 takes 0; 0.2 finds it taken and 4 too far; 3.9 takes 4; 3.8 finds 4 taken; 10.9 takes 12; 15.1 is out.
    matched, equal = residue_match(along(0.1, 0.2, 3.9, 3.8, 10.9, 15.1), "ACDEFG", reference, "ACDW")
    assert matched == pytest.approx(3 / 4)
    assert equal == pytest.approx(1 / 3)


def test_the_second_nearest_is_tried_once():
    reference = along(0.0, 1.0, 2.0)
    assert residue_match(along(0.1, 0.2, 0.3), "AAA", reference, "AAA")[0] == pytest.approx(2 / 3)


def test_the_cutoff_is_three_angstrom():
    assert residue_match(along(3.0), "A", along(0.0), "A") == (1.0, 1.0)
    assert residue_match(along(3.01), "A", along(0.0), "A") == (0.0, None)


def test_nothing_to_match():
    assert residue_match(np.empty((0, 3)), "", along(0.0), "A") == (0.0, None)


@pytest.mark.parametrize("pair", golden_pairs(), ids=lambda pair: pair.name)
def test_chain_comparison_agrees(pair):
    theirs = GOLDEN[pair.name]
    assert fingerprint(pair.model) == pytest.approx(theirs["model"], abs=0.01), "the input is another"
    assert fingerprint(pair.reference) == pytest.approx(theirs["reference"], abs=0.01), "the input is another"
    ours = evaluate_model(pair.model, pair.reference)
    for key in ("residue_match", "sequence_match"):
        assert ours[key] == pytest.approx(theirs[key], abs=0.002), key


def test_good_and_bad_models_are_among_the_pairs():
    matches = np.array([figures["residue_match"] for figures in GOLDEN.values()])
    assert len(matches) >= 30 and (matches < 0.5).sum() >= 5 and (matches > 0.9).sum() >= 5
