"""`deepmm-jax data`: what it prints and leaves, its exit codes, and no guess about where to write."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.write import write_pdb
from reference.curation_inputs import KINASE, UBIQUITIN, part, serving


@pytest.fixture
def structures(tmp_path: Path) -> Path:
    """The kinase, a part of it, ubiquitin and something else."""
    folder = tmp_path / "given"
    folder.mkdir()
    (kinase,), (ubiquitin,) = read_chains(KINASE), read_chains(UBIQUITIN)
    write_pdb(folder / "kinase.pdb", [[kinase]])
    write_pdb(folder / "part.pdb", [[part(kinase, 0, 180)]])
    write_pdb(folder / "ubiquitin.pdb", [[ubiquitin]])
    (folder / "other.pdb").write_text("no structure\n")
    return folder


def test_it_says_what_was_kept_and_why_not(command: Callable, structures: Path, tmp_path: Path):
    outcome = command("data", "--structures", structures, "-o", tmp_path / "set", "--validation", "0.5", "--seed", "1")
    assert outcome.code == 0, outcome.err
    counted = [line.split(maxsplit=1) for line in outcome.out.splitlines() if line.startswith(" ")]
    assert [(int(number), what.split()) for number, what in counted] == [
        (1, ["left", "out", "in", "a", "group"]), (1, ["left", "out", "unreadable"]),
        (1, ["kept", "train"]), (1, ["kept", "val"]), (0, ["kept", "test"]),
    ]  # fmt: skip
    assert outcome.out.endswith(f"stands in {tmp_path / 'set' / 'manifest.csv'}\n")
    left = {path.relative_to(tmp_path / "set").as_posix() for path in (tmp_path / "set").rglob("*") if path.is_file()}
    assert {name for name in left if not name.startswith("progress/")} == {
        "manifest.csv", "sources.csv", "structures/MANIFEST.csv", "structures/train.txt",
        "structures/kinase.pdb.gz", "structures/ubiquitin.pdb.gz", "secondary_structure/secondary_structure.csv.gz",
    }  # fmt: skip
    again = command("data", "--structures", structures, "-o", tmp_path / "set", "--validation", "0.5", "--seed", "1")
    assert (again.code, again.out) == (0, outcome.out)


def test_options_reach_the_filters(command: Callable, structures: Path, tmp_path: Path):
    options = ("--shortest", "70", "--longest", "180", "--cluster-identity", "0.9", "--complete", "0.5")
    options += ("--allow", "hetero", "--allow", "models", "--exclude-folds", structures, "--exclude-identity", "1")
    outcome = command("data", "--structures", structures, "-o", tmp_path / "set", *options)
    assert outcome.code == 2 and "other.pdb" in outcome.err, "an unreadable structure cannot be excluded"
    (structures / "other.pdb").unlink()
    outcome = command("data", "--structures", structures, "-o", tmp_path / "set", *options)
    assert outcome.code == 3
    assert "is left (same fold 2, too long 1)" in outcome.err
    assert (tmp_path / "set" / "manifest.csv").read_text().count("TM-score 1.00 to ") == 2


def test_nothing_left_has_exit_code_3(command: Callable, structures: Path, tmp_path: Path):
    sequences = tmp_path / "all.fasta"
    sequences.write_text("".join(f">{path.stem}\n{read_chains(path)[0].sequence}\n" for path in (KINASE, UBIQUITIN)))
    outcome = command("data", "--structures", structures, "-o", tmp_path / "set", "--exclude", sequences)
    assert outcome.code == 3
    assert outcome.err.startswith("deepmm-jax: no chain to train on is left (relative 3, unreadable 1)")
    assert outcome.err.count("\n") == 1


def test_bad_input_has_exit_code_2_and_a_sentence(command: Callable, structures: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "pairs.csv").write_text("map,structure\na.mrc,b.pdb\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    output = ("-o", tmp_path / "set")
    for arguments, sentence in (
        (output, "nothing to choose from; give --structures, --maps or --list"),
        (("--structures", tmp_path / "empty", *output), "empty holds no structure; give a folder of .pdb"),
        (("--structures", tmp_path / "nowhere", *output), "nowhere is not a folder"),
        (("--maps", tmp_path / "pairs.csv", *output), "pairs.csv has no column 'resolution' (it has map, structure)"),
        (("--maps", tmp_path / "empty", *output), "MANIFEST.csv does not exist"),
        (("--list", tmp_path / "none.csv", *output), "none.csv cannot be read"),
        (("--structures", structures, "-o", tmp_path / "full"), "full holds files that this command did not make"),
        (("--structures", structures, "-o", tmp_path / "pairs.csv"), "pairs.csv is a file; give a folder"),
        (("--structures", structures, *output, "--allow", "waters"), "'waters' cannot be allowed; choose from models"),
        (("--structures", structures, *output, "--shortest", "400"), "chains of 400 to 300 residues cannot be had"),
        (("--structures", structures, *output, "--map-url", "here"), "'here' is no address of an archive"),
        (("--structures", structures, *output, "--exclude", tmp_path / "x.fasta"), "x.fasta cannot be read"),
    ):
        outcome = command("data", *arguments)
        assert outcome.code == 2 and sentence in outcome.err, outcome.err
        assert outcome.err.startswith("deepmm-jax: ") and outcome.err.count("\n") == 1
        assert not (tmp_path / "set").exists()


def test_a_folder_that_cannot_be_written_has_exit_code_2(command: Callable, structures: Path, tmp_path: Path):
    (tmp_path / "set" / "progress").mkdir(parents=True)
    (tmp_path / "set" / "structures").write_text("in the way")
    outcome = command("data", "--structures", structures, "-o", tmp_path / "set")
    assert outcome.code == 2 and outcome.err.count("\n") == 1
    assert outcome.err.startswith(f"deepmm-jax: --output {tmp_path / 'set'} cannot be written (")


def test_a_list_comes_from_the_archive_that_is_named(command: Callable, tmp_path: Path):
    (tmp_path / "ids.csv").write_text("structure,chain\n1ake,A\n1ubi,A\n")
    with serving() as archive:
        archive.files = {"/1ake.cif.gz": KINASE.read_bytes(), "/1ubi.cif.gz": UBIQUITIN.read_bytes()}
        options = ("--structure-url", archive.url + "/{id}.cif.gz", "--cache", tmp_path / "cache")
        outcome = command("data", "--list", tmp_path / "ids.csv", "-o", tmp_path / "set", *options)
        assert outcome.code == 0, outcome.err
        assert len(archive.asked) == 2
    assert len(list((tmp_path / "cache" / "structures").iterdir())) == 2
    outcome = command("data", "--list", tmp_path / "ids.csv", "-o", tmp_path / "set", *options)
    assert outcome.code == 0, "the cache is enough"


def test_help_is_given_without_loading_what_computes():
    code = """
import sys
from deepmm_jax_cli.main import run
try:
    run()
finally:
    print("loaded:", *{"jax", "numpy", "numba", "scipy", "gemmi"} & sys.modules.keys(), file=sys.stderr)
"""
    result = subprocess.run([sys.executable, "-c", code, "data", "--help"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "loaded:\n")
