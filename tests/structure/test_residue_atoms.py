"""Torsion angles of chains against their definition."""

import numpy as np

from deepmm_jax.structure.residue_atoms import (
    CHI_ATOMS,
    backbone_torsions,
    dihedral,
    residue_atoms,
    side_chain_torsions,
)
from reference.geometry_oracle import torsion


def test_a_residue_without_a_neighbour_has_no_verdict(kinase):
    phi, psi, omega = backbone_torsions(residue_atoms([kinase])).T
    assert np.isnan(phi).nonzero()[0].tolist() == [0] and np.isnan(omega).nonzero()[0].tolist() == [0]
    assert np.isnan(psi).nonzero()[0].tolist() == [len(kinase) - 1]


def test_torsions_agree_with_the_planes(rng, kinase):
    a, b, c, d = rng.normal(size=(4, 50, 3))
    expected = [torsion(*points) for points in zip(a, b, c, d)]
    np.testing.assert_allclose(dihedral(a, b, c, d), expected, atol=1e-6)
    chi = side_chain_torsions(residue_atoms([kinase]))
    residue = kinase.sequence.index("R")
    path = [kinase.atom(name)[residue].astype(float) for name in CHI_ATOMS["R"]]
    np.testing.assert_allclose(chi[residue], [torsion(*path[k : k + 4]) for k in range(4)], atol=1e-3)
