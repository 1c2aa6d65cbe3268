"""Cα chains and PDB files: what is written is read back."""

from pathlib import Path

import numpy as np
import pytest

from deepmm_jax.errors import StructureError
from deepmm_jax.structure.read import count_models, read_chains
from deepmm_jax.structure.write import calpha_chain, write_pdb


EXAMPLE = Path(__file__).parents[2] / "examples" / "1ake_A.pdb.gz"


def test_unbuilt_residues_are_left_out_but_keep_their_place():
    positions = np.arange(15, dtype=np.float32).reshape(5, 3)
    positions[[0, 3]] = np.nan
    chain = calpha_chain("A", "ACDEF", positions, np.array([0.1, 0.2, 0.3, 0.4, 0.5]))
    assert (chain.sequence, chain.full_sequence) == ("CDF", "ACDEF")
    assert chain.numbers.tolist() == [2, 3, 5]
    assert chain.register is not None and chain.register.tolist() == [1, 2, 4]
    np.testing.assert_allclose(chain.b_factors, [20.0, 30.0, 50.0])
    np.testing.assert_array_equal(chain.calpha, positions[[1, 2, 4]])


def test_a_pdb_file_gives_the_chain_back(tmp_path):
    (chain,) = read_chains(EXAMPLE)
    write_pdb(tmp_path / "a.pdb", [[chain]], title="adenylate kinase")
    (again,) = read_chains(tmp_path / "a.pdb")
    assert again.sequence == chain.sequence
    assert (again.name, again.atom_names, again.elements) == (chain.name, chain.atom_names, chain.elements)
    for field in ("numbers", "positions", "residue_of_atom", "b_factors"):
        np.testing.assert_allclose(getattr(again, field), getattr(chain, field), atol=5e-4)


def test_models_and_the_whole_sequence_are_in_the_pdb_file(tmp_path):
    rng = np.random.default_rng(0)
    positions = rng.normal(size=(3, 20, 3)).astype(np.float32).cumsum(axis=1) * 3
    positions[:, 7:11] = np.nan
    models = [[calpha_chain("B", "ACDEFGHIKLMNPQRSTVWY", model)] for model in positions]
    write_pdb(tmp_path / "a.pdb", models)
    assert count_models(tmp_path / "a.pdb") == 3
    for m, (chain,) in enumerate(models):
        (again,) = read_chains(tmp_path / "a.pdb", model=m)
        assert again.full_sequence == "ACDEFGHIKLMNPQRSTVWY"
        np.testing.assert_array_equal(again.numbers, chain.numbers)
        np.testing.assert_allclose(again.positions, chain.positions, atol=5e-4)


def test_what_a_pdb_file_cannot_hold_is_refused(tmp_path):
    path = tmp_path / "a.pdb"
    near = calpha_chain("A", "AC", np.zeros((2, 3), np.float32))
    with pytest.raises(StructureError, match="write mmCIF"):
        write_pdb(path, [[calpha_chain("AA", "AC", np.zeros((2, 3), np.float32))]])
    with pytest.raises(StructureError, match="write mmCIF"):
        write_pdb(path, [[near, near]])
    with pytest.raises(StructureError, match="chain A, a coordinate"):
        write_pdb(path, [[calpha_chain("A", "AC", np.full((2, 3), 20000.0, np.float32))]])
    with pytest.raises(StructureError, match="100001 atoms"):
        many = 100_001
        write_pdb(path, [[calpha_chain("A", "A" * many, np.zeros((many, 3), np.float32))]])
    assert not path.exists()
