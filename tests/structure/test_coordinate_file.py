"""Coordinate files as other programs write them: nothing is lost or moved without a word."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from deepmm_jax.errors import StructureError
from deepmm_jax.structure.read import read_chains


def pdb(residues: str, shift: float = 0.0, *, chain: str = "A", segment: str = "", first: int = 1) -> str:
    """A Cα trace in PDB columns; its residues are one letter each of G, S and V."""
    names = {"G": "GLY", "S": "SER", "V": "VAL"}
    return "".join(
        f"ATOM  {i:5d}  CA  {names[letter]}{chain:>2s}{i:4d}    {3.8 * i + shift:8.3f}{0.0:8.3f}{0.0:8.3f}"
        f"  1.00 20.00      {segment:<4s} C\n"
        for i, letter in enumerate(residues, start=first)
    )


def chains_of(folder: Path, content: str | bytes, name: str = "model", model: int = 0) -> dict[str, tuple[str, float]]:
    """Sequence and the first x coordinate of every chain."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return {c.name: (c.sequence, round(float(c.positions[0, 0]), 3)) for c in read_chains(path, model)}


@pytest.mark.parametrize("end", ["TER\n", ""])
def test_chains_under_one_name_are_all_there(tmp_path: Path, end: str):
    copies = "".join(pdb("GSV", shift) + end for shift in (0, 50, 100))
    assert chains_of(tmp_path, copies + pdb("SG", 150, chain="B")) == {
        "A": ("GSV", 3.8), "A2": ("GSV", 53.8), "A3": ("GSV", 103.8), "B": ("SG", 153.8),
    }  # fmt: skip


def test_sixty_copies_have_sixty_names(tmp_path: Path):
    found = chains_of(tmp_path, "".join(pdb("GS", 40 * i) + "TER\n" for i in range(60)))
    assert [x for _, x in found.values()] == [pytest.approx(3.8 + 40 * i) for i in range(60)]


def test_copies_have_the_same_names_in_every_model(tmp_path: Path):
    models = [f"MODEL {m}\n{pdb('GS', m)}TER\n{pdb('GS', 50 + m)}ENDMDL\n" for m in (1, 2)]
    assert chains_of(tmp_path, "".join(models), model=1) == {"A": ("GS", 5.8), "A2": ("GS", 55.8)}


def test_chains_without_a_name_are_told_apart_by_their_segment(tmp_path: Path):
    text = pdb("GS", chain="", segment="PROA") + pdb("GS", 50, chain="", segment="PROB") + pdb("V", 9, chain="A")
    assert chains_of(tmp_path, text) == {"B": ("GS", 3.8), "C": ("GS", 53.8), "A": ("V", 12.8)}


def test_what_comes_back_to_a_chain_belongs_to_it(tmp_path: Path):
    text = pdb("GS") + pdb("GS", 50, chain="B") + pdb("V", first=3)
    assert chains_of(tmp_path, text) == {"A": ("GSV", 3.8), "B": ("GS", 53.8)}


def test_a_residue_given_twice_is_one_residue(tmp_path: Path):
    assert chains_of(tmp_path, pdb("GSV") + pdb("S", first=2)) == {"A": ("GSV", 3.8)}


@pytest.mark.parametrize(
    "content",
    [
        pdb("GS").replace("\n", "\r\n"),
        pdb("GS").replace("\n", "\r"),
        "\ufeff" + pdb("GS"),
        gzip.compress(pdb("GS").encode(), mtime=0),
        pdb("GS").replace("ATOM", "atom"),
        "\n".join(line[:54] for line in pdb("GS").splitlines()),
        "HEADER    X\nSSBOND too short\nCRYST1 damaged\n" + pdb("GS"),
        pdb("GS").replace("    1  CA", "*****  CA").replace("    2  CA", "A0000  CA"),
    ],
    ids=["crlf", "cr", "mark", "gzip", "lower case", "no newline at the end", "other records", "serials"],
)
def test_how_a_pdb_file_is_written_does_not_matter(tmp_path: Path, content: str | bytes):
    assert chains_of(tmp_path, content) == {"A": ("GS", 3.8)}


def test_hybrid_36_numbers_go_on_after_9999(tmp_path: Path):
    path = tmp_path / "a.pdb"
    path.write_text(pdb("GS").replace(" A   1 ", " A9999 ").replace(" A   2 ", " AA000 "))
    assert read_chains(path)[0].numbers.tolist() == [9999, 10000]


@pytest.mark.parametrize("number", ["********", "        ", "   1.2.3", "12345678x"])
def test_coordinates_that_are_no_numbers_are_refused_with_their_line(tmp_path: Path, number: str):
    with pytest.raises(StructureError, match=r"model: line 2 has .*columns 31–54"):
        chains_of(tmp_path, pdb("GS").replace("   7.600", number))


@pytest.mark.parametrize("number", ["    ", "****", "????", "12.5", "1 2 ", "-A00"])
def test_residue_numbers_that_are_none_are_refused_with_their_line(tmp_path: Path, number: str):
    with pytest.raises(StructureError, match=r"model: line 2 has .* residue's number .*columns 23–26"):
        chains_of(tmp_path, pdb("GSV").replace(" A   2 ", f" A{number} "))


@pytest.mark.parametrize("number", ["2   ", " 2  ", "  -2", "  +2", "A000", "a0z9"])
def test_residue_numbers_stand_anywhere_in_their_columns(tmp_path: Path, number: str):
    assert chains_of(tmp_path, pdb("GSV").replace(" A   2 ", f" A{number} ")) == {"A": ("GSV", 3.8)}


