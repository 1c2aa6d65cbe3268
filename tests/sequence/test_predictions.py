"""Secondary structure predicted elsewhere: every layout gives the same probabilities."""

from pathlib import Path

import numpy as np
import pytest

from deepmm_jax.errors import SequenceError
from deepmm_jax.sequence import read_predictions, read_secondary_structure


LETTERS = "EKVAG"
HELIX_SHEET_COIL = np.array(
    [[0.011, 0.010, 0.979], [0.900, 0.060, 0.040], [0.100, 0.800, 0.100], [0.2, 0.5, 0.3], [0.0, 0.0, 1.0]], np.float32
)

SPD3 = """#\tAA\tSS\tASA\tPhi\tPsi\tTheta(i-1=>i+1)\tTau(i-2=>i+1)\tP(C)\tP(E)\tP(H)
1\tE\tC\t135.0\t-89.3\t127.2\t110.5\t-130.8\t0.979\t0.010\t0.011
2\tK\tH\t101.5\t-62.1\t-40.3\t 92.1\t  49.9\t0.040\t0.060\t0.900
3\tV\tE\t 22.0\t-110.0\t130.0\t120.1\t-170.0\t0.100\t0.800\t0.100
4\tA\tE\t 30.4\t-101.3\t125.9\t118.4\t-165.2\t0.300\t0.500\t0.200
5\tG\tC\t 70.2\t  80.6\t 10.0\t101.0\t  60.3\t1.000\t0.000\t0.000
"""
SPD33 = """# SEQ SS ASA Phi Psi Theta(i-1=>i+1) Tau(i-2=>i+2) HSE_alpha_up HSE_alpha_down P(C) P(H) P(E)
  1   E  C 135.0 -89.3 127.2 110.5 -130.8 4.1 9.2 0.979 0.011 0.010
  2   K  H 101.5 -62.1 -40.3  92.1   49.9 4.1 9.2 0.040 0.900 0.060
  3   V  E  22.0 -110.0 130.0 120.1 -170.0 4.1 9.2 0.100 0.100 0.800
  4   A  E  30.4 -101.3 125.9 118.4 -165.2 4.1 9.2 0.300 0.200 0.500
  5   G  C  70.2   80.6  10.0 101.0   60.3 4.1 9.2 1.000 0.000 0.000
"""
SS2 = """# PSIPRED VFORMAT (PSIPRED V4.0)

   1 E C   0.979  0.011  0.010
   2 K H   0.040  0.900  0.060
   3 V E   0.100  0.100  0.800
   4 A E   0.300  0.200  0.500
   5 G C   1.000  0.000  0.000
"""
PORTER = """#\tAA\tSS\tHelix\tSheet\tCoil
1\tE\tC\t0.011\t0.010\t0.979
2\tK\tH\t0.900\t0.060\t0.040
3\tV\tE\t0.100\t0.800\t0.100
4\tA\tE\t0.200\t0.500\t0.300
5\tG\tC\t0.000\t0.000\t1.000
"""
NETSURFP = """id, seq, n, rsa, asa, q3, p[q3_H], p[q3_E], p[q3_C]
>other,M,1,0.5,50,C,0.1,0.1,0.8
>query,E,1,0.5,50,C,0.011,0.010,0.979
>query,K,2,0.5,50,H,0.900,0.060,0.040
>query,V,3,0.5,50,E,0.100,0.800,0.100
>query,A,4,0.5,50,E,0.200,0.500,0.300
>query,G,5,0.5,50,C,0.000,0.000,1.000
"""
SPOT_1D = """,AA,SS3,SS8,ASA,P3C,P3E,P3H
0,E,C,C,1.0,0.979,0.010,0.011
1,K,H,H,1.0,0.040,0.060,0.900
2,V,E,E,1.0,0.100,0.800,0.100
3,A,E,E,1.0,0.300,0.500,0.200
4,G,C,C,1.0,1.000,0.000,0.000
"""
S4PRED = """>query
EKVAG
CHEEC
0.979 0.040 0.100 0.300 1.000
0.011 0.900 0.100 0.200 0.000
0.010 0.060 0.800 0.500 0.000
"""
HORIZ = """# PSIPRED HFORMAT (PSIPRED V4.0)

Conf: 989
Pred: CHE
  AA: EKV
         1

Conf: 59
Pred: EC
  AA: AG
"""

