"""Equations 5 and 6 against the two examples of section 3.4, and their limits."""

import json
from pathlib import Path

import pytest

from deepmm_jax.confidence.mscore import REFITTED, predicted_cc_mask, predicted_tm_score, refitted_tm_score


FITTED = Path(__file__).parents[2] / "benchmarks" / "results" / "confidence.json"


@pytest.mark.parametrize(("mscore", "tm_score", "cc_mask"), [(1.130, 0.918, 0.645), (1.749, 0.936, 0.755)])
def test_examples_of_the_paper(mscore: float, tm_score: float, cc_mask: float):
    """Chain K of 5GAN and chain I of 6DWB, to the three digits printed."""
    assert predicted_tm_score(mscore) == pytest.approx(tm_score, abs=6e-4)
    assert predicted_cc_mask(mscore) == pytest.approx(cc_mask, abs=6e-4)


def test_tm_score_rises_from_0_290_to_0_938():
    assert predicted_tm_score(-100.0) == pytest.approx(0.938 - 0.648)
    assert predicted_tm_score(100.0) == pytest.approx(0.938)
    values = [predicted_tm_score(m / 10) for m in range(-20, 30)]
    assert all(a < b for a, b in zip(values, values[1:]))


def test_half_way_up_lies_at_the_middle_of_the_sigmoid():
    assert predicted_tm_score(1.114 / 4.059) == pytest.approx(0.938 - 0.648 / 2)


def test_refit_is_that_of_the_committed_results_and_rises_more_steeply():
    constants = json.loads(FITTED.read_text())["equation_5"]["constants"]
    assert tuple(constants[name] for name in ("top", "depth", "slope", "middle")) == REFITTED
    top, depth, slope, middle = REFITTED
    assert refitted_tm_score(-1e3) == pytest.approx(top - depth)
    assert refitted_tm_score(1e3) == pytest.approx(top)
    assert refitted_tm_score(middle / slope) == pytest.approx(top - depth / 2)
    assert refitted_tm_score(0.0) < predicted_tm_score(0.0)
