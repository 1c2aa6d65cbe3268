"""Temperatures that make a network's type probabilities mean what they say (Guo et al. 2017)."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from deepmm_jax.errors import CheckpointError
from deepmm_jax.networks.checkpoints import find_checkpoint, read_card, write_card


TYPE_HEADS = ("amino_acids", "secondary_structure")
"""Heads that have a temperature."""
RANGE = (0.1, 10.0)
"""Temperatures looked at."""


def fit_temperature(log_probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, "n"]) -> float:
    """The T that makes softmax(log p / T) give the labels the highest likelihood; above 1 the network was too sure."""
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        scaled = log_probabilities.astype(np.float64) / math.exp(log_temperature)
        return float((np.asarray(logsumexp(scaled, axis=1)) - scaled[rows, labels]).mean())

    found: Any = minimize_scalar(loss, bounds=tuple(map(math.log, RANGE)), method="bounded", options={"xatol": 1e-4})
    return math.exp(found.x)


def read_temperatures(checkpoint: str | Path) -> dict[str, float]:
    """Temperature of each head of types from a checkpoint's card, 1 where it has none. Raises CheckpointError."""
    given = read_card(checkpoint).get("temperatures", {})
    temperatures: dict[str, float] = {}
    for head in TYPE_HEADS:
        value = given.get(head, 1.0) if isinstance(given, dict) else None
        if isinstance(value, bool) or not isinstance(value, int | float) or not (0 < value < math.inf):
            raise CheckpointError(
                f"{find_checkpoint(checkpoint) / 'card.json'} has {value!r} as temperature of {head}, which must be a "
                "number above 0; remove it or fit it again"
            )
        temperatures[head] = float(value)
    return temperatures


def write_temperatures(checkpoint: str | Path, temperatures: dict[str, float]) -> None:
    """Put the temperatures of both heads into a checkpoint's card; the rest of it stays."""
    kept = {head: round(float(temperatures[head]), 4) for head in TYPE_HEADS}
    write_card(find_checkpoint(checkpoint), read_card(checkpoint) | {"temperatures": kept})