JNET = """
jnetpred:-,H,E,E,-,
JNETCONF:9,7,6,3,9,
JNETPROPE:0.010,0.060,0.800,0.500,0.000,
JNETPROPH:0.011,0.900,0.100,0.200,0.000,
JNETPROPC:0.979,0.040,0.100,0.300,1.000,
"""
CONCISE = (
    JNET
    + """JNETJURY:*,*,,,,
Lupas_21:-,-,-,-,-,
align1;QUERY:E,K,V,A,G,
align2;UniRef90_Q0:E,K,-,A,G,
"""
)
JPRED_FASTA = """>QUERY
EKV
AG
>jnetpred
-HE
E-
>JNETCONF
97639
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "prediction.txt"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        *(SPD3, SPD3.replace("\n", "\r\n"), SPD33, SS2, SS2.split("\n\n")[1], PORTER, NETSURFP, SPOT_1D, S4PRED),
        *(JNET, JNET.replace("PROPE", "PROPB"), CONCISE),
    ],
    ids=[
        *("spd3", "crlf", "spd33", "ss2", "ss", "porter5", "netsurfp", "spot1d", "s4pred"),
        *("jnet", "jnet program", "concise"),
    ],
)
def test_probabilities_are_the_same_in_every_layout(tmp_path: Path, text: str):
    p = read_secondary_structure(write(tmp_path, text), LETTERS)
    np.testing.assert_allclose(p, HELIX_SHEET_COIL, atol=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "CHEEC",
        "chee-\n",
        ">states\nCH\nEEC\n",
        "SGBET",
        "CIEB.",
        "EKVAG\nCHEEC\n",
        ">q\nEKVAG\nCHEE~\n",
        HORIZ,
        "\n".join(line for line in HORIZ.split("\n") if "AA:" not in line),
        JNET[: JNET.index("JNETPROPE")],
        JPRED_FASTA,
        "L\nH\nE\nE\nP",
    ],
)
def test_hard_states_become_zero_and_one(tmp_path: Path, text: str):
    p = read_secondary_structure(write(tmp_path, text), LETTERS)
    np.testing.assert_array_equal(p, np.eye(3)[[2, 0, 1, 1, 2]])


def test_outputs_of_a_network_that_do_not_sum_to_one_are_scaled(tmp_path: Path):
    weak = JNET.replace("0.010,0.060", "0.002,0.060").replace("0.011,", "0.002,").replace("0.979", "0.196")
    p = read_secondary_structure(write(tmp_path, weak), LETTERS)
    np.testing.assert_allclose(p[0], [0.01, 0.01, 0.98], atol=1e-6)


def test_rounded_probabilities_sum_to_one(tmp_path: Path):
    p = read_secondary_structure(write(tmp_path, "1 M C   0.016  0.001  0.989\n"), "M")
    np.testing.assert_allclose(p, np.array([[0.001, 0.989, 0.016]]) / 1.006, rtol=1e-5)


def test_table_without_probabilities_gives_its_hard_states(tmp_path: Path):
    p = read_secondary_structure(write(tmp_path, "# AA SS\n1 E C\n2 K H\n"), "EK")
    np.testing.assert_array_equal(p, np.eye(3)[[2, 0]])


@pytest.mark.parametrize("letters", ["EKVAG", "XKVAG", "EXXXX"])
def test_x_agrees_with_every_residue(tmp_path: Path, letters: str):
    assert read_secondary_structure(write(tmp_path, SS2), letters).shape == (5, 3)
    assert read_secondary_structure(write(tmp_path, SS2.replace("2 K", "2 x")), letters).shape == (5, 3)


def test_the_prediction_for_the_sequence_is_found_among_several(tmp_path: Path):
    path = write(tmp_path, ">one\nEKVAG\nCHEEC\n>two\nMKVAG\nHHHHC\n>three\nMKVA\nCCCC\n")
    assert [p.letters for p in read_predictions(path)] == ["EKVAG", "MKVAG", "MKVA"]
    np.testing.assert_array_equal(read_secondary_structure(path, "MKVAG").argmax(axis=1), [0, 0, 0, 0, 2])


@pytest.mark.parametrize(
    ("text", "letters", "complaint"),
    [
        (SPD3, "EKVRG", "residue 4 is A, in the sequence R"),
        (SS2, "EKVA", "it holds 5 residues, the sequence 4"),
        ("CHEE", LETTERS, "it holds 4 residues, the sequence 5"),
        (">a\nCHEEC\n>b\nCCCCC\n", LETTERS, "2 different predictions fit"),
        (NETSURFP, "GGGGG", "none of its 2 predictions fits"),
        ("CHEEK\n", LETTERS, "no secondary structure"),
        (SPD3.replace("0.979", "n/a"), LETTERS, "not a number"),
        (SPD3.replace("0.979", "nan"), LETTERS, "residue 1 has the probabilities"),
        (SPD3.replace("\t0.011", ""), LETTERS, "row 1 has 10 columns but its header 11"),
        (SS2.replace("0.979", "97.90"), LETTERS, "residue 1 has the probabilities"),
        (SS2 + "end of file\n", LETTERS, "'end of file' is not a PSIPRED row"),
        ("EKVAG\nCHE\n", LETTERS, "5 residues but 3 states"),
        ("# PSIPRED VFORMAT\n\n", LETTERS, "holds no residue"),
        (SPD33.split("\n")[0], LETTERS, "holds no residue"),
        (SPD3.replace("P(E)", "P(H)"), LETTERS, "names the column 'p(h)' more than once"),
        (SPD3[SPD3.index("\n") :], LETTERS, "is a table without a header; add the line"),
        (SPOT_1D[SPOT_1D.index("\n") :], LETTERS, "is a table without a header; add the line"),
        (SPOT_1D + "5," + 131_073 * "G", LETTERS, "is no row of a table (field larger than field limit"),
        (SS2.replace("2 K", "3 K"), LETTERS, "row 2 is for residue 3"),
        (SS2.replace("   1 E C   0.979  0.011  0.010\n", ""), "KVAG", "row 1 is for residue 2"),
        (SPOT_1D.split("\n")[0], LETTERS, "a header but no residues"),
        (CONCISE, "EKVAR", "residue 5 is G, in the sequence R"),
        (JPRED_FASTA, "EKVAR", "residue 5 is G, in the sequence R"),
        (JNET, "EKVA", "it holds 5 residues, the sequence 4"),
        (JNET.replace(",1.000", ""), LETTERS, "differ in length"),
        ("jnetpred:\n", LETTERS, "no residue"),
    ],
)
def test_what_does_not_fit_is_refused_with_file_and_place(tmp_path: Path, text: str, letters: str, complaint: str):
    path = write(tmp_path, text)
    with pytest.raises(SequenceError, match=".") as refusal:
        read_secondary_structure(path, letters)
    assert str(path) in str(refusal.value) and complaint in str(refusal.value)


def test_missing_and_binary_files_are_named(tmp_path: Path):
    with pytest.raises(SequenceError, match=r"absent\.spd3 cannot be read"):
        read_secondary_structure(tmp_path / "absent.spd3", LETTERS)
    (tmp_path / "model.bin").write_bytes(b"H\xfe\x00\x80")
    with pytest.raises(SequenceError, match=r"model\.bin is a binary file"):
        read_secondary_structure(tmp_path / "model.bin", LETTERS)
