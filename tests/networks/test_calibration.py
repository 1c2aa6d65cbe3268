"""Temperatures: the fit finds how much too sure a network is; cards keep them."""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from deepmm_jax.errors import CheckpointError
from deepmm_jax.networks.calibration import fit_temperature, read_temperatures, write_temperatures
from deepmm_jax.networks.checkpoints import read_card, write_card


@pytest.mark.parametrize("true", [0.6, 1.0, 2.5])
def test_fit_finds_the_temperature_that_labels_were_drawn_with(true: float, rng: np.random.Generator):
    logits = rng.normal(scale=3.0, size=(20_000, 5))
    drawn = (softmax(logits / true, axis=1).cumsum(axis=1) < rng.random((len(logits), 1))).sum(axis=1)
    labels = np.minimum(drawn, 4)
    log_probabilities = log_softmax(logits, axis=1)
    assert fit_temperature(log_probabilities, labels) == pytest.approx(true, rel=0.04)
    tempered = log_softmax(log_probabilities / true, axis=1)
    assert fit_temperature(tempered, labels) == pytest.approx(1, rel=0.04)


def test_cards_keep_temperatures(tmp_path: Path):
    write_card(tmp_path, {"kind": "whole-map", "steps": 7})
    assert read_temperatures(tmp_path) == {"amino_acids": 1.0, "secondary_structure": 1.0}
    write_temperatures(tmp_path, {"amino_acids": 1.23456, "secondary_structure": 0.9})
    assert read_temperatures(tmp_path) == {"amino_acids": 1.2346, "secondary_structure": 0.9}
    assert read_card(tmp_path)["steps"] == 7


@pytest.mark.parametrize("value", [0, -1.0, "warm", None, True, [1.0]])
def test_temperature_that_cannot_be_is_refused(tmp_path: Path, value: object):
    write_card(tmp_path, {"temperatures": {"amino_acids": value}})
    with pytest.raises(CheckpointError, match=r"card\.json has .* as temperature of amino_acids"):
        read_temperatures(tmp_path)


def test_temperatures_that_are_no_table_are_refused(tmp_path: Path):
    for value in (None, 2.0, [2.0]):
        write_card(tmp_path, {"temperatures": value})
        with pytest.raises(CheckpointError, match="temperature of amino_acids"):
            read_temperatures(tmp_path)
