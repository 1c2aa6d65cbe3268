"""What the user of a model hears against it."""

import numpy as np

from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.confidence.doubts import doubts, helix_hands
from deepmm_jax.structure.chain import Chain


def helix(n: int) -> np.ndarray:
    """Cα of an ideal right-handed α-helix: 100° and 1.5 Å a residue, radius 2.3 Å."""
    turn = np.radians(100) * np.arange(n)
    return np.stack([2.3 * np.cos(turn), 2.3 * np.sin(turn), 1.5 * np.arange(n)], axis=1)


def models_of(positions: np.ndarray, confidence: float) -> CalphaModels:
    built = np.isfinite(positions[:, 0])
    row = np.where(built, confidence, 0).astype(np.float32)[None]
    return CalphaModels(
        positions=positions[None].astype(np.float32),
        built=built[None],
        scores=np.ones(1, np.float32),
        mscores=np.ones(1, np.float32),
        support=np.zeros_like(row),
        confidence=row,
    )


def test_turns_are_counted_by_hand_and_not_across_gaps():
    positions = helix(20)
    assert helix_hands(positions) == (17, 0)
    assert helix_hands(positions * [1, 1, -1]) == (0, 17)
    gap = positions.copy()
    gap[10] = np.nan
    assert helix_hands(gap) == (13, 0)
    assert helix_hands(positions[:3]) == helix_hands(np.full((8, 3), np.nan)) == (0, 0)
    strand = np.stack([3.3 * np.arange(20), 1.9 * (np.arange(20) % 2), np.zeros(20)], axis=1)
    assert helix_hands(strand) == (0, 0)


def test_crystal_is_not_doubted_and_its_mirror_image_is(kinase: Chain):
    right, left = helix_hands(kinase.calpha)
    assert right > 60 and left < 5
    assert doubts(models_of(kinase.calpha, 0.9)) == []
    (doubt,) = doubts(models_of(kinase.calpha * [-1, 1, 1], 0.9))
    assert f"left-handed ({right} turns, {left} right-handed)" in doubt and "wrong hand" in doubt


def test_few_residues_expected_to_be_right_are_doubted(kinase: Chain):
    (doubt,) = doubts(models_of(kinase.calpha, 0.4))
    assert "probably wrong: 40% of the residues that it has" in doubt


def test_a_sequence_of_which_the_map_shows_little_is_no_reason_to_doubt(kinase: Chain):
    unbuilt = kinase.calpha.copy()
    unbuilt[: len(unbuilt) // 2 + 5] = np.nan
    assert doubts(models_of(unbuilt, 0.9)) == []
    assert doubts(models_of(np.full_like(unbuilt, np.nan), 0.9)) == []
