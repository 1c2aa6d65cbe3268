"""Confidence per residue: the weights that travel with the program, and what they say of right and wrong models."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax.alignment.model_register import model_registers
from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.confidence.features import FEATURES
from deepmm_jax.confidence.residues import confidence_logits, fitted_weights, residue_confidence
from deepmm_jax.config import AlignmentConfig
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.evidence.ideal import ideal_evidence
from deepmm_jax.evidence.points import type_points
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.secondary_structure import assign_secondary_structure


@pytest.fixture(scope="module")
def evidence(kinase: Chain) -> Evidence:
    density: DensityMap = simulate_map(kinase.positions, kinase.atomic_numbers, 5.0)
    return ideal_evidence(kinase, density)


def confidence_of(evidence: Evidence, kinase: Chain, positions: np.ndarray) -> np.ndarray:
    """Of each model, as the pipeline has it."""
    k, n = positions.shape[:2]
    models = CalphaModels(
        positions=positions.astype(np.float32),
        built=np.isfinite(positions[..., 0]),
        scores=np.linspace(2 * n, n, k).astype(np.float32),
        mscores=np.zeros(k, np.float32),
        support=np.zeros((k, n), np.float32),
    )
    states = np.eye(3, dtype=np.float32)[["HEC".index(s) for s in assign_secondary_structure(kinase)]]
    profile = SequenceProfile(name="1AKE", letters=kinase.sequence, secondary_structure=states)
    points = [type_points(evidence, at[here], 1.5) for at, here in zip(models.positions, models.built, strict=True)]
    register = model_registers(profile, models, points, AlignmentConfig())
    return residue_confidence(evidence, models, register)


def test_right_model_is_believed_and_slipped_or_displaced_residues_are_not(evidence: Evidence, kinase: Chain):
    true = kinase.calpha
    slipped, displaced = true.copy(), true.copy()
    slipped[60:100] = true[63:103]
    displaced[150:180] += np.array([0, 0, 25.0])
    missing = true.copy()
    missing[:20] = np.nan
    each = (true, slipped, displaced, missing)
    right, slip, away, lacking = (confidence_of(evidence, kinase, positions[None])[0] for positions in each)
    assert right.mean() > 0.85 and right.min() >= 0 and right.max() <= 1
    assert slip[63:97].mean() < 0.6 < slip[:50].mean()
    assert away[152:178].mean() < 0.4 < away[:140].mean()
    assert not lacking[:20].any() and lacking[30:].mean() > 0.8


def test_logits_are_those_of_plain_numpy():
    weights = {name: np.asarray(values, float) for name, values in fitted_weights().items()}
    x = np.random.default_rng(0).normal(size=(50, len(FEATURES))) * 3
    scaled = np.clip((x - weights["mean"]) / weights["spread"], -4, 4)
    hidden = np.tanh(scaled @ weights["inner"] + weights["inner_bias"])
    expected = scaled @ weights["linear"] + hidden @ weights["outer"] + weights["bias"]
    np.testing.assert_allclose(confidence_logits(fitted_weights(), jnp.asarray(x, jnp.float32)), expected, atol=1e-4)


def test_more_evidence_at_a_place_never_lowers_the_confidence_on_average():
    """The fitted function has to say so of features whose sense is plain."""
    weights = fitted_weights()
    gradient = jax.vmap(jax.grad(lambda row: confidence_logits(weights, row[None])[0]))
    rng = np.random.default_rng(1)
    rows = np.asarray(weights["mean"]) + rng.normal(size=(500, len(FEATURES))) * np.asarray(weights["spread"])
    slope = np.asarray(gradient(jnp.asarray(rows, jnp.float32))).mean(axis=0)
    for name in ("type near", "posterior near", "calpha near"):
        assert slope[FEATURES.index(name)] > 0, name
