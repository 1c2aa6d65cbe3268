"""How sure the register of a Cα model is."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from deepmm_jax.alignment.match import BACKGROUND_FREQUENCIES
from deepmm_jax.alignment.model_register import BAND, STANDARD_DISTANCE, model_registers
from deepmm_jax.alignment.soft_register import parameters_of, register_alignment, register_problem
from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.config import AlignmentConfig
from deepmm_jax.evidence.volumes import TypedPoints
from deepmm_jax.sequence.profile import SequenceProfile, encode_letters


LETTERS = "MKVLAGWYHRDENSTPFICQAVLGKDESTRW"
N = len(LETTERS)


def profile_of(letters: str) -> SequenceProfile:
    return SequenceProfile(name="piece", letters=letters, secondary_structure=np.full((len(letters), 3), 1 / 3))


def points_of(letters: str, positions: np.ndarray, certainty: float) -> TypedPoints:
    types = np.full((len(letters), 20), (1 - certainty) / 19, np.float32)
    types[np.arange(len(letters)), encode_letters(letters)] = certainty
    return TypedPoints(
        positions=positions.astype(np.float32),
        calpha=np.full(len(letters), 0.8, np.float32),
        amino_acids=types,
        secondary_structure=np.full((len(letters), 3), 1 / 3, np.float32),
    )


@pytest.fixture
def models() -> CalphaModels:
    """A zigzag with all residues, and the same without residues 10 to 14."""
    steps = np.arange(N)[:, None] * np.array([[3.3, 0, 0]]) + (np.arange(N) % 2)[:, None] * np.array([[0, 1.9, 0]])
    positions = np.stack([steps, steps]).astype(np.float32)
    positions[1, 10:15] = np.nan
    zeros, built = np.zeros((2, N), np.float32), np.isfinite(positions[..., 0])
    return CalphaModels(positions=positions, built=built, scores=zeros[:, 0], mscores=zeros[:, 0], support=zeros)


def registers(models: CalphaModels, letters: str, shown: str, certainty: float, **config: float | None):
    points = [
        points_of("".join(letter for letter, there in zip(shown, built, strict=True) if there), at[built], certainty)
        for at, built in zip(models.positions, models.built, strict=True)
    ]
    return points, model_registers(profile_of(letters), models, points, replace(AlignmentConfig(), **config))


def test_clear_evidence_leaves_one_register_and_a_repeat_leaves_many(models: CalphaModels):
    _, clear = registers(models, LETTERS, LETTERS, 0.9)
    assert clear.posterior[0].min() > 0.9 and clear.entropy[0].max() < 0.5
    _, repeat = registers(models, "A" * N, "A" * N, 0.9)
    _, vague = registers(models, LETTERS, LETTERS, 0.06)
    assert repeat.posterior[0].mean() < clear.posterior[0].mean() and vague.entropy[0].mean() > clear.entropy[0].mean()


def test_slipped_register_is_seen(models: CalphaModels):
    """Residues 8 to 22 stand one place too early; the others are right."""
    slipped = LETTERS[:8] + LETTERS[7:22] + LETTERS[23:]
    _, found = registers(models, LETTERS, slipped, 0.7)
    assert found.posterior[0, 10:20].max() < 0.3 and found.posterior[0, :6].min() > 0.7


def test_log_odds_and_posterior_are_those_of_the_alignment_without_padding(models: CalphaModels):
    points, found = registers(models, LETTERS, LETTERS, 0.6)
    background = BACKGROUND_FREQUENCIES / BACKGROUND_FREQUENCIES.sum()
    expected = np.log(0.6) - np.log(background[encode_letters(LETTERS)])
    np.testing.assert_allclose(found.log_odds[0], expected, rtol=1e-5)
    problem = register_problem(profile_of(LETTERS), points[0], models.positions[0], "log-odds", (N, N))
    parameters = parameters_of(AlignmentConfig(), STANDARD_DISTANCE)
    soft = jax.jit(register_alignment, static_argnames="band")(parameters, problem, band=BAND)
    np.testing.assert_allclose(found.posterior[0], np.diag(np.asarray(soft.marginals)), atol=1e-5)
    np.testing.assert_allclose(found.entropy[0], np.asarray(soft.register_entropy), atol=1e-4)


def test_unbuilt_residues_have_no_register_and_full_length_still_slips(models: CalphaModels):
    _, found = registers(models, LETTERS, LETTERS, 0.9)
    for values in (found.log_odds, found.posterior, found.entropy):
        assert not values[1, 10:15].any()
    assert found.posterior[1, :10].min() > 0.8
    _, forced = registers(models, LETTERS, LETTERS, 0.9, end_gap=None)
    np.testing.assert_allclose(forced.posterior, found.posterior, atol=1e-5)
