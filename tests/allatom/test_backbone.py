"""The backbone from Cα: true chains come back, chains break at gaps, the map is heard."""

from dataclasses import replace

import numpy as np
import pytest

from deepmm_jax.allatom import backbone
from deepmm_jax.allatom.backbone import place_backbone
from deepmm_jax.allatom.ramachandran import ramachandran_table
from deepmm_jax.allatom.values import CB, AllAtomModel
from deepmm_jax.assessment.geometry import geometry_figures
from deepmm_jax.density.map import DensityMap
from deepmm_jax.evidence.ideal import ideal_evidence
from deepmm_jax.structure.chain import BACKBONE
from deepmm_jax.structure.torsions import torsion
from deepmm_jax.structure.write import calpha_chain
from reference import allatom_oracle


pytestmark = pytest.mark.slow

LETTERS = "ALKEAVEKLGASTVTVEVRV"
TRUE = allatom_oracle.build_backbone([-63.0] * 10 + [85.0] + [-120.0] * 9, [-42.0] * 10 + [10.0] + [130.0] * 9) + 40.0
CALPHA = TRUE[:, 1].astype(np.float32)
TRUTH = AllAtomModel(
    letters=LETTERS,
    positions=np.pad(TRUE, ((0, 0), (0, 10), (0, 0)), constant_values=np.nan).astype(np.float32),
    mask=np.pad(np.ones((20, 4), bool), ((0, 0), (0, 10))),
)


def deviation(model: AllAtomModel) -> float:
    return float(np.sqrt(np.nanmean(np.square(model.positions[:, :4] - TRUE).sum(axis=-1))))


def hand(model: AllAtomModel) -> np.ndarray:
    n, ca, c, beta = (model.positions[:, atom] for atom in (0, 1, 2, CB))
    return (np.cross(n - ca, c - ca) * (beta - ca)).sum(axis=-1)


@pytest.fixture(scope="module")
def models() -> list[AllAtomModel]:
    """From true Cα, from noisy ones, with a gap, with a leap, and with single residues."""
    noisy = CALPHA + 0.2 * np.random.default_rng(0).normal(size=CALPHA.shape).astype(np.float32)
    calpha = np.stack([CALPHA, noisy, CALPHA, CALPHA, CALPHA])
    built = np.ones((5, 20), bool)
    built[2, 8:12] = False
    calpha[3, 15:] += 30
    built[4, 1::2] = False
    calpha[~built] = np.nan
    return place_backbone(calpha, built, LETTERS)


def test_the_backbone_of_true_calpha_comes_back(models: list[AllAtomModel]):
    assert deviation(models[0]) < 0.5
    assert deviation(models[1]) < 1.0


def test_peptides_are_flat_and_residues_are_l(models: list[AllAtomModel]):
    for model in models[:2]:
        n, ca, c = (model.positions[:, atom] for atom in range(3))
        omega = np.degrees(torsion(ca[:-1], c[:-1], n[1:], ca[1:]))
        assert (np.abs(omega) > 160).all()
        np.testing.assert_allclose(np.linalg.norm(n[1:] - c[:-1], axis=1), 1.336, atol=0.04)
        np.testing.assert_allclose(np.linalg.norm(c - ca, axis=1), 1.525, atol=0.04)
    for model in models:
        chiral = hand(model)
        assert (chiral[np.isfinite(chiral)] > 2).all()


def test_every_built_residue_is_whole_and_no_other(models: list[AllAtomModel]):
    for model, unbuilt in zip(models, ([], [], range(8, 12), [], range(1, 20, 2)), strict=True):
        there = np.ones(20, bool)
        there[list(unbuilt)] = False
        np.testing.assert_array_equal(model.mask[:, :4], np.repeat(there[:, None], 4, axis=1))
        np.testing.assert_array_equal(model.mask[:, CB], there & np.array([a != "G" for a in LETTERS]))
        np.testing.assert_array_equal(np.isfinite(model.positions).all(axis=-1), model.mask)


def test_gaps_and_leaps_break_the_chain(models: list[AllAtomModel]):
    for model, ends in ((models[2], (7, 12)), (models[3], (14, 15))):
        assert np.linalg.norm(model.positions[ends[1], 0] - model.positions[ends[0], 2]) > 2
    shifted = models[3].positions[15:, :4] - TRUE[15:]
    np.testing.assert_allclose(shifted.mean(axis=(0, 1)), 30, atol=0.5)


def test_evidence_leads_the_atoms():
    chain = TRUTH.chain("A")
    assert chain.atom_names[:4] == BACKBONE
    low = np.floor(TRUE.min(axis=(0, 1))) - 6
    size = (np.ceil(TRUE.max(axis=(0, 1))) + 6 - low).astype(int)
    grid = DensityMap(data=np.zeros(size, np.float32), step=np.ones(3), origin=low)
    evidence = ideal_evidence(chain, grid)
    noisy = CALPHA + 0.25 * np.random.default_rng(1).normal(size=(5, *CALPHA.shape)).astype(np.float32)
    built = np.ones((5, 20), bool)
    seen = place_backbone(noisy, built, LETTERS, evidence)
    blind = place_backbone(noisy, built, LETTERS, replace(evidence, atoms=None))
    for with_map, without in zip(seen, blind, strict=True):
        assert deviation(with_map) < 0.3
        assert deviation(with_map) < deviation(without) - 0.1


def test_residues_are_led_to_favoured_angles(monkeypatch: pytest.MonkeyPatch):
    dice = np.random.default_rng(0)
    noisy = CALPHA + 0.9 * dice.normal(size=(5, *CALPHA.shape)).astype(np.float32)

    def unusual() -> float:
        """Share of residues outside the favoured angles, by freshly traced code."""
        backbone._place.clear_cache()  # pyright: ignore[reportAttributeAccessIssue]
        models = place_backbone(noisy, np.ones((5, 20), bool), LETTERS)
        return 1 - (geometry_figures([model.chain("A") for model in models])["ramachandran_favoured"] or 0.0)

    guided = unusual()
    with monkeypatch.context() as patch:
        patch.setattr(backbone, "guiding_table", ramachandran_table)
        unguided = unusual()
    backbone._place.clear_cache()  # pyright: ignore[reportAttributeAccessIssue]
    assert unguided > 0.05
    assert guided < unguided / 3


def test_letters_must_fit():
    with pytest.raises(ValueError, match="3 letters"):
        place_backbone(CALPHA[None], np.ones((1, 20), bool), "AAA")


def test_nothing_built_is_nothing_placed():
    model, *_ = place_backbone(np.full((5, 20, 3), np.nan, np.float32), np.zeros((5, 20), bool), LETTERS)
    assert not model.mask.any()
    assert calpha_chain("A", LETTERS, model.positions[:, 1]).sequence == model.chain("A").sequence == ""
