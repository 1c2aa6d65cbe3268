"""Sources: folders, manifests and lists, and what each says when it is not as it should be."""

from pathlib import Path

import pytest

from deepmm_jax.errors import ConfigError, DeepMMError, MapError, SequenceError, StructureError
from deepmm_jax.training.curation.exclusion import read_excluded, read_folds
from deepmm_jax.training.curation.sources import Source, read_list, read_pairs, read_structure_folder, write_list
from reference.curation_inputs import KINASE, UBIQUITIN


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("one.pdb", "two.cif.gz", "map.mrc", "emd_2.map.gz", "two.mrc.gz", "notes.txt"):
        (tmp_path / name).write_bytes(b"\n")
    return tmp_path


def test_a_folder_gives_its_structures_with_their_splits(folder: Path):
    (folder / "MANIFEST.csv").write_text("name,split\ntwo,val\nelsewhere,test\n")
    assert read_structure_folder(folder) == [
        Source(name="one", structure=str(folder / "one.pdb")),
        Source(name="two", structure=str(folder / "two.cif.gz"), split="val"),
    ]


def test_pairs_are_named_in_a_table_or_lie_beside_it(folder: Path):
    (folder / "pairs.csv").write_text("map, structure\nmap.mrc,one.pdb\n")
    with pytest.raises(MapError, match=r"pairs.csv has no column 'resolution' \(it has map, structure\); add it"):
        read_pairs(folder / "pairs.csv")
    lines = (
        "map, structure, resolution, chain, notes",
        "map.mrc,one.pdb,3.1,B,weak",
        "emd_2.map.gz,two.cif.gz,4,,by hand",
    )
    (folder / "pairs.csv").write_text("\n".join(lines))
    first, second = read_pairs(folder / "pairs.csv")
    assert (first.name, first.map, first.resolution, first.notes) == ("one_B", str(folder / "map.mrc"), 3.1, "weak")
    assert (second.name, second.chain, second.resolution, second.notes) == ("two", "", 4.0, "")
    (folder / "MANIFEST.csv").write_text("name,resolution\ntwo,2.5\n")
    (pair,) = read_pairs(folder)
    assert (pair.map, pair.structure) == (str(folder / "two.mrc.gz"), str(folder / "two.cif.gz"))


def test_a_list_is_read_as_it_is_written(folder: Path):
    sources = [
        Source(name="a", structure="1ABC", chain="A", split="train", structure_sha256="ab", letters_sha256="cd"),
        Source(name="b", structure="pdb_00001abc", map="EMD-12345", resolution=3.25, notes="docked,weak"),
        Source(name="c", structure=str(folder / "one.pdb"), map=str(folder / "map.mrc"), resolution=2.0),
    ]
    (folder / "list.csv").write_text(write_list(sources))
    assert read_list(folder / "list.csv") == sources
    (folder / "short.csv").write_text("structure,chain\n1abc,B\n2ABC,\none.pdb,\n")
    assert [s.name for s in read_list(folder / "short.csv")] == ["1abc_B", "2abc", "one"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("structure\n", "bad.csv lists nothing"),
        ("name\na\n", r"bad.csv has no column 'structure' \(it has name\); add it"),
        (
            "structure\nelsewhere.pdb\n",
            "bad.csv, line 2: structure is 'elsewhere.pdb', neither a file beside the list nor",
        ),
        (
            "structure,map\n1abc,1234\n",
            "line 2: map is '1234', neither a file .* nor an EMDB identifier such as EMD-1234",
        ),
        ("structure,map\n1abc,EMD-1234\n", "line 2: the map EMD-1234 has no resolution"),
        ("structure,resolution\n1abc,good\n", "line 2: the resolution 'good' is no number"),
        ("structure,split\n1abc,valid\n", "line 2: the split 'valid' is unknown; choose from train, val, test"),
    ],
)
def test_a_list_that_cannot_be_is_refused(folder: Path, text: str, sentence: str):
    (folder / "bad.csv").write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        read_list(folder / "bad.csv")


def test_empty_and_missing_folders_are_refused(tmp_path: Path):
    with pytest.raises(StructureError, match="nowhere is not a folder"):
        read_structure_folder(tmp_path / "nowhere")
    with pytest.raises(StructureError, match="holds no structure; give a folder of .pdb"):
        read_structure_folder(tmp_path)
    with pytest.raises(MapError, match=r"MANIFEST.csv does not exist; give a CSV file with the columns map"):
        read_pairs(tmp_path)
    (tmp_path / "MANIFEST.csv").write_text("name,resolution\ntwo,2.5\n")
    with pytest.raises(MapError, match="line 2 has no map, and beside it lies no two.mrc; name the file"):
        read_pairs(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_list(tmp_path / "none.csv")


def test_what_is_excluded_comes_from_sequences_and_structures(tmp_path: Path):
    (tmp_path / "a.fasta").write_text(">x\nMQIFVKTLTGKTITLE\n>y\nACDEFGHIKLMN\n")
    found = read_excluded([tmp_path / "a.fasta", UBIQUITIN])
    assert {name: letters[:8] for name, letters in found.items()} == {
        "a.fasta x": "MQIFVKTL",
        "a.fasta y": "ACDEFGHI",
        "1ubi_A.pdb.gz A": "MQIFVKTL",
    }
    assert read_excluded([tmp_path]).keys() == {"a.fasta x", "a.fasta y"}
    assert read_excluded([]) == {}
    for path in (tmp_path / "empty", tmp_path / "b.fasta"):
        with pytest.raises(DeepMMError):
            read_excluded([path])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SequenceError, match="holds neither sequences nor structures"):
        read_excluded([tmp_path / "empty"])


def test_training_chains_of_a_folder_are_not_excluded(tmp_path: Path):
    for path in (KINASE, UBIQUITIN):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert len(read_excluded([tmp_path])) == len(read_folds(tmp_path)) == 2
    (tmp_path / "MANIFEST.csv").write_text("name,split\n1ake_A,train\n1ubi_A,test\n")
    assert list(read_excluded([tmp_path])) == list(read_folds(tmp_path)) == ["1ubi_A A"]
    assert read_folds(tmp_path)["1ubi_A A"].shape == (76, 3)
