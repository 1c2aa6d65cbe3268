"""Hydrogens placed: how many, how far from their bearers, at which angles."""

import numpy as np
from scipy.spatial import KDTree

from deepmm_jax.structure.hydrogens import place_hydrogens
from deepmm_jax.structure.residue_atoms import SLOT, residue_atoms
from reference.geometry_oracle import torsion


HYDROGENS = dict(
    A=5, R=13, N=6, D=4, C=4, Q=8, E=6, G=3, H=6, I=11, L=11, K=10, M=9, F=9, P=7, S=4, T=6, W=10, Y=8, V=9
)
"""Hydrogens with a fixed place on a residue within a chain."""


def test_hydrogens_have_the_right_number_and_places(kinase):
    atoms = residue_atoms([kinase])
    hydrogens = place_hydrogens(atoms)
    number = np.bincount(hydrogens.residue, minlength=len(kinase))
    expected = [HYDROGENS[letter] for letter in kinase.sequence]
    expected[0] -= 1  # the first N
    assert number.tolist() == expected
    bearers = atoms.positions[hydrogens.residue, hydrogens.parent]
    length = np.linalg.norm(hydrogens.positions - bearers, axis=1)
    np.testing.assert_allclose(length, np.select([hydrogens.polar, hydrogens.aromatic], [0.86, 0.93], 0.97), atol=1e-6)
    # Angles at the bearers to everything bonded to them: tetrahedral ones near 109°, flat ones near 120° or 126°.
    heavy = atoms.positions.reshape(-1, 3)
    heavy = heavy[np.isfinite(heavy).all(axis=1)]
    all_atoms = np.concatenate([heavy, hydrogens.positions])
    tree = KDTree(all_atoms)
    for h, at in zip(hydrogens.positions, bearers):
        for other in tree.query_ball_point(at, 1.7):
            arm = all_atoms[other] - at
            if np.linalg.norm(arm) < 0.1 or np.linalg.norm(all_atoms[other] - h) < 0.1:
                continue
            angle = np.degrees(np.arccos((arm @ (h - at)) / np.linalg.norm(arm) / np.linalg.norm(h - at)))
            assert 99 < angle < 130


def test_methyls_are_staggered_and_amides_flat(kinase):
    atoms = residue_atoms([kinase])
    hydrogens = place_hydrogens(atoms)
    for letter, path in {"A": ("N", "CA", "CB"), "N": ("OD1", "CG", "ND2")}.items():
        residue = 1 + kinase.sequence[1:].index(letter)
        points = [atoms.atom(name)[residue] for name in path]
        own = (hydrogens.residue == residue) & (hydrogens.parent == SLOT[path[2]])
        found = sorted(torsion(*points, h) % 360 for h in hydrogens.positions[own])
        if letter == "A":
            np.testing.assert_allclose(found, [60, 180, 300], atol=1e-3)
        else:
            assert len(found) == 2 and all(min(x % 180, -x % 180) < 10 for x in found)
