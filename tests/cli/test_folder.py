"""Files of the user that lie where a command writes: they are neither removed nor replaced without a word."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def test_resume_needs_a_folder_in_which_a_run_has_been(command: Callable, inputs: Path, tmp_path: Path):
    (tmp_path / "model.cif").write_text("mine")
    outcome = command(
        *("build", inputs / "map.mrc", "-s", inputs / "piece.fasta", "-o", tmp_path),
        *("--checkpoint", inputs / "network", "--resume"),
    )
    assert outcome.code == 2
    assert "holds files but no earlier run that --resume could go on with" in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["model.cif"]
    assert (tmp_path / "model.cif").read_text() == "mine"


@pytest.mark.parametrize("name", ["maps/calpha.mrc", "maps/../maps/mainchain.mrc"])
def test_input_that_bears_the_name_of_a_result_is_refused(command: Callable, inputs: Path, tmp_path: Path, name: str):
    (tmp_path / "maps").mkdir()
    shutil.copy(inputs / "map.mrc", tmp_path / name)
    outcome = command(
        *("build", tmp_path / name, "-s", inputs / "piece.fasta", "-o", tmp_path),
        *("--checkpoint", inputs / "network", "--overwrite"),
    )
    assert outcome.code == 2
    assert "would be replaced by a result of this run" in outcome.err
    assert (tmp_path / name).read_bytes() == (inputs / "map.mrc").read_bytes()


def test_structure_is_not_replaced_by_its_map(command: Callable, inputs: Path, tmp_path: Path):
    structure = shutil.copy(inputs / "piece.pdb", tmp_path / "piece.pdb")
    outcome = command("simulate", structure, "-o", tmp_path / "." / "piece.pdb")
    assert outcome.code == 2 and "is the structure itself" in outcome.err
    assert structure.read_bytes() == (inputs / "piece.pdb").read_bytes()


def test_demo_leaves_the_files_of_others(command: Callable, tmp_path: Path):
    (tmp_path / "summary.json").write_text("mine")
    outcome = command("demo", "-o", tmp_path)
    assert outcome.code == 2 and "give another folder" in outcome.err
    assert (tmp_path / "summary.json").read_text() == "mine"
