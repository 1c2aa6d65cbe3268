"""Figures of evidence: perfect evidence is perfect, each kind of error shows in its own figure."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deepmm_jax.assessment.evidence import (
    LabelledPoints,
    evidence_figures,
    label_calpha,
    label_points,
    log_loss,
    place_figures,
    type_figures,
    vector_figures,
)
from deepmm_jax.config import TypingConfig
from deepmm_jax.constants import UNKNOWN_AMINO_ACID
from deepmm_jax.density.map import DensityMap
from deepmm_jax.evidence.ideal import ideal_evidence
from deepmm_jax.evidence.volumes import Evidence, TypedPoints
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains


EXAMPLE = Path(__file__).parents[2] / "examples" / "1ake_A.pdb.gz"


@pytest.fixture(scope="module")
def chain() -> Chain:
    return read_chains(EXAMPLE)[0]


@pytest.fixture(scope="module")
def evidence(chain: Chain) -> Evidence:
    low, high = chain.positions.min(axis=0) - 4.6, chain.positions.max(axis=0) + 4
    nx, ny, nz = np.ceil(high - low).astype(int)
    grid = DensityMap(data=np.zeros((nx, ny, nz), np.float32), step=np.ones(3), origin=low.astype(float))
    return ideal_evidence(chain, grid)


def test_ideal_evidence_is_right_in_every_figure(chain: Chain, evidence: Evidence):
    figures = evidence_figures(evidence, [chain], TypingConfig(pool_radius=0.0))
    assert figures["residues"] == len(chain)
    for name in ("recall_1.0", "precision_1.0", "recall_2.0", "precision_2.0", "main_chain_recall"):
        assert figures[name] == 1.0, name
    assert figures["main_chain_precision"] == 1.0
    assert figures["offset_error"] < 1e-4 and figures["direction_angle"] < 0.1
    assert figures["direction_cosine"] == pytest.approx(1, abs=1e-5)
    for kind in ("20", "4", "ss"):
        assert figures[f"accuracy_{kind}"] == 1.0
    # At a Cα between voxels, some of those next to it belong to its neighbour in the chain.
    assert figures["log_loss_20"] < 0.2


def test_found_places_are_counted_once(chain: Chain, evidence: Evidence):
    lost = evidence.calpha.copy()
    at = tuple(np.rint(chain.calpha[:21] - evidence.origin).astype(int).T)
    for shift in np.ndindex(5, 5, 5):
        lost[tuple(a + s - 2 for a, s in zip(at, shift, strict=True))] = 0
    lost[2, 2, 2] = 0.9  # far from the chain
    figures = place_figures(replace(evidence, calpha=lost), [chain])
    n = len(chain)
    assert figures["recall_1.0"] == pytest.approx((n - 21) / n, abs=2 / n)
    assert figures["precision_1.0"] == pytest.approx(1 - 1 / figures["calpha_peaks"])
    near = place_figures(replace(evidence, calpha=lost), [chain], near=4.0)
    assert near["precision_1.0"] == 1.0 and near["calpha_peaks"] == figures["calpha_peaks"] - 1

    # Two peaks at one residue: one of them is false.
    twins = replace(evidence, calpha=np.zeros_like(lost), main_chain=np.zeros_like(lost))
    i, j, k = np.rint(chain.calpha[100] - evidence.origin).astype(int)
    twins.calpha[i - 1, j, k] = twins.calpha[i + 1, j, k] = 0.8
    figures = place_figures(twins, [chain], separation=0.0)
    assert figures["calpha_peaks"] == 2 and figures["precision_2.0"] == 0.5
    assert figures["recall_2.0"] == pytest.approx(1 / n)
    assert place_figures(twins, [chain], separation=2.5)["calpha_peaks"] == 1
    assert figures["main_chain_recall"] == 0.0 and figures["main_chain_precision"] == 0.0


def test_nothing_found_is_no_error(chain: Chain, evidence: Evidence):
    empty = np.zeros_like(evidence.calpha)
    figures = place_figures(replace(evidence, calpha=empty, main_chain=empty), [chain], near=4.0)
    assert all(figures[name] == 0 for name in figures if name != "residues")


def test_vectors_are_measured_in_angstrom_and_degrees(chain: Chain, evidence: Evidence):
    assert evidence.offset is not None and evidence.directions is not None
    turned = evidence.directions.reshape(*evidence.calpha.shape, 2, 3)[..., ::-1, :]
    wrong = replace(
        evidence,
        offset=evidence.offset + np.array([0, 0.3, 0.4], np.float32),
        directions=np.ascontiguousarray(turned).reshape(evidence.directions.shape),
    )
    figures = vector_figures(wrong, [chain])
    assert figures["offset_error"] == pytest.approx(0.5, abs=1e-3)
    # Previous and next in each other's place: the angle between them is that of three successive Cα.
    bonds = np.diff(chain.calpha, axis=0)
    unit = bonds / np.linalg.norm(bonds, axis=1, keepdims=True)
    cosine = -(unit[1:] * unit[:-1]).sum(axis=1)
    assert figures["direction_cosine"] == pytest.approx(cosine.mean(), abs=0.05)
    assert vector_figures(replace(evidence, offset=None), [chain]) == {}


def test_types_are_compared_for_the_first_residues_and_near_them(chain: Chain, evidence: Evidence):
    assert len(label_calpha(evidence, [chain], first=50).states) == 50
    places = np.concatenate([chain.calpha[10:20] + 0.5, chain.calpha[:1] + 40]).astype(np.float32)
    labelled = label_points(evidence, [chain], places, TypingConfig(vote=False))
    whole = label_calpha(evidence, [chain])
    np.testing.assert_array_equal(labelled.amino_acids, whole.amino_acids[10:20])
    np.testing.assert_array_equal(labelled.states, whole.states[10:20])
    voted = label_points(evidence, [chain], places, TypingConfig())
    np.testing.assert_allclose(voted.points.amino_acids, whole.points.amino_acids[10:20], atol=0.05)


def test_type_figures_count_known_residues():
    amino_acids = np.full((4, 20), 0.5 / 19, np.float32)
    amino_acids[:, 0] = 0.5  # alanine
    points = TypedPoints(
        positions=np.zeros((4, 3), np.float32),
        calpha=np.ones(4, np.float32),
        amino_acids=amino_acids,
        secondary_structure=np.tile(np.array([0.8, 0.1, 0.1], np.float32), (4, 1)),
    )
    # Alanine, glycine (the same class), tryptophan, unknown.
    case = LabelledPoints(
        points=points,
        amino_acids=np.array([0, 5, 18, UNKNOWN_AMINO_ACID], np.int32),
        states=np.array([0, 0, 1, 2], np.int32),
    )
    figures = type_figures([case])
    assert figures["accuracy_20"] == pytest.approx(1 / 3)
    assert figures["accuracy_4"] == pytest.approx(2 / 3) and figures["majority_4"] == pytest.approx(2 / 3)
    assert figures["accuracy_ss"] == pytest.approx(0.5)
    assert figures["ece_20"] == pytest.approx(0.5 - 1 / 3, abs=1e-5)
    assert figures["ece_ss"] == pytest.approx(0.3, abs=1e-5)
    expected = -(2 * np.log(0.8) + 2 * np.log(0.1)) / 4
    assert figures["log_loss_ss"] == pytest.approx(expected, abs=1e-5)
    assert type_figures([case, case]) == pytest.approx(figures)


def test_log_loss_is_that_of_the_true_answer(rng: np.random.Generator):
    confidence = rng.uniform(0.5, 1, 100)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    assert log_loss(probabilities, np.zeros(100, np.int32)) == pytest.approx(-np.log(confidence).mean())
