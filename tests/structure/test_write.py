"""Cα chains and PDB files: what is written is read back."""

import errno
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepmm_jax.errors import StructureError
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.modelcif import ScoredModel, write_modelcif
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


def crystal(**changes: Any) -> Chain:
    """The example, two residues longer than what is built, and with insertion codes."""
    (chain,) = read_chains(EXAMPLE)
    numbers = chain.numbers - 5
    numbers[10:13] = numbers[9]
    register = np.arange(1, len(chain) + 1, dtype=np.int32)
    whole = replace(chain, numbers=numbers, full_sequence=f"K{chain.sequence}X", register=register)
    return replace(whole, **changes)


def assert_same(chain: Chain, again: Chain) -> None:
    for field in fields(Chain):
        ours, theirs = getattr(chain, field.name), getattr(again, field.name)
        if isinstance(ours, np.ndarray):
            np.testing.assert_array_equal(theirs, ours, err_msg=field.name)
        else:
            assert ours == theirs, field.name


@pytest.mark.parametrize("kind", ["pdb", "cif"])
def test_what_is_written_is_read_to_the_last_bit(tmp_path, kind):
    chain = crystal()
    built = np.flatnonzero(chain.residue_of_atom < 150)
    part = crystal(
        name="B",
        sequence=chain.sequence[:150],
        numbers=chain.numbers[:150],
        register=np.arange(1, 151, dtype=np.int32),
        **{name: getattr(chain, name)[built] for name in ("positions", "residue_of_atom", "b_factors")},
        **{name: tuple(getattr(chain, name)[a] for a in built) for name in ("atom_names", "elements")},
    )
    other = calpha_chain("c", "MKXGAVL", np.arange(21, dtype=np.float32).reshape(7, 3))
    models = [[chain, part, other], [replace(c, positions=c.positions + np.float32(0.5)) for c in (chain, part, other)]]
    models = [[replace(c, positions=c.positions.astype(float).round(3).astype(np.float32)) for c in m] for m in models]
    path = tmp_path / f"model.{kind}"
    if kind == "pdb":
        write_pdb(path, models)
    else:
        write_modelcif(path, [ScoredModel(chains=tuple(m), name=str(i)) for i, m in enumerate(models)], title="Two")
    for m, chains in enumerate(models):
        again = read_chains(path, model=m)
        assert len(again) == 3
        for ours, theirs in zip(chains, again, strict=True):
            assert_same(ours, theirs)


def test_the_columns_of_a_pdb_file_are_the_standard_ones(tmp_path):
    write_pdb(tmp_path / "a.pdb", [[crystal()]], title="adénylate\nkinase")
    lines = (tmp_path / "a.pdb").read_text(encoding="ascii").splitlines()
    assert lines[0].startswith("TITLE     AD?NYLATE?KINASE")
    seqres = [line for line in lines if line.startswith("SEQRES")]
    assert " ".join(seqres[0][19:].split()[:3]) == "LYS MET ARG" and seqres[0][13:17] == " 216"
    atoms = [line for line in lines if line.startswith("ATOM")]
    (first, *_), chain = atoms, crystal()
    assert (first[12:16], first[17:20], first[21], first[22:27], first[76:78]) == (" N  ", "MET", "A", "  -4 ", " N")
    assert [float(first[i : i + 8]) for i in (30, 38, 46)] == pytest.approx(chain.positions[0].tolist(), abs=1e-6)
    codes = dict.fromkeys(line[22:27] for line in atoms)
    assert [code for code in codes if code.startswith("   5")] == ["   5 ", "   5A", "   5B", "   5C"]


def test_a_file_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    chain = calpha_chain("A", "ACD", np.zeros((3, 3), np.float32))

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    writers = {
        "a.pdb": lambda path: write_pdb(path, [[chain]]),
        "a.cif": lambda path: write_modelcif(path, [ScoredModel(chains=(chain,))], title="A"),
    }
    for name, write in writers.items():
        (tmp_path / name).write_text("earlier")
        with (
            monkeypatch.context() as patch,
            pytest.raises(StructureError, match=rf"{name} cannot be written \(No space"),
        ):
            patch.setattr("os.fsync", full)
            write(tmp_path / name)
        assert (tmp_path / name).read_text() == "earlier"
        with pytest.raises(StructureError, match=r"cannot be written \(No such file"):
            write(tmp_path / "absent" / name)
        write(tmp_path / name)
        assert read_chains(tmp_path / name)[0].sequence == "ACD"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.cif", "a.pdb"]


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
    with pytest.raises(StructureError, match="use mmCIF"):
        write_pdb(path, [[calpha_chain("AA", "AC", np.zeros((2, 3), np.float32))]])
    with pytest.raises(StructureError, match="use mmCIF"):
        write_pdb(path, [[near, near]])
    with pytest.raises(StructureError, match="chain A, a coordinate"):
        write_pdb(path, [[calpha_chain("A", "AC", np.full((2, 3), 20000.0, np.float32))]])
    with pytest.raises(StructureError, match="99999 atoms"):
        many = 99_999
        write_pdb(path, [[calpha_chain("A", "A" * many, np.zeros((many, 3), np.float32))]])
    with pytest.raises(StructureError, match="63 chains"):
        write_pdb(path, [[replace(near, name=chr(48 + i)) for i in range(63)]])
    for unfit in (
        {"positions": np.full((2, 3), np.nan, np.float32)},
        {"b_factors": np.full(2, 1000.0, np.float32)},
        {"numbers": np.array([1, 10_000], np.int32)},
    ):
        with pytest.raises(StructureError, match="cannot hold chain A"):
            write_pdb(path, [[replace(near, **unfit)]])
    with pytest.raises(StructureError, match="at least one"):
        write_pdb(path, [])
    assert not path.exists()
