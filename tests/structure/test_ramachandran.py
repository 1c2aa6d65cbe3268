"""Ramachandran classes, densities and verdicts at places whose verdict is known."""

import numpy as np
import pytest

from deepmm_jax.structure.ramachandran import (
    BRANCHED,
    GENERAL,
    GLYCINE,
    PRE_PROLINE,
    PROLINE,
    log_densities,
    ramachandran_table,
    residue_classes,
)
from deepmm_jax.structure.residue_atoms import LETTERS


def test_ramachandran_classes():
    letters = np.array([LETTERS.index(letter) for letter in "AGPVPIGPA"])
    expected = [GENERAL, GLYCINE, PROLINE, PRE_PROLINE, PROLINE, BRANCHED, GLYCINE, PROLINE]
    assert residue_classes(letters)[:-1].tolist() == expected


@pytest.mark.parametrize(
    ("kind", "phi", "psi", "verdict"),
    [
        (GENERAL, -63, -43, "favoured"),
        (GENERAL, -120, 130, "favoured"),
        (GENERAL, 57, 45, "favoured"),
        (GENERAL, 0, 0, "outlier"),
        (GENERAL, 60, -70, "outlier"),
        (GENERAL, -179, 179, "allowed"),
        (GLYCINE, 85, 5, "favoured"),
        (GLYCINE, 80, -170, "favoured"),
        (GLYCINE, 0, 60, "outlier"),
        (PROLINE, -65, 145, "favoured"),
        (PROLINE, -130, 145, "outlier"),
        (PROLINE, 60, 45, "outlier"),
        (PRE_PROLINE, -65, 140, "favoured"),
        (PRE_PROLINE, 60, -120, "outlier"),
        (BRANCHED, -63, -43, "favoured"),
        (BRANCHED, 57, -120, "outlier"),
    ],
)
def test_verdicts_on_the_ramachandran_map(kind, phi, psi, verdict):
    (density,) = log_densities(np.array([kind]), np.array([float(phi)]), np.array([float(psi)]))
    table = ramachandran_table()
    found = "favoured" if density >= table.favoured[kind] else "outlier" if density < table.outlier[kind] else "allowed"
    assert found == verdict


def test_ramachandran_densities_are_densities():
    table = ramachandran_table()
    np.testing.assert_allclose(np.exp(table.log_density).mean(axis=(1, 2)), 1.0, atol=0.01)
    assert (table.favoured > table.outlier).all()
    steps = np.abs(np.diff(np.exp(table.log_density), axis=1, append=np.exp(table.log_density[:, :1])))
    assert (steps.max(axis=(1, 2)) < 0.5 * np.exp(table.log_density).max(axis=(1, 2))).all()
    # A density at a node is that of the table, and angles a turn apart are the same.
    phi, psi = np.array([-180.0 + 3 * 39, 180.0 + 3 * 39]), np.array([-180.0 + 3 * 45] * 2)
    np.testing.assert_allclose(log_densities(np.zeros(2, int), phi, psi), table.log_density[0, 39, 45])
