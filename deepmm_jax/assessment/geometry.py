"""The stereochemistry of an all-atom model in figures."""

from collections.abc import Sequence

import numpy as np

from deepmm_jax.assessment.clashes import clashscore
from deepmm_jax.assessment.covalent import (
    angle_deviations,
    bond_deviations,
    d_residues,
    incomplete_residues,
    peptide_figures,
    rms,
)
from deepmm_jax.assessment.rotamers import rotamer_figures
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.ramachandran import ramachandran_figures
from deepmm_jax.structure.residue_atoms import backbone_torsions, residue_atoms, side_chain_torsions


FIGURES = (
    "bond_rmsz",
    "angle_rmsz",
    "twisted_peptides",
    "cis_proline",
    "cis_non_proline",
    "d_residues",
    "incomplete_residues",
    "ramachandran_favoured",
    "ramachandran_outliers",
    "rotamer_outliers",
    "clashscore",
)


def geometry_figures(chains: Sequence[Chain]) -> dict[str, float | int | None]:
    """Stereochemistry of all chains of a model together; what cannot be measured is None.

    `bond_rmsz` and `angle_rmsz` are the root mean square deviations from ideal values in units of their standard
    deviations. `twisted_peptides`, `cis_proline`, `cis_non_proline`, `d_residues` and `incomplete_residues` (without
    one of their heavy atoms) are counts.
    `ramachandran_favoured`, `ramachandran_outliers` and `rotamer_outliers` are fractions in [0, 1] of the residues that
    have those angles. `clashscore` counts clashes for every thousand atoms, hydrogens included. Hydrogens are placed
    anew; atoms that the 20 amino acids do not have take no part. A model of Cα alone has no figures: all are None.
    """
    atoms = residue_atoms(chains)
    if not np.isfinite(atoms.atom("N") + atoms.atom("C")).any():
        return dict.fromkeys(FIGURES)
    phi, psi, omega = backbone_torsions(atoms).T
    return {
        "bond_rmsz": rms(bond_deviations(atoms)),
        "angle_rmsz": rms(angle_deviations(atoms, omega)),
        **peptide_figures(atoms, omega),
        "d_residues": d_residues(atoms),
        "incomplete_residues": incomplete_residues(atoms),
        **ramachandran_figures(atoms.letters, phi, psi),
        **rotamer_figures(atoms.letters, side_chain_torsions(atoms)),
        "clashscore": clashscore(atoms),
    }
