"""FASTA files as people have them."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from deepmm_jax.errors import SequenceError
from deepmm_jax.sequence import profiles_from_fasta, read_fasta


PROTEIN = "MRIILLGAPGAGKGTQAQFIMEKYGIPQIS"


def write(folder: Path, content: str | bytes, name: str = "input.fasta") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    "text",
    [
        f">query first chain\n{PROTEIN}\n",
        f">query\r\n{PROTEIN[:12]}\r\n\r\n{PROTEIN[12:]}\r\n",
        f">query\r{PROTEIN[:12]}\r{PROTEIN[12:]}\r",
        f">query\n{PROTEIN.lower()}*\n",
        f"\ufeff>query\n  {PROTEIN[:10]} {PROTEIN[10:]}  ",
        f">P1;query\nATPase alpha chain\n{PROTEIN}*\n",
        gzip.compress(f">query\r\n{PROTEIN}\r\n".encode(), mtime=0),
        f">query\r\n{PROTEIN}\r\n".encode("utf-16"),
        f"; a comment\n>query\n{PROTEIN[:5]}--{PROTEIN[5:]}..\n\n\n",
    ],
)
def test_spelling_of_the_file_does_not_matter(tmp_path: Path, text: str | bytes):
    (record,) = read_fasta(write(tmp_path, text))
    assert (record.name, record.letters, record.warnings) == ("query", PROTEIN, ())


def test_several_records_keep_their_order_and_names(tmp_path: Path):
    path = write(
        tmp_path, f">1AKE_1|Chains A, B|kinase\n{PROTEIN}\n>\n{PROTEIN[:15]}\n>sp|P69441|KAD\n{PROTEIN[::-1]}\n"
    )
    records = read_fasta(path)
    assert [record.name for record in records] == ["1AKE_1", "sequence_2", "sp|P69441|KAD"]
    assert [record.letters for record in records] == [PROTEIN, PROTEIN[:15], PROTEIN[::-1]]


def test_bare_sequence_is_named_after_its_file(tmp_path: Path):
    (record,) = read_fasta(write(tmp_path, PROTEIN, "kinase.txt"))
    assert (record.name, record.letters) == ("kinase", PROTEIN)


def test_rare_letters_become_x_with_a_warning(tmp_path: Path):
    (record,) = read_fasta(write(tmp_path, ">seleno\nMKUOBZJXAVLKE\n"))
    assert record.letters == "MKXXXXXXAVLKE"
    (warning,) = record.warnings
    assert "seleno" in warning and "U3, O4, B5, Z6, J7" in warning and "5 of 13" in warning


def test_many_x_are_told(tmp_path: Path):
    unknown, some = read_fasta(write(tmp_path, f">x\n{40 * 'X'}\n>some\nXX{PROTEIN}\n"))
    assert unknown.warnings[0].endswith("nothing is known of 40 of its 40 residues (X)")
    assert some.warnings == ()


@pytest.mark.parametrize("text", ["MRI ILLGAP GAGK GT QAQF", "mriillgapg agkgtqaqfi mek", "CLUSTALGAPGAGKGTQAQ"])
def test_a_bare_sequence_may_hold_blanks(tmp_path: Path, text: str):
    assert read_fasta(write(tmp_path, text))[0].letters == text.replace(" ", "").upper().replace("U", "X")


def test_copies_of_a_chain_are_records_with_names_of_their_own(tmp_path: Path):
    records = read_fasta(write(tmp_path, f">a\n{PROTEIN}\n>a\n{PROTEIN}\n>a_2\n{PROTEIN}\n"))
    assert [record.name for record in records] == ["a", "a_2", "a_2_2"]


def test_a_record_for_several_chains_is_to_be_repeated(tmp_path: Path):
    record = f">1AKE_1|Chains A, B[auth X]|kinase|E. coli (562)\n{PROTEIN}\n"
    (once,) = read_fasta(write(tmp_path, record))
    assert "'1AKE_1' stands for the chains A, B[auth X]; repeat it" in once.warnings[0]
    assert [r.warnings for r in read_fasta(write(tmp_path, record * 2))] == [(), ()]
    (single,) = read_fasta(write(tmp_path, record.replace("Chains A, B[auth X]", "Chain A")))
    assert (single.name, single.warnings) == ("1AKE_1", ())


@pytest.mark.parametrize("letters", ["GAGAGAGAGAGA", "AAAAAAAAAAAA"])
def test_repeats_of_two_letters_are_taken_as_protein_with_a_warning(tmp_path: Path, letters: str):
    (record,) = read_fasta(write(tmp_path, f">silk\n{letters}\n"))
    assert record.letters == letters
    assert "taken as a protein" in record.warnings[0]


SILK = 5 * "GAGAGSGAGAGSGAGAGY"


@pytest.mark.parametrize("letters", [SILK, "GATCGATTGACCTAGX", "MKGATTACAGATTACA"])
def test_few_letters_make_no_nucleotides(tmp_path: Path, letters: str):
    (record,) = read_fasta(write(tmp_path, f">odd\n{letters}\n"))
    assert (record.letters, record.warnings) == (letters, ())


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        (b"\x1f\x8b\x08\x00\x00\x00", "cannot be read"),
        (bytes(range(256)), "binary"),
        ("; a comment\n", "holds no sequence"),
        ("ATOM      1  CA  ALA A   1      11.000  12.000  13.000\n", "is a structure, not a sequence"),
        ("data_x\nloop_\n_atom_site.id\n1\n", "is a structure, not a sequence"),
        (f">a\n{PROTEIN}\n" * 1001, "holds 1001 sequences"),
        (">one\n>two\n" + PROTEIN, "'one' has no sequence"),
        (">good\n" + PROTEIN + "\n>gene\nATGCGTATTATTCTGCTGGGC\n", "'gene' is made of nucleotides"),
        (">rna\nAUGCGUAUUAUUCUGCUGGGC\n", "so it is RNA"),
        (">gaps\nATGCNNNNATGCATGCATRYGCATGCATGCATGCATGCATGCATGCAT\n", "so it is DNA"),
        (">codes\n" + 5 * "ACGTACGTRYKMACGT", "so it is DNA"),
        (
            "CLUSTAL O(1.2.4) multiple sequence alignment\n\n\na  " + PROTEIN,
            "is a Clustal alignment; give the sequences",
        ),
        ("CLUSTALW\n\na  " + PROTEIN, "is a Clustal alignment; give the sequences"),
        ("Here the sequence will stand\nas we have it\n", "reads as prose"),
        (">numbered\n1 MRIILLGAPG 11 AGKGTQAQFI\n", "'numbered' holds '1' at position 1"),
        (">stop\nMRIILLGAPG*AGKGTQAQFI\n", "'stop' holds '*' at position 11"),
        (b">latin\nMRIILLGAPG\xe4GKGTQAQFI\n", "'latin' holds '\ufffd' at position 11"),
        (">peptide\nMRIILLGAP\n", "'peptide' has 9 residues"),
    ],
)
def test_what_is_no_protein_sequence_is_refused_by_name(tmp_path: Path, content: str | bytes, complaint: str):
    path = write(tmp_path, content)
    with pytest.raises(SequenceError, match=".") as refusal:
        read_fasta(path)
    assert str(path) in str(refusal.value) and complaint in str(refusal.value)


def test_latin_1_header_is_read(tmp_path: Path):
    assert read_fasta(write(tmp_path, b">prot\xe9ine\n" + PROTEIN.encode()))[0].letters == PROTEIN


def test_missing_file_is_named(tmp_path: Path):
    with pytest.raises(SequenceError, match=r"absent\.fasta cannot be read"):
        read_fasta(tmp_path / "absent.fasta")


def test_profiles_take_states_from_a_predictor_a_file_or_nowhere(tmp_path: Path):
    path = write(tmp_path, f">one\n{PROTEIN}\n>two\n{PROTEIN[:12]}U\n")
    helices = np.array([1, 0, 0], np.float32)
    predicted, warnings = profiles_from_fasta(path, lambda letters: np.tile(helices, (len(letters), 1)))
    assert [profile.name for profile in predicted] == ["one", "two"]
    assert all((profile.states == 0).all() for profile in predicted)
    assert len(warnings) == 1 and "U13" in warnings[0]

    states = write(tmp_path, f">one\n{'E' * 30}\n>two\n{'C' * 13}\n", "states.txt")
    read, _ = profiles_from_fasta(path, states)
    assert [set(profile.states.tolist()) for profile in read] == [{1}, {2}]

    unknown, _ = profiles_from_fasta(path, None)
    assert [len(profile) for profile in unknown] == [30, 13]
    assert all((profile.states == 3).all() for profile in unknown)
