"""Clashes: against a loop over all pairs, at the limits, and in damaged structures."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import KDTree

from deepmm_jax.assessment.clashes import clashes
from deepmm_jax.assessment.covalent import disulfides
from deepmm_jax.assessment.geometry import geometry_figures
from deepmm_jax.structure.hydrogens import place_hydrogens
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.residue_atoms import ATOM_NAMES, LETTERS, SLOT, ResidueAtoms, residue_atoms
from reference.damaged_chains import moved, swung
from reference.geometry_oracle import count_clashes


def test_clashes_agree_with_a_loop_over_pairs(kinase):
    """Bonds here come from distances, not from a table."""
    rows = np.flatnonzero(kinase.residue_of_atom < 60)
    part = replace(
        kinase,
        sequence=kinase.sequence[:60],
        numbers=kinase.numbers[:60],
        positions=kinase.positions[rows],
        atom_names=kinase.atom_names[: len(rows)],
        elements=kinase.elements[: len(rows)],
        residue_of_atom=kinase.residue_of_atom[rows],
        b_factors=kinase.b_factors[rows],
        full_sequence=None,
        register=None,
    )
    for residue in range(12, 54, 5):
        part = swung(part, residue, 100.0)
    atoms = residue_atoms([part])
    found, n = clashes(atoms)
    assert len(found) > 5
    hydrogens = place_hydrogens(atoms)
    heavy = part.positions.astype(np.float64)
    positions = np.concatenate([heavy, hydrogens.positions])
    bonds = defaultdict(list)
    for i, j in KDTree(heavy).query_pairs(1.95):
        if len({part.residue_of_atom[i], part.residue_of_atom[j]}) == 1 or np.linalg.norm(heavy[i] - heavy[j]) < 1.4:
            bonds[i].append(j)
            bonds[j].append(i)
    place = {(r, name): a for a, (r, name) in enumerate(zip(part.residue_of_atom.tolist(), part.atom_names))}
    for h, (residue, parent) in enumerate(zip(hydrogens.residue.tolist(), hydrogens.parent.tolist()), len(heavy)):
        bearer = place[residue, ATOM_NAMES[parent]]
        bonds[bearer].append(h)
        bonds[h].append(bearer)
    carbonyl = {(None, "C"), ("N", "CG"), ("D", "CG"), ("Q", "CD"), ("E", "CD")}
    letters = [part.sequence[r] for r in part.residue_of_atom.tolist()]
    radii = [
        1.65 if {(None, name), (a, name)} & carbonyl else {"C": 1.7, "N": 1.55, "O": 1.4, "S": 1.8}[name[0]]
        for a, name in zip(letters, part.atom_names)
    ]
    radii += np.where(hydrogens.polar | hydrogens.aromatic, 1.05, 1.22).tolist()
    hydrogen = [False] * len(heavy) + [True] * len(hydrogens.positions)
    donor = [False] * len(heavy) + hydrogens.polar.tolist()
    acceptor = [x[0] == "O" or (a == "H" and x in ("ND1", "NE2")) for a, x in zip(letters, part.atom_names)]
    acceptor += [False] * len(hydrogens.positions)
    assert n == len(positions)
    assert len(found) == count_clashes(positions, radii, hydrogen, donor, acceptor, bonds)


def test_a_side_chain_swung_into_another(kinase):
    residue = kinase.sequence.index("F")
    good, _ = clashes(residue_atoms([kinase]))
    bad, n = clashes(residue_atoms([swung(kinase, residue, 100.0)]))
    assert (bad == residue).any(axis=1).sum() >= 5 > (good == residue).any(axis=1).sum()
    assert geometry_figures([swung(kinase, residue, 100.0)])["clashscore"] == 1000 * len(bad) / n


def test_two_chains_in_one_place_clash(kinase):
    apart = moved(kinase, np.arange(len(kinase.positions)), lambda x: x + 1.0)
    assert geometry_figures([kinase, apart])["clashscore"] > 500


def single_residues(*parts: dict[str, tuple[float, float, float]], letters: str) -> ResidueAtoms:
    positions = np.full((len(parts), len(SLOT), 3), np.nan)
    for r, atoms in enumerate(parts):
        for name, place in atoms.items():
            positions[r, SLOT[name]] = place
    indices = np.array([LETTERS.index(letter) for letter in letters])
    return ResidueAtoms(letters=indices, positions=positions, joined=np.zeros(len(parts), bool))


@pytest.mark.parametrize(
    ("first", "second", "limit"),
    [(("V", "CB"), ("V", "CB"), 3.0), (("V", "C"), ("V", "N"), 2.8), (("K", "NZ"), ("D", "OD1"), 2.55)],
)
def test_atoms_clash_from_an_overlap_of_04(first, second, limit):
    for distance, expected in ((limit - 0.01, 1), (limit + 0.01, 0)):
        atoms = single_residues({first[1]: (0, 0, 0)}, {second[1]: (distance, 0, 0)}, letters=first[0] + second[0])
        assert len(clashes(atoms)[0]) == expected


@pytest.mark.parametrize(("other", "limit"), [(("D", "OD1"), 1.69), (("V", "CB"), 2.35)])
def test_hydrogen_bonds_do_not_clash(other, limit):
    """An amide hydrogen points at an acceptor, which may come to 2.55 Å from N, and at a carbon."""
    amide = {"CB": (-2.8, 0.0, 0.0), "CG": (-1.3, 0.0, 0.0), "ND2": (-0.65, 1.16, 0.0)}
    (tip,) = (p for p in place_hydrogens(single_residues(amide, letters="N")).positions if p[0] > -0.6)
    way = (tip - amide["ND2"]) / 0.86
    for distance, expected in ((limit - 0.02, 1), (limit + 0.02, 0)):
        atoms = single_residues(amide, {other[1]: tuple(tip + distance * way)}, letters="N" + other[0])
        assert len(clashes(atoms)[0]) == expected


def test_disulfides_do_not_clash(data_directory):
    atoms = residue_atoms(read_chains(data_directory / "structures" / "3lzt_A.pdb.gz"))
    bonds = disulfides(atoms)
    assert bonds == [(5, 126), (29, 114), (63, 79), (75, 93)]
    found = {tuple(sorted(pair)) for pair in clashes(atoms)[0].tolist()}
    assert not found & set(bonds)
