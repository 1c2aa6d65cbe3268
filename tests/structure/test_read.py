"""Reading: conformers, modified residues, ligands, insertion codes, gaps, and sentences for what is no structure."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from deepmm_jax.errors import StructureError
from deepmm_jax.structure.read import count_models, one_letter, read_chains


EXAMPLE = Path(__file__).parents[2] / "examples" / "1ake_A.pdb.gz"


def line(
    serial: int, name: str, residue: str, number: int, x: float, *,
    altloc: str = " ", code: str = " ", occupancy: float = 1.0, element: str = "C", het: bool = False, chain: str = "A",
) -> str:  # fmt: skip
    record = "HETATM" if het else "ATOM  "
    return (
        f"{record}{serial:5d} {name:<4s}{altloc}{residue:>3s} {chain}{number:4d}{code}   "
        f"{x:8.3f}{0.0:8.3f}{0.0:8.3f}{occupancy:6.2f}{20.0:6.2f}          {element:>2s}  \n"
    )


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(lines) + "END\n")
    return path


def test_example_is_read_whole():
    (chain,) = read_chains(EXAMPLE)
    fasta = EXAMPLE.with_name("1ake_A.fasta").read_text().split("\n", 1)[1].replace("\n", "")
    assert chain.sequence == fasta
    assert len(chain.atom_names) == len(chain.positions) == 1656
    assert set(chain.elements) == {"C", "N", "O", "S"}
    assert np.isfinite(chain.calpha).all()
    steps = np.linalg.norm(np.diff(chain.calpha, axis=0), axis=1)
    assert np.argmin(steps) == 85, "Pro 87 is cis"
    np.testing.assert_allclose(np.delete(steps, 85), 3.84, atol=0.2)


def test_the_conformer_of_highest_occupancy_is_kept_whole(tmp_path):
    path = write(
        tmp_path / "a.pdb",
        line(1, " CA", "SER", 1, 0.0),
        line(2, " CB", "SER", 1, 1.0, altloc="A", occupancy=0.3),
        line(3, " CB", "SER", 1, 2.0, altloc="B", occupancy=0.7),
        line(4, " OG", "SER", 1, 3.0, altloc="A", occupancy=0.3, element="O"),
        line(5, " OG", "SER", 1, 4.0, altloc="B", occupancy=0.7, element="O"),
        line(6, " CA", "GLY", 2, 3.8, altloc="A", occupancy=0.5),
        line(7, " CA", "GLY", 2, 3.9, altloc="B", occupancy=0.5),
    )
    (chain,) = read_chains(path)
    assert chain.atom_names == ("CA", "CB", "OG", "CA")
    np.testing.assert_allclose(chain.positions[:, 0], [0.0, 2.0, 4.0, 3.8], atol=1e-6)


def test_of_two_residues_at_one_place_the_likelier_is_kept(tmp_path):
    path = write(
        tmp_path / "a.pdb",
        line(1, " CA", "SER", 1, 0.0, altloc="A", occupancy=0.4),
        line(2, " CA", "THR", 1, 0.5, altloc="B", occupancy=0.6),
        line(3, " CA", "GLY", 2, 3.8),
    )
    (chain,) = read_chains(path)
    assert chain.sequence == "TG"
    assert chain.positions[0, 0] == 0.5


def test_insertion_codes_are_residues_of_their_own(tmp_path):
    path = write(
        tmp_path / "a.pdb",
        line(1, " CA", "SER", 52, 0.0),
        line(2, " CA", "GLY", 52, 3.8, code="A"),
        line(3, " CA", "VAL", 53, 7.6),
    )
    (chain,) = read_chains(path)
    assert chain.sequence == "SGV"
    assert chain.numbers.tolist() == [52, 52, 53]


def test_selenomethionine_is_methionine_and_the_rest_is_dropped(tmp_path):
    path = write(
        tmp_path / "a.pdb",
        line(1, " N", "GLY", 1, -1.0, element="N"),
        line(2, " CA", "GLY", 1, 0.0),
        line(3, " HA2", "GLY", 1, 0.2, element="H"),
        line(4, " CA", "MSE", 2, 3.8, het=True),
        line(5, "SE", "MSE", 2, 4.8, het=True, element="SE"),
        line(6, " N", "ALA", 3, 7.0, element="N"),
        line(7, " CA", "VAL", 4, 11.4),
        "TER\n",
        line(8, "CA", "CA", 5, 20.0, het=True, element="CA"),
        line(9, " O", "HOH", 6, 30.0, het=True, element="O"),
        line(10, " CA", "GLU", 7, 40.0, het=True),
    )
    (chain,) = read_chains(path)
    assert chain.sequence == "GMV", "alanine 3 has no CA, calcium is an ion, glutamate 7 is a ligand"
    assert chain.atom_names == ("N", "CA", "CA", "SD", "CA")
    assert chain.elements == ("N", "C", "C", "S", "C")


def test_without_an_element_column_a_calpha_is_carbon(tmp_path):
    path = tmp_path / "a.pdb"
    path.write_text(
        "ATOM      1 CA   ALA A   1       0.000   0.000   0.000\n"
        "ATOM      2 CA   GLY A   2       3.800   0.000   0.000\n"
    )
    (chain,) = read_chains(path)
    assert chain.elements == ("C", "C")


def test_hydrogens_are_dropped_however_they_are_named(tmp_path):
    names = ("1HB ", "HD11", " HA ", "HG  ", "HO  ", "HE2 ", " D  ", "2DB ")
    path = write(
        tmp_path / "a.pdb",
        line(1, " CA", "LEU", 1, 0.0, element=""),
        line(2, "CD1", "LEU", 1, 1.0, element=""),  # shifted by one column: not cadmium
        *(line(3, name, "LEU", 1, 2.0, element="") for name in names),
        line(4, " D1", "LEU", 1, 2.0, element="D"),
    )
    (chain,) = read_chains(path)
    assert (chain.atom_names, chain.elements) == (("CA", "CD1"), ("C", "C"))


def test_residues_of_zero_occupancy_are_kept(tmp_path):
    path = write(tmp_path / "a.pdb", line(1, " CA", "GLY", 1, 0.0, occupancy=0.0), line(2, " CA", "SER", 2, 3.8))
    assert read_chains(path)[0].sequence == "GS"


def test_modified_and_renamed_residues_are_their_parents_and_unknown_ones_are_x(tmp_path):
    renamed = ("HSD", "HIE", "HIP", "CYX", "ASH", "GLH", "LYN")
    path = write(
        tmp_path / "a.pdb",
        "MODRES 1XYZ ZZ1 A    1  LYS  A LYSINE THAT NO TABLE HOLDS\n",
        line(1, " CA", "ZZ1", 1, 0.0, het=True),
        *(line(2, name, "ZZ2", 2, 3.8, het=True, element=name[1]) for name in (" N", " CA", " C")),
        line(5, " CA", "ZZ3", 3, 7.6, het=True),  # no backbone: not even an amino acid
        *(line(i, " CA", name, i, 3.8 * i) for i, name in enumerate(renamed, start=6)),
        *(line(20 + i, " CA", name, 20 + i, 90.0 + i, het=True) for i, name in enumerate(("SEP", "CSO", "SEC", "PYL"))),
        line(30, " CA", "GLY", 30, 120.0),
    )
    assert read_chains(path)[0].sequence == "KXHHHCDEKSCXXG"


def test_a_file_of_hetatm_records_alone_is_a_chain(tmp_path):
    path = write(tmp_path / "a.pdb", *(line(i, " CA", "MSE", i, 3.8 * i, het=True) for i in range(1, 4)))
    assert read_chains(path)[0].sequence == "MMM"


def test_a_sequence_that_disagrees_with_the_residues_is_not_taken(tmp_path):
    residues = (line(1, " CA", "GLY", 2, 3.8), line(2, " CA", "VAL", 3, 7.6))
    for seqres in ("SEQRES   1 A    4  SER GLY LEU ALA\n", "SEQRES   1 A    1  GLY\n"):
        (chain,) = read_chains(write(tmp_path / "a.pdb", seqres, *residues))
        assert (chain.sequence, chain.full_sequence, chain.register) == ("GV", None, None)


def test_seqres_gives_the_register_of_what_is_built(tmp_path):
    path = write(
        tmp_path / "a.pdb",
        "SEQRES   1 A    5  SER GLY VAL LEU ALA\n",
        line(1, " CA", "GLY", 12, 3.8),
        line(2, " CA", "VAL", 13, 7.6),
        line(3, " CA", "ALA", 15, 15.2),
    )
    (chain,) = read_chains(path)
    assert chain.full_sequence == "SGVLA"
    assert chain.register is not None and chain.register.tolist() == [1, 2, 4]


def test_models_are_counted_and_chosen(tmp_path):
    path = write(
        tmp_path / "a.pdb",
        "MODEL        1\n", line(1, " CA", "GLY", 1, 0.0), "ENDMDL\n",
        "MODEL        2\n", line(1, " CA", "GLY", 1, 5.0), "ENDMDL\n",
    )  # fmt: skip
    assert count_models(path) == 2
    assert read_chains(path, model=1)[0].positions[0, 0] == 5.0
    with pytest.raises(StructureError, match=r"a\.pdb holds 2 model"):
        read_chains(path, model=2)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.pdb", b"", "is empty"),
        ("empty.cif", b"", "is empty"),
        ("prose.pdb", b"It was a dark and stormy night.\n", "holds no atoms"),
        (
            "broken.cif",
            b"data_x\nloop_\n_atom_site.id\n_atom_site.type_symbol\n1\n",
            "not a PDB or mmCIF file|no atoms",
        ),
        ("binary.pdb", bytes(range(256)) * 20, "is a binary file"),
        ("fake.pdb.gz", b"not gzip at all", "holds no atoms|not a PDB"),
        ("rna.pdb", line(1, " P", "A", 1, 0.0, element="P").encode(), "no protein residue"),
        ("water.pdb", line(1, " O", "HOH", 1, 0.0, element="O", het=True).encode(), "no protein residue"),
    ],
)
def test_what_is_no_protein_is_said_in_a_sentence(tmp_path, name, content, sentence):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(StructureError, match=sentence) as error:
        read_chains(path)
    assert name in str(error.value) and "\n" not in str(error.value)


def test_a_truncated_gzip_and_a_missing_file_are_told_apart(tmp_path):
    truncated = tmp_path / "cut.pdb.gz"
    truncated.write_bytes(gzip.compress(EXAMPLE.read_bytes())[:200])
    with pytest.raises(StructureError, match=r"cut\.pdb\.gz"):
        read_chains(truncated)
    with pytest.raises(StructureError, match=r"missing\.pdb cannot be read \(No such file"):
        read_chains(tmp_path / "missing.pdb")
    with pytest.raises(StructureError, match="Is a directory"):
        read_chains(tmp_path)


def test_one_letter_codes():
    assert [one_letter(name) for name in ("ALA", "MSE", "SEP", "UNK", "HOH", "DA", "ATP")] == [
        "A", "M", "S", "X", None, None, None,
    ]  # fmt: skip