@pytest.mark.parametrize("number", ["****", "    ", "271a"])
def test_waters_may_lack_a_number(tmp_path: Path, number: str):
    water = pdb("G", 50).replace(" CA  GLY A   1", f" O   HOH W{number}")
    assert chains_of(tmp_path, pdb("GSV") + water) == {"A": ("GSV", 3.8)}


def test_a_position_of_nan_is_no_atom(tmp_path: Path):
    assert chains_of(tmp_path, pdb("GSV").replace("   3.800", "     nan")) == {"A": ("SV", 7.6)}


COLUMNS = (
    "group_PDB id type_symbol label_atom_id label_alt_id label_comp_id label_asym_id label_seq_id "
    "Cartn_x Cartn_y Cartn_z auth_seq_id auth_asym_id"
).split()


def cif(*rows: str, without: tuple[str, ...] = ()) -> str:
    """An `_atom_site` table of rows "atom residue label_chain number x auth_number auth_chain"."""
    kept = [c for c in COLUMNS if c not in without]
    lines = []
    for i, row in enumerate(rows, start=1):
        atom, residue, chain, number, x, auth_number, auth_chain = row.split()
        values = ("ATOM", i, atom[0], atom, ".", residue, chain, number, x, 0, 0, auth_number, auth_chain)
        lines.append(" ".join(str(value) for column, value in zip(COLUMNS, values, strict=True) if column in kept))
    return "\n".join(["data_model", "loop_", *(f"_atom_site.{column}" for column in kept), *lines, "#", ""])


TWO = ("CA GLY A 1 3.8 11 X", "SD MET A 2 7.0 12 X", "CA MET A 2 7.6 12 X")
WHOLE = "loop_\n_entity_poly_seq.entity_id\n_entity_poly_seq.num\n_entity_poly_seq.mon_id\n1 1 GLY\n1 2 MET\n1 3 SER\n"


@pytest.mark.parametrize(
    ("without", "name", "numbers"),
    [
        ((), "X", [11, 12]),
        (("auth_seq_id", "auth_asym_id"), "A", [1, 2]),
        (("label_seq_id", "label_asym_id"), "X", [11, 12]),
        (("type_symbol", "label_alt_id", "id", "group_PDB"), "X", [11, 12]),
    ],
)
def test_an_atom_table_needs_few_columns(tmp_path: Path, without: tuple[str, ...], name: str, numbers: list[int]):
    path = tmp_path / "a.cif"
    path.write_text(cif(*TWO, without=without))
    (chain,) = read_chains(path)
    assert (chain.name, chain.sequence, chain.numbers.tolist()) == (name, "GM", numbers)
    assert (chain.atom_names, chain.elements) == (("CA", "SD", "CA"), ("C", "S", "C"))


def test_of_several_data_blocks_the_one_with_atoms_is_read(tmp_path: Path):
    other = "data_restraints\n_chem_comp.id LIG\n"
    for text in (other + cif(*TWO), cif(*TWO) + other):
        assert chains_of(tmp_path, text) == {"X": ("GM", 3.8)}
    with pytest.raises(StructureError, match="holds 2 data blocks with atoms"):
        chains_of(tmp_path, cif(*TWO) + cif(*TWO).replace("data_model", "data_other"))


def test_label_chains_under_one_author_name_are_all_there(tmp_path: Path):
    again = [row.replace(" A ", " B ").replace(" 3.8 ", " 53.8 ").replace(" 7.6 ", " 57.6 ") for row in TWO]
    assert chains_of(tmp_path, cif(*TWO, *again)) == {"X": ("GM", 3.8), "X2": ("GM", 53.8)}


def test_the_register_is_that_of_the_label_numbers(tmp_path: Path):
    path = tmp_path / "a.cif"
    text = cif("CA MET A 2 3.8 -4 X", "CA SER A 3 7.6 101 X")
    path.write_text(text)
    assert read_chains(path)[0].full_sequence is None
    text = text.replace("auth_asym_id\n", "auth_asym_id\n_atom_site.label_entity_id\n").replace(" X\n", " X 1\n")
    path.write_text(text + "loop_\n_entity.id\n_entity.type\n1 polymer\n#\n" + WHOLE)
    (chain,) = read_chains(path)
    assert (chain.full_sequence, chain.numbers.tolist()) == ("GMS", [-4, 101])
    np.testing.assert_array_equal(chain.register, [1, 2])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (cif(*TWO)[:-12], "Wrong number of values"),
        (cif(*TWO).replace("data_model\n", ""), "not a PDB or mmCIF file"),
        ("data_x\n_entry.id X\n", "holds no atoms"),
        ('{"a": 1}', "not a PDB or mmCIF file"),
        ("<?xml version='1.0'?>\n<PDBx:datablock/>\n", "is an XML or HTML file"),
        (b"\x83\xa7encoder\xa4mol*\x00\x01", "is a binary file"),
        (">query\nMRIILLGAPGAGKG\n", "holds no atoms"),
        (pdb("GS")[:-45], "line 2 has"),
    ],
)
def test_what_is_no_coordinate_file_is_said_in_a_sentence(tmp_path: Path, content: str | bytes, sentence: str):
    with pytest.raises(StructureError, match=sentence) as error:
        chains_of(tmp_path, content)
    assert "model" in str(error.value) and "\n" not in str(error.value)
