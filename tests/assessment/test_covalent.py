"""Bonds, angles, peptides and chirality: tables that fit the chemistry, and damage that each figure shows."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from deepmm_jax.assessment.covalent import angle_deviations, bond_deviations, rms
from deepmm_jax.assessment.geometry import geometry_figures
from deepmm_jax.structure.engh_huber import ANGLES, BONDS
from deepmm_jax.structure.residue_atoms import CHI_ATOMS, LETTERS, backbone_torsions, residue_atoms
from reference.damaged_chains import moved, side_chain, turned, twisted


def test_the_ideal_values_cover_every_residue():
    for letter in LETTERS:
        atoms = {name for bond in BONDS[letter] for name in bond.atoms}
        assert {name for angle in ANGLES[letter] for name in angle.atoms} <= atoms
        assert {*CHI_ATOMS.get(letter, ())} <= atoms
        neighbours = defaultdict(set)
        for bond in BONDS[letter]:
            one, other = bond.atoms
            assert 1.2 < bond.mean < 1.9
            neighbours[one].add(other)
            neighbours[other].add(one)
        # Every pair of neighbours of an atom has an angle, and nothing else has.
        expected = {(frozenset((a, b)), c) for c in atoms for a in neighbours[c] for b in neighbours[c] if a < b}
        assert {(frozenset(x.atoms[::2]), x.atoms[1]) for x in ANGLES[letter]} == expected


def test_a_stretched_bond(kinase):
    residue = 50
    along = kinase.atom("N")[residue] - kinase.atom("C")[residue - 1]
    along /= np.linalg.norm(along)
    stretched = moved(kinase, np.flatnonzero(kinase.residue_of_atom >= residue), lambda x: x + 0.46 * along)
    before, after = (bond_deviations(residue_atoms([chain])) for chain in (kinase, stretched))
    away = after - before
    assert np.flatnonzero(np.abs(away) > 1e-3).size == 1
    assert away.max() == pytest.approx(20.0, abs=0.01)
    assert geometry_figures([stretched])["bond_rmsz"] == pytest.approx(rms(after))
    assert rms(after) ** 2 * len(after) > rms(before) ** 2 * len(before) + 300


def test_bent_angles_count_and_bonds_do_not(kinase):
    residue = kinase.sequence.index("S")
    rows = side_chain(kinase, residue)
    ca, cb, og = (kinase.atom(name)[residue].astype(float) for name in ("CA", "CB", "OG"))
    bent = turned(kinase, rows, cb, cb + np.cross(ca - cb, og - cb), 27.0)  # ten standard deviations
    good, bad = geometry_figures([kinase]), geometry_figures([bent])
    assert bad["bond_rmsz"] == pytest.approx(good["bond_rmsz"], rel=1e-4)
    atoms = residue_atoms([kinase])
    n = len(angle_deviations(atoms, backbone_torsions(atoms)[:, 2]))
    assert (bad["angle_rmsz"] ** 2 - good["angle_rmsz"] ** 2) * n == pytest.approx(100, abs=40)


@pytest.mark.parametrize(
    ("degrees", "twists", "cis"), [(25, 0, 0), (40, 1, 0), (90, 1, 0), (-60, 1, 0), (180, 0, 1), (165, 0, 1)]
)
def test_a_twisted_peptide(kinase, degrees, twists, cis):
    residue = 20
    omega = backbone_torsions(residue_atoms([kinase]))[residue, 2]
    bad = twisted(kinase, residue, 180.0 - omega + degrees)
    figures = geometry_figures([bad])
    assert (figures["twisted_peptides"], figures["cis_non_proline"], figures["cis_proline"]) == (twists, cis, 1)


def test_a_proline_turned_cis(kinase):
    residue = kinase.sequence.index("P")
    figures = geometry_figures([twisted(kinase, residue, 180.0)])
    assert (figures["cis_non_proline"], figures["cis_proline"]) == (0, 2)


def test_mirrored_residues(kinase):
    residue = 30
    n, ca, c = (kinase.atom(name)[residue].astype(float) for name in ("N", "CA", "C"))
    normal = np.cross(n - ca, c - ca)
    normal /= np.linalg.norm(normal)
    names = np.array(kinase.atom_names)
    rows = np.flatnonzero((kinase.residue_of_atom == residue) & ~np.isin(names, ["N", "CA", "C", "O"]))
    assert len(rows)
    mirrored = moved(kinase, rows, lambda x: x - 2 * ((x - ca) @ normal)[:, None] * normal)
    assert geometry_figures([mirrored])["d_residues"] == 1
    everything = geometry_figures([replace(kinase, positions=-kinase.positions)])
    assert everything["d_residues"] == sum(letter != "G" for letter in kinase.sequence)
    assert everything["bond_rmsz"] == pytest.approx(geometry_figures([kinase])["bond_rmsz"])
    assert everything["ramachandran_outliers"] > 0.3
