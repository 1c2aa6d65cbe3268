"""The figures of `evaluate`: what each reacts to and what it does not."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from deepmm_jax.assessment.report import evaluate_model
from deepmm_jax.errors import StructureError
from deepmm_jax.structure.chain import BACKBONE, Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.write import calpha_chain
from reference.golden_pairs import keep_atoms


KEYS = [
    "n_model", "n_reference", "coverage", "ca_rmsd", "ca_rmsd_superposed", "tm_score", "residue_match",
    "sequence_match", "click_rmsd", "click_overlap", "backbone_rmsd", "all_atom_rmsd",
]  # fmt: skip


@pytest.fixture(scope="module")
def kinase() -> Chain:
    (chain,) = read_chains(Path(__file__).parents[2] / "examples" / "1ake_A.pdb.gz")
    return chain


def test_a_model_that_is_the_reference(kinase):
    figures = evaluate_model([kinase], [kinase])
    assert list(figures) == KEYS
    assert json.loads(json.dumps(figures)) == figures
    assert figures["n_model"] == figures["n_reference"] == 214
    for key in KEYS[2:]:
        assert figures[key] == pytest.approx(0.0 if "rmsd" in key else 1.0, abs=1e-6), key


def test_a_shifted_model_is_off_in_place_only(kinase):
    shifted = replace(kinase, positions=kinase.positions + np.array([2.0, 0.0, 0.0], np.float32))
    figures = evaluate_model([shifted], [kinase])
    for key in ("ca_rmsd", "backbone_rmsd", "all_atom_rmsd"):
        assert figures[key] == pytest.approx(2.0, abs=1e-4)
    assert figures["ca_rmsd_superposed"] == pytest.approx(0.0, abs=1e-4)
    assert figures["coverage"] == 1.0 and figures["tm_score"] == pytest.approx(1.0)
    # By the rule of nearest atoms a few residues lose their partner to a neighbour.
    assert figures["residue_match"] is not None and 0.95 < figures["residue_match"] < 1.0


def test_a_turned_model_matches_nowhere_in_place(kinase):
    turn = Rotation.from_rotvec([0.5, 2.0, -1.0]).as_matrix().astype(np.float32)
    figures = evaluate_model([replace(kinase, positions=kinase.positions @ turn.T + np.float32(150.0))], [kinase])
    assert figures["ca_rmsd"] is not None and figures["ca_rmsd"] > 100.0
    assert figures["residue_match"] == 0.0 and figures["sequence_match"] is None
    assert figures["ca_rmsd_superposed"] == pytest.approx(0.0, abs=1e-3)
    assert figures["tm_score"] == pytest.approx(1.0, abs=1e-6)
    assert figures["click_overlap"] == 1.0 and figures["click_rmsd"] == pytest.approx(0.0, abs=1e-3)


def test_a_register_shift_is_seen_by_the_sequence_match(kinase):
    positions = np.roll(kinase.calpha, 1, axis=0)
    positions[0] = np.nan
    figures = evaluate_model([calpha_chain("A", kinase.sequence, positions)], [kinase])
    assert figures["residue_match"] == pytest.approx(213 / 214)
    assert figures["sequence_match"] is not None and figures["sequence_match"] < 0.15
    assert figures["ca_rmsd"] == pytest.approx(3.8, abs=0.1)
    assert figures["click_overlap"] == pytest.approx(1.0)
    assert figures["backbone_rmsd"] is None and figures["all_atom_rmsd"] is None


@pytest.mark.parametrize("knows_sequence", [True, False])
def test_unbuilt_residues_lower_the_coverage_and_nothing_else_in_place(kinase, knows_sequence):
    positions = kinase.calpha.copy()
    positions[50:83] = np.nan
    model = calpha_chain("B", kinase.sequence, positions)
    if not knows_sequence:
        model = replace(model, full_sequence=None, register=None, numbers=model.numbers + 1000)
    figures = evaluate_model([model], [kinase])
    assert figures["n_model"] == 181
    for key in ("coverage", "tm_score", "residue_match"):
        assert figures[key] == pytest.approx(181 / 214)
    assert figures["ca_rmsd"] == pytest.approx(0.0, abs=1e-6)
    assert figures["sequence_match"] == figures["click_overlap"] == 1.0


def test_backbone_and_all_atoms_are_measured_apart(kinase):
    moved = kinase.positions.copy()
    side = np.array([name not in BACKBONE for name in kinase.atom_names])
    moved[side] += np.array([0.0, 3.0, 0.0], np.float32)
    figures = evaluate_model([replace(kinase, positions=moved)], [kinase])
    assert figures["backbone_rmsd"] == pytest.approx(0.0, abs=1e-6)
    # Exchanging equivalent names may do better than 3 Å in a few residues.
    assert figures["all_atom_rmsd"] == pytest.approx(3.0 * np.sqrt(side.mean()), abs=0.05)
    figures = evaluate_model([keep_atoms(kinase, np.flatnonzero(~side))], [kinase])
    assert figures["backbone_rmsd"] == pytest.approx(0.0, abs=1e-6) and figures["all_atom_rmsd"] is None


def test_names_that_chemistry_does_not_tell_apart_may_be_exchanged(kinase):
    exchange = {"OD1": "OD2", "OE1": "OE2", "CD1": "CD2", "CE1": "CE2", "NH1": "NH2"}
    exchange |= {b: a for a, b in exchange.items()}
    letters = [kinase.sequence[r] for r in kinase.residue_of_atom]
    names = tuple(exchange.get(n, n) if c in "DEFRY" else n for n, c in zip(kinase.atom_names, letters))
    assert evaluate_model([replace(kinase, atom_names=names)], [kinase])["all_atom_rmsd"] == pytest.approx(
        0.0, abs=1e-6
    )
    names = tuple(exchange.get(n, n) if c == "L" else n for n, c in zip(kinase.atom_names, letters))
    figures = evaluate_model([replace(kinase, atom_names=names)], [kinase])
    assert figures["all_atom_rmsd"] is not None and figures["all_atom_rmsd"] > 0.3


def test_several_chains_count_together(kinase):
    away = replace(kinase, name="B", positions=kinase.positions + np.float32(60.0))
    figures = evaluate_model([away], [kinase, away])
    assert figures["coverage"] == figures["residue_match"] == 0.5
    assert figures["ca_rmsd"] == pytest.approx(0.0, abs=1e-6)
    figures = evaluate_model([away, kinase], [kinase, away])
    assert figures["coverage"] == figures["tm_score"] == pytest.approx(1.0)
    assert figures["ca_rmsd"] == pytest.approx(0.0, abs=1e-6)


def test_another_protein_has_no_figures_that_need_pairs(kinase):
    model = calpha_chain("A", "GP" * 40, kinase.calpha[:80])
    figures = evaluate_model([model], [kinase])
    assert figures["coverage"] == figures["tm_score"] == 0.0
    assert figures["ca_rmsd"] is None and figures["ca_rmsd_superposed"] is None and figures["all_atom_rmsd"] is None
    assert figures["residue_match"] == pytest.approx(80 / 214)


def test_a_side_without_calpha_is_an_error(kinase):
    with pytest.raises(StructureError, match="The model has no Cα"):
        evaluate_model([], [kinase])
    nothing = keep_atoms(kinase, np.flatnonzero(np.array(kinase.atom_names) != "CA"))
    with pytest.raises(StructureError, match="The reference has no Cα"):
        evaluate_model([kinase], [nothing])
