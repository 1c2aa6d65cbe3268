"""All-atom models: the order of atoms, and the way to chains and files."""

from pathlib import Path

import gemmi
import numpy as np

from deepmm_jax.allatom.values import ATOMS, CB, MOST_ATOMS, AllAtomModel
from deepmm_jax.constants import ONE_TO_THREE
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.write import write_pdb


def some_model(rng: np.random.Generator) -> AllAtomModel:
    letters = "MGWXP"
    mask = np.zeros((5, MOST_ATOMS), bool)
    for r, letter in enumerate(letters):
        mask[r, : len(ATOMS[letter])] = True
    mask[1] = False
    positions = np.where(mask[..., None], rng.uniform(-50, 50, (5, MOST_ATOMS, 3)), np.nan).astype(np.float32)
    return AllAtomModel(letters=letters, positions=positions, mask=mask)


def test_there_are_as_many_heavy_atoms_as_the_amino_acid_has_without_the_water():
    for letter, atoms in ATOMS.items():
        assert len(set(atoms)) == len(atoms) <= MOST_ATOMS
        assert atoms[:CB] == ("N", "CA", "C", "O")
        assert letter == "G" or atoms[CB] == "CB"
    heavy = dict(zip("ACDEFGHIKLMNPQRSTVWY", (5, 6, 8, 9, 11, 4, 10, 8, 9, 8, 8, 8, 7, 9, 11, 6, 7, 7, 14, 12)))
    assert {letter: len(atoms) for letter, atoms in ATOMS.items() if letter != "X"} == heavy


def test_atoms_are_those_of_real_chains(data_directory: Path):
    (chain,) = read_chains(data_directory / "structures" / "1vfy_A.pdb.gz")
    for r, letter in enumerate(chain.sequence):
        there = {chain.atom_names[a] for a in np.flatnonzero(chain.residue_of_atom == r)} - {"OXT"}
        assert there <= set(ATOMS[letter])


def test_a_model_is_read_back_from_a_file_as_it_was(tmp_path: Path, rng: np.random.Generator):
    model = some_model(rng)
    chain = model.chain("A", np.linspace(0, 1, 5))
    assert chain.sequence == "MWXP"
    assert chain.numbers.tolist() == [1, 3, 4, 5]
    assert chain.register is not None and chain.register.tolist() == [0, 2, 3, 4]
    write_pdb(tmp_path / "model.pdb", [[chain]])
    (again,) = read_chains(tmp_path / "model.pdb")
    assert again.sequence == chain.sequence
    assert again.atom_names == chain.atom_names
    assert again.elements == chain.elements
    np.testing.assert_allclose(again.positions, model.positions[model.mask], atol=6e-4)
    np.testing.assert_allclose(again.b_factors[again.residue_of_atom == 3], 100)


def test_elements_are_those_of_the_names(rng: np.random.Generator):
    chain = some_model(rng).chain("A")
    weights = {ONE_TO_THREE[a]: gemmi.find_tabulated_residue(ONE_TO_THREE[a]).weight for a in "MWP"}
    heavy = {"C": 12.011, "N": 14.007, "O": 15.999, "S": 32.06}
    for r, letter in enumerate(chain.sequence):
        if letter == "X":
            continue
        own = sum(heavy[chain.elements[a]] for a in np.flatnonzero(chain.residue_of_atom == r))
        hydrogens = (weights[ONE_TO_THREE[letter]] - own - 15.999) / 1.008  # the free acid has one more oxygen
        assert abs(hydrogens - round(hydrogens)) < 0.1
