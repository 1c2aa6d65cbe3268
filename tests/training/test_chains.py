"""Training chains: the arrays of a chain, loading in order, the cache, and missing files."""

import csv
import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from deepmm_jax.errors import StructureError
from deepmm_jax.evidence.ideal import ATOM_KINDS
from deepmm_jax.structure.read import read_chains
from deepmm_jax.training.chains import as_training_chain, load_training_chains, split_names


EXAMPLE = Path(__file__).parents[2] / "examples" / "1ake_A.pdb.gz"


@pytest.fixture
def structures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "structures"
    folder.mkdir()
    for name in ("one", "two"):
        shutil.copy(EXAMPLE, folder / f"{name}.pdb.gz")
    return folder


def test_arrays_describe_the_chain():
    chain = read_chains(EXAMPLE)[0]
    arrays = as_training_chain(chain)
    names, letters = np.array(chain.atom_names), np.array(list(chain.sequence))[chain.residue_of_atom]
    for index, kind in enumerate(ATOM_KINDS):
        np.testing.assert_array_equal(arrays.kind == index, names == kind)
    np.testing.assert_array_equal(arrays.calpha, chain.positions[names == "CA"])
    np.testing.assert_array_equal(arrays.positions[arrays.kind == 1], arrays.calpha)
    acidic = set(zip(letters[arrays.acidic].tolist(), names[arrays.acidic].tolist(), strict=True))
    assert acidic == {("D", "OD1"), ("D", "OD2"), ("E", "OE1"), ("E", "OE2")}
    depth = dict(zip(zip(letters.tolist(), names.tolist(), strict=True), arrays.depth.tolist(), strict=True))
    expected = {"N": 0, "CA": 0, "C": 0, "O": 1, "CB": 1, "CG": 2, "CD": 3, "CE": 4, "NZ": 5}
    assert {name: depth["K", name] for name in expected} == expected
    assert (depth["R", "NH1"], depth["Y", "OH"], depth["T", "OG1"], depth["M", "SD"]) == (6, 6, 2, 3)
    assert len(arrays.amino_acids) == len(arrays.states) == len(arrays.calpha) == 214
    assert set(arrays.states.tolist()) == {0, 1, 2}


def test_chains_come_in_the_order_of_the_list_and_from_the_cache(structures: Path, tmp_path: Path):
    first = load_training_chains(structures, ["two", "one"])
    cached = list((tmp_path / "cache").rglob("*.pickle.gz"))
    assert len(cached) == 1 and not list((tmp_path / "cache").rglob("*.partial"))
    written = cached[0].stat().st_mtime_ns
    again = load_training_chains(structures, ["two", "one"])
    assert cached[0].stat().st_mtime_ns == written
    assert len(first) == len(again) == 2
    for old, new in zip(first, again, strict=True):
        np.testing.assert_array_equal(old.positions, new.positions)


def test_cache_does_not_outlive_the_file(structures: Path):
    full = load_training_chains(structures, ["one"])[0]
    short = "".join(f"{line}\n" for line in pdb_lines(EXAMPLE) if line[:4] == "ATOM" and int(line[22:26]) <= 60)
    (structures / "one.pdb.gz").write_bytes(gzip.compress(short.encode()))
    assert len(full.calpha) == 214
    assert len(load_training_chains(structures, ["one"])[0].calpha) == 60


def pdb_lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def test_missing_files_are_named(structures: Path):
    with pytest.raises(StructureError, match=r"three\.pdb\.gz does not exist"):
        load_training_chains(structures, ["one", "three"])
    with pytest.raises(StructureError, match=r"MANIFEST\.csv does not exist; set DEEPMM_JAX_DATA"):
        split_names(structures, "train")


def test_splits_keep_the_order_of_the_manifest(structures: Path):
    with (structures / "MANIFEST.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerows([["name", "length", "split"], ["b", 9, "train"], ["c", 9, "val"], ["a", 9, "train"]])
    assert split_names(structures, "train") == ["b", "a"]
    assert split_names(structures, "val") == ["c"]
    with pytest.raises(StructureError, match="has no chain of the split test; make the set of more chains"):
        split_names(structures, "test")
