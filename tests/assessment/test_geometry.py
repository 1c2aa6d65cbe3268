"""All figures of stereochemistry: of good structures, of several chains, of models that lack atoms."""

from dataclasses import replace

import numpy as np
import pytest

from deepmm_jax.assessment.geometry import geometry_figures
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.residue_atoms import residue_atoms
from deepmm_jax.structure.write import calpha_chain
from reference.damaged_chains import moved


def test_a_good_structure(kinase):
    figures = geometry_figures([kinase])
    assert figures["bond_rmsz"] < 1.0 and figures["angle_rmsz"] < 1.6
    assert (figures["twisted_peptides"], figures["cis_non_proline"], figures["d_residues"]) == (0, 0, 0)
    assert figures["cis_proline"] == 1  # Pro 87
    assert figures["incomplete_residues"] == 0
    assert figures["ramachandran_favoured"] > 0.96 and figures["ramachandran_outliers"] == 0.0
    assert figures["rotamer_outliers"] < 0.02
    assert figures["clashscore"] < 8


@pytest.mark.parametrize("name", ["1ucs_A", "2nrl_A", "2pvb_A"])
def test_structures_of_atomic_resolution(data_directory, name):
    figures = geometry_figures(read_chains(data_directory / "structures" / f"{name}.pdb.gz"))
    assert figures["bond_rmsz"] < 1.0 and figures["angle_rmsz"] < 1.3
    assert (figures["twisted_peptides"], figures["cis_non_proline"], figures["d_residues"]) == (0, 0, 0)
    assert figures["ramachandran_favoured"] > 0.96 and figures["ramachandran_outliers"] == 0.0
    assert figures["rotamer_outliers"] < 0.02
    assert figures["clashscore"] < 5


def test_a_model_of_calpha_alone_has_no_stereochemistry(kinase):
    trace = calpha_chain("A", kinase.sequence, kinase.calpha.astype(np.float32))
    assert geometry_figures([trace]) == geometry_figures([]) == dict.fromkeys(geometry_figures([kinase]))


def test_a_main_chain_alone_has_no_rotamers(kinase):
    rows = np.flatnonzero(np.isin(kinase.atom_names, ["N", "CA", "C", "O"]))
    names, elements = np.array(kinase.atom_names)[rows], np.array(kinase.elements)[rows]
    chain = replace(
        kinase,
        positions=kinase.positions[rows],
        atom_names=tuple(names.tolist()),
        elements=tuple(elements.tolist()),
        residue_of_atom=kinase.residue_of_atom[rows],
        b_factors=kinase.b_factors[rows],
    )
    figures, whole = geometry_figures([chain]), geometry_figures([kinase])
    assert [name for name, value in figures.items() if value is None] == ["rotamer_outliers"]
    assert figures["incomplete_residues"] == sum(letter != "G" for letter in kinase.sequence)
    assert figures["ramachandran_favoured"] == whole["ramachandran_favoured"]


def test_chains_count_together(kinase):
    far = moved(kinase, np.arange(len(kinase.positions)), lambda x: x + 200.0)
    one, two = geometry_figures([kinase]), geometry_figures([kinase, far])
    counts = ("cis_proline", "twisted_peptides", "cis_non_proline", "d_residues", "incomplete_residues")
    assert {k: 2 * v if k in counts else pytest.approx(v, rel=1e-3) for k, v in one.items()} == two


def test_unknown_residues_and_atoms_take_no_part(kinase):
    strange = replace(
        kinase,
        sequence="X" + kinase.sequence[1:],
        atom_names=tuple("ZZ" if a == 100 else name for a, name in enumerate(kinase.atom_names)),
    )
    atoms = residue_atoms([strange])
    assert np.isfinite(atoms.positions[0]).all(axis=1).sum() == 4
    assert np.isfinite(atoms.positions).all(axis=-1).sum() == len(kinase.atom_names) - 4 - 1
    assert geometry_figures([strange])["clashscore"] < 8
