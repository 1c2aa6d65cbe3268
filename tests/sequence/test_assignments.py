"""Secondary structure that a program assigned to a structure."""

from pathlib import Path

import numpy as np
import pytest

from deepmm_jax.errors import SequenceError
from deepmm_jax.sequence import read_predictions, read_secondary_structure
from deepmm_jax.sequence.assignments import read_assignments


HEADER = "  #  RESIDUE AA STRUCTURE BP1 BP2  ACC     N-H-->O    O-->H-N    N-H-->O    O-->H-N    TCO  KAPPA\n"


def dssp_line(ordinal: int, number: int, chain: str, letter: str, state: str) -> str:
    return f"{ordinal:5d}{number:5d} {chain} {letter}  {state}              0   0   65      0, 0.0    80,-0.9\n"


DSSP = (
    "==== Secondary Structure Definition by the program DSSP ====                                           .\n"
    "HEADER    KINASE                                  01-JAN-90   1AKE                                     .\n"
    + HEADER
    + dssp_line(1, 5, "A", "M", " ")
    + dssp_line(2, 6, "A", "R", "E")
    + dssp_line(3, 7, "A", "a", "B")
    + dssp_line(4, 0, " ", "!", " ")
    + dssp_line(5, 9, "A", "K", "G")
    + "    6        !*             0   0    0      0, 0.0     0, 0.0\n"
    + dssp_line(7, 1, "B", "W", "P")
    + dssp_line(8, 2, "B", "a", "S")
)
CIF = """data_1XYZ
loop_
_atom_site.id
1
#
loop_
_dssp_struct_summary.entry_id
_dssp_struct_summary.label_comp_id
_dssp_struct_summary.label_asym_id
_dssp_struct_summary.label_seq_id
_dssp_struct_summary.secondary_structure
1XYZ MET A 1 .
1XYZ ARG A 2 E
1XYZ CYS A 3 B
1XYZ LYS A 5 G
1XYZ TRP B 1 P
1XYZ CYS B 2 S
"""
STRIDE = "REM  --------------- Detailed secondary structure assignment-------------  1XYZ\n" + "".join(
    f"ASG  {name} {chain} {number:4d} {number:4d}    {state}          Coil    360.00    -35.01     182.2      1XYZ\n"
    for name, chain, number, state in [
        ("MET", "A", 1, "C"), ("ARG", "A", 2, "E"), ("CYS", "A", 3, "b"), ("LYS", "A", 5, "G"), ("TRP", "B", 1, "C"),
        ("CYS", "B", 2, "T"),
    ]
)  # fmt: skip
SS_TXT = (
    ">1XYZ:A:sequence\nMRC\nK\n>1XYZ:A:secstr\n EB\nG\n>1XYZ:B:sequence\nWC\n>1XYZ:B:secstr\n\n>1XYZ:C:sequence\nGGG\n"
    ">1XYZ:C:secstr\n H \n"
)


@pytest.mark.parametrize("text", [DSSP, CIF, STRIDE, SS_TXT], ids=["dssp", "dssp cif", "stride", "ss.txt"])
def test_every_chain_has_its_letters_and_states(tmp_path: Path, text: str):
    path = tmp_path / "assigned"
    path.write_text(text)
    first, second, *_ = read_predictions(path)
    assert (first.letters, second.letters) == ("MRCK", "WC")
    np.testing.assert_array_equal(first.probabilities.argmax(axis=1), [2, 1, 1, 0])
    np.testing.assert_array_equal(read_secondary_structure(path, "WC").argmax(axis=1), [2, 2])
    with pytest.raises(SequenceError, match="none of its"):
        read_secondary_structure(path, "WD")


def test_of_several_data_blocks_those_with_an_assignment_are_read():
    other = "data_ligand\n_chem_comp.id LIG\n"
    for text in (CIF + other, other + CIF):
        assert read_assignments(text) == read_assignments(CIF)
    assert read_assignments(CIF + CIF.replace("1XYZ", "2XYZ")) == 2 * read_assignments(CIF)


def test_anything_else_has_no_assignment():
    assert read_assignments(">query\nEKVAG\nCHEEC\n") == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("ATOM      1  CA  ALA A   1      11.000  12.000  13.000\n", "is a structure without DSSP's assignment"),
        (CIF.split("#")[0], "is a structure without DSSP's assignment"),
        (CIF[:-10], "cannot be read as mmCIF"),
        (CIF + CIF, "cannot be read as mmCIF"),
        (CIF.replace("CYS A 3 B", "CYS A 3 Q"), "'Q' at position 3 is no secondary structure"),
    ],
)
def test_a_structure_is_no_prediction(tmp_path: Path, text: str, complaint: str):
    path = tmp_path / "model.cif"
    path.write_text(text)
    with pytest.raises(SequenceError, match=complaint) as refusal:
        read_predictions(path)
    assert "model.cif" in str(refusal.value) and "\n" not in str(refusal.value)
