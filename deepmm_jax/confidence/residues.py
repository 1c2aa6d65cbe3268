"""Confidence per residue: the probability that its Cα is within 2 Å of the truth and its type right.

The paper has a score for a whole model only (equation 4). Here the features of a residue go through a small network
whose weights `benchmarks/fit_confidence.py` fits on models of validation chains.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from deepmm_jax.alignment.values import CalphaModels, ModelRegister
from deepmm_jax.confidence.features import FEATURES, residue_features
from deepmm_jax.evidence.volumes import Evidence


Weights = Mapping[str, Float[Array, "..."]]


def residue_confidence(evidence: Evidence, models: CalphaModels, register: ModelRegister) -> Float[np.ndarray, "k n"]:
    """Confidence (0–1) of every residue of every model; 0 where it is not built."""
    features = residue_features(evidence, models, register)
    logits = confidence_logits(fitted_weights(), jnp.asarray(features.reshape(-1, len(FEATURES))))
    probability = np.asarray(jax.nn.sigmoid(logits)).reshape(models.built.shape)
    return np.where(models.built, probability, 0.0).astype(np.float32)


def expected_right(models: CalphaModels) -> float:
    """Share of the residues of the sequence that the best model is expected to have right: its mean confidence.

    Of models that were never rated the mean Cα probability.
    """
    confidence = models.support if models.confidence is None else models.confidence
    return float(np.where(models.built[0], confidence[0], 0.0).mean())


def confidence_logits(weights: Weights, features: Float[Array, "n f"]) -> Float[Array, "n"]:
    """Log-odds of being right: a linear function of standardised features, and one hidden layer of tanh beside it."""
    x = jnp.clip((features - weights["mean"][None]) / weights["spread"][None], -4.0, 4.0)
    hidden = jnp.tanh(x @ weights["inner"] + weights["inner_bias"][None])
    return x @ weights["linear"] + hidden @ weights["outer"] + weights["bias"]


@cache
def fitted_weights() -> Weights:
    """The weights that travel with the program."""
    kept = json.loads(Path(__file__).with_name("weights.json").read_text(encoding="utf-8"))
    if kept["features"] != list(FEATURES):
        raise ValueError("weights.json is for other features; run benchmarks/fit_confidence.py")
    return {name: jnp.asarray(values, jnp.float32) for name, values in kept["weights"].items()}
