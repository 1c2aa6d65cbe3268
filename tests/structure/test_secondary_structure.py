"""Secondary structure: labels of another DSSP, ideal geometry, and what must not matter."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.secondary_structure import assign_secondary_structure, hydrogen_bonds, label_backbone
from deepmm_jax.structure.write import calpha_chain
from reference.golden_pairs import golden, golden_pairs, ubiquitin


ROOT = Path(__file__).parents[2]
STRUCTURES = Path(os.environ.get("DEEPMM_JAX_DATA", ROOT.parent / "shared" / "data")) / "structures"
THREE_STATES = str.maketrans("GIBTSP-", "HHECCCC")
GOLDEN = {name: figures["labels"].translate(THREE_STATES) for name, figures in golden("secondary_structure").items()}
PAIRS = {pair.name: pair.model[0] for pair in golden_pairs()}


def ideal_backbone(phi: float, psi: float, n: int) -> np.ndarray:
    """N, CA, C, O of a chain with ideal bonds and the same torsions (degrees) everywhere, (n, 4, 3) in Å."""

    def place(a: np.ndarray, b: np.ndarray, c: np.ndarray, length: float, angle: float, torsion: float) -> np.ndarray:
        angle, torsion = np.radians(angle), np.radians(torsion)
        along = (c - b) / np.linalg.norm(c - b)
        normal = np.cross(b - a, along)
        normal /= np.linalg.norm(normal)
        frame = np.stack([-along, np.cross(normal, along), normal], axis=1)
        local = [np.cos(angle), np.sin(angle) * np.cos(torsion), np.sin(angle) * np.sin(torsion)]
        return c + length * frame @ np.array(local)

    atoms = [np.array([0.0, 0.0, 0.0]), np.array([1.46, 0.0, 0.0]), np.array([2.0, 1.4, 0.0])]
    for _ in range(n):
        atoms.append(place(*atoms[-3:], 1.33, 116.6, psi))
        atoms.append(place(*atoms[-3:], 1.46, 121.7, 180.0))
        atoms.append(place(*atoms[-3:], 1.52, 111.0, phi))
    main = np.array(atoms[: 3 * n + 1])
    nitrogen, calpha, carbon, following = main[0 : 3 * n : 3], main[1 : 3 * n : 3], main[2 : 3 * n : 3], main[3::3]
    outward = (carbon - calpha) / np.linalg.norm(carbon - calpha, axis=1)[:, None]
    outward = outward + (carbon - following) / np.linalg.norm(carbon - following, axis=1)[:, None]
    oxygen = carbon + 1.23 * outward / np.linalg.norm(outward, axis=1)[:, None]
    return np.stack([nitrogen, calpha, carbon, oxygen], axis=1)


@pytest.mark.parametrize("name", ["1ake_A", "1ubi_A", *(name for name in GOLDEN if name in PAIRS)])
def test_mkdssp_agrees_on_whole_and_damaged_chains(name):
    chains = {"1ake_A": PAIRS["itself"], "1ubi_A": ubiquitin()} | PAIRS
    assert assign_secondary_structure(chains[name]) == GOLDEN[name]


@pytest.mark.skipif(not STRUCTURES.is_dir(), reason="no structure set: set DEEPMM_JAX_DATA")
def test_mkdssp_agrees_on_twenty_chains():
    names = [name for name in GOLDEN if name != "1ake_A" and (STRUCTURES / f"{name}.pdb.gz").exists()]
    assert len(names) == 20
    for name in names:
        (chain,) = read_chains(STRUCTURES / f"{name}.pdb.gz")
        assert assign_secondary_structure(chain) == GOLDEN[name], name


@pytest.mark.parametrize(("phi", "psi", "turn"), [(-57.0, -47.0, 4), (-49.0, -26.0, 3), (-57.0, -70.0, 5)])
def test_ideal_helices_are_bonded_turn_by_turn_and_labelled_but_for_their_ends(phi, psi, turn):
    """α, 3₁₀ and π helices: the amide of residue i + turn to the carbonyl of residue i."""
    backbone, proline = ideal_backbone(phi, psi, 20), np.zeros(20, bool)
    donors, acceptors = np.nonzero(hydrogen_bonds(backbone, proline, np.zeros(20, np.int64)))
    np.testing.assert_array_equal(donors, np.arange(turn, 20))
    np.testing.assert_array_equal(acceptors, donors - turn)
    assert label_backbone(backbone, proline) == "C" + "H" * 18 + "C"


def test_a_lone_strand_is_no_sheet():
    assert label_backbone(ideal_backbone(-139.0, 135.0, 12), np.zeros(12, bool)) == "C" * 12


def test_a_helix_of_prolines_has_no_bonds():
    assert label_backbone(ideal_backbone(-57.0, -47.0, 20), np.ones(20, bool)) == "C" * 20


def test_place_and_order_of_atoms_do_not_matter():
    (chain,) = read_chains(ROOT / "examples" / "1ake_A.pdb.gz")
    turn = Rotation.from_rotvec([0.3, 1.1, -0.7]).as_matrix().astype(np.float32)
    order = np.random.default_rng(0).permutation(len(chain.positions))
    shuffled = replace(
        chain,
        positions=(chain.positions @ turn.T + np.float32(50.0))[order],
        atom_names=tuple(chain.atom_names[a] for a in order),
        elements=tuple(chain.elements[a] for a in order),
        residue_of_atom=chain.residue_of_atom[order],
        b_factors=chain.b_factors[order],
    )
    assert assign_secondary_structure(shuffled) == GOLDEN["1ake_A"]


def test_a_cut_chain_keeps_the_bonds_that_do_not_need_the_cut():
    backbone = ideal_backbone(-57.0, -47.0, 40)
    backbone[20] = np.nan
    labels = label_backbone(backbone, np.zeros(40, bool))
    assert labels[20] == "C" and labels[3:17] == "H" * 14 and labels[24:37] == "H" * 13


def test_chains_without_backbone_and_short_chains_are_coil():
    trace = np.arange(30.0).reshape(10, 3).astype(np.float32)
    assert assign_secondary_structure(calpha_chain("A", "ACDEFGHIKL", trace)) == "C" * 10
    for n in range(1, 7):
        assert label_backbone(ideal_backbone(-57.0, -47.0, n), np.zeros(n, bool)).strip("C") == (
            "HHHH" if n >= 6 else ""
        )
