"""What tells a right residue from a wrong one."""

from dataclasses import replace

import numpy as np
import pytest

from deepmm_jax.alignment.values import CalphaModels, ModelRegister
from deepmm_jax.confidence.features import (
    DENSEST,
    FEATURES,
    RIVALS,
    WIDEST_MARGIN,
    against_others,
    at_residues,
    means,
    residue_features,
)
from deepmm_jax.evidence.volumes import Evidence


def models_at(positions: np.ndarray, scores: list[float]) -> CalphaModels:
    k, n, _ = positions.shape
    return CalphaModels(
        positions=positions.astype(np.float32),
        built=np.isfinite(positions[..., 0]),
        scores=np.array(scores, np.float32),
        mscores=np.zeros(k, np.float32),
        support=np.zeros((k, n), np.float32),
    )


@pytest.fixture
def straight() -> np.ndarray:
    """Four residues along x, 4 Å apart."""
    return np.arange(4)[:, None] * np.array([4.0, 0, 0]) + 3.0


@pytest.fixture
def evidence() -> Evidence:
    """Cα probability 0.01 x, main chain 0.5, offsets of 0.3 Å along y, next Cα along x, previous one along y."""
    shape = (24, 10, 10)
    x = np.indices(shape)[0]
    directions = np.zeros((*shape, 6), np.float32)
    directions[..., 1] = directions[..., 3] = 1
    offset = np.zeros((*shape, 3), np.float32)
    offset[..., 1] = 0.3
    return Evidence(
        main_chain=np.full(shape, 0.5, np.float32),
        calpha=(0.01 * x).astype(np.float32),
        step=np.ones(3),
        origin=np.zeros(3),
        offset=offset,
        directions=directions,
    )


def test_values_at_residues_by_hand(evidence: Evidence, straight: np.ndarray):
    gap = straight.copy()
    gap[2] = np.nan
    values = at_residues(evidence, models_at(np.stack([straight, gap]), [1, 0]))
    calpha, main_chain, offset, direction, bond, density = values
    np.testing.assert_allclose(calpha[0], [0.03, 0.07, 0.11, 0.15], atol=1e-6)
    np.testing.assert_allclose(main_chain[0], 0.5)
    np.testing.assert_allclose(offset[0], 0.3, atol=1e-6)
    # The next Cα is seen where it is, the previous one at a right angle: half of two bonds, or of the only one.
    np.testing.assert_allclose(direction[0], [0.5, 0.5, 0.5, 0.0], atol=1e-6)
    np.testing.assert_allclose(bond[0], [0.1, 0.2, 0.2, 0.1], atol=1e-6)
    np.testing.assert_allclose(bond[1], [0.1, 0.1, 0, 0], atol=1e-6)
    assert not calpha[1, 2] and not direction[1, 3]
    np.testing.assert_allclose(density, [[1, 1, 1, 1], [1, 1, 0, 1]])  # the map is not at hand


def test_density_is_relative_to_that_of_the_model(evidence: Evidence, straight: np.ndarray):
    x = np.indices(evidence.main_chain.shape)[0].astype(np.float32)
    beside = straight.copy()
    beside[3, 0] = 23.0  # voxels along x
    models = models_at(np.stack([straight, beside]), [1, 0])
    for scale in (1.0, 40.0):
        density = at_residues(replace(evidence, density=scale * x), models)[5]
        np.testing.assert_allclose(density[0], np.array([3, 7, 11, 15]) / 9)
        np.testing.assert_allclose(density[1], np.array([3, 7, 11, 23]) / 11)
    peak = np.where(x == 15, 100.0, 0.1).astype(np.float32)
    assert at_residues(replace(evidence, density=peak), models)[5].max() == DENSEST
    np.testing.assert_array_equal(at_residues(replace(evidence, density=-x), models)[5], 1)


def test_other_models_contradict_or_agree(straight: np.ndarray):
    near, far = straight.copy(), straight.copy()
    near[:, 1] += 1.9
    far[2:, 1] += 5.0
    far[0] = np.nan
    margin, agreement = against_others(models_at(np.stack([straight, near, far]), [8.0, 6.0, 4.0]))
    # Nobody has residue 1 elsewhere; the third model has not built residue 0, which counts as elsewhere.
    np.testing.assert_allclose(margin[0], [1.0, WIDEST_MARGIN, 1.0, 1.0])
    np.testing.assert_allclose(margin[2, 2:], [-1.0, -1.0])
    weights = np.exp([0, -0.5, -1.0])
    np.testing.assert_allclose(agreement[0, 1], 1.0)
    np.testing.assert_allclose(agreement[0, 2], weights[:2].sum() / weights.sum())


def test_only_the_best_models_are_rivals(straight: np.ndarray):
    many = np.stack([straight] * (RIVALS + 2))
    many[RIVALS:, 2:, 1] += 5.0
    scores = np.linspace(8.0, 6.0, RIVALS + 2).tolist()
    few, more = (against_others(models_at(many[:k], scores[:k])) for k in (RIVALS, RIVALS + 2))
    for before, after in zip(few, more, strict=True):
        np.testing.assert_array_equal(after[:RIVALS], before)


def test_means_are_those_of_loops_over_built_residues(rng: np.random.Generator):
    values, built = rng.normal(size=(2, 30)), rng.uniform(size=(2, 30)) < 0.7
    near, whole = means(values, built, 9, None)
    for k in range(2):
        for i in range(30):
            rows = [j for j in range(max(0, i - 4), min(30, i + 5)) if built[k, j]]
            assert near[k, i] == pytest.approx(values[k, rows].mean() if rows else 0.0)
        assert whole[k, 0] == whole[k, 29] == pytest.approx(values[k, built[k]].mean())


def test_features_are_named_finite_and_the_same_in_any_frame(evidence: Evidence, straight: np.ndarray):
    gap = straight.copy()
    gap[1] = np.nan
    models = models_at(np.stack([straight, gap]), [1.0, 0.5])
    register = ModelRegister(log_odds=np.ones((2, 4)), posterior=np.full((2, 4), 0.5), entropy=np.ones((2, 4)))
    features = residue_features(evidence, models, register)
    assert features.shape == (2, 4, len(FEATURES)) and np.isfinite(features).all()
    np.testing.assert_allclose(features[:, 0, FEATURES.index("built of all")], [1, 0.75])
    shift = np.array([40.0, -7, 3])
    moved = replace(evidence, origin=evidence.origin + shift)
    there = replace(models, positions=(models.positions + shift).astype(np.float32))
    np.testing.assert_allclose(residue_features(moved, there, register), features, atol=1e-4)


def test_evidence_without_vectors_has_features_too(evidence: Evidence, straight: np.ndarray):
    models = models_at(straight[None], [1.0])
    bare = replace(evidence, offset=None, directions=None)
    _, _, offset, direction, _, _ = at_residues(bare, models)
    assert not offset.any() and not direction.any()
