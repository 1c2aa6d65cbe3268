"""`info`, `simulate` and `evaluate` on small files."""

import json
from collections.abc import Callable
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from deepmm_jax.density.mrc import read_map


EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "1ake_A.pdb.gz"


def test_info_says_where_a_map_lies(command: Callable, inputs: Path):
    density = read_map(inputs / "map.mrc")
    outcome = command("info", inputs / "map.mrc", "--json")
    assert outcome.code == 0
    facts = json.loads(outcome.out)
    assert facts["shape"] == list(density.shape)
    assert facts["voxel_size"] == pytest.approx([1.2] * 3)
    assert facts["first_voxel"] == pytest.approx(density.origin, abs=1e-3)
    assert facts["placement"] == "origin"
    assert json.loads(command("info", inputs / "map.mrc", "--origin", "zero", "--json").out)["first_voxel"] == [0, 0, 0]

    lines = dict(line.split(maxsplit=1) for line in command("info", inputs / "map.mrc").out.splitlines() if " " in line)
    assert lines["voxel_size"].strip() == "1.2, 1.2, 1.2"
    assert facts.keys() >= lines.keys()


def test_simulate_writes_a_valid_map_around_the_structure(command: Callable, inputs: Path, tmp_path: Path, piece):
    outcome = command("simulate", inputs / "piece.pdb", "--output", tmp_path / "new.mrc.gz", "--step", "1.2")
    assert outcome.code == 0
    assert "voxels of 1.2 Å, 40 residues at 5 Å" in outcome.out
    with mrcfile.open(tmp_path / "new.mrc.gz") as mrc:
        assert mrc.header.mode == 2
    made, known = read_map(tmp_path / "new.mrc.gz"), read_map(inputs / "map.mrc")
    np.testing.assert_allclose(made.origin, known.origin, atol=1e-3)
    np.testing.assert_allclose(made.data, known.data, atol=1e-2 * known.data.max())
    last = made.to_xyz(np.array(made.shape) - 1)
    assert ((piece.positions > made.origin) & (piece.positions < last)).all()


def test_simulate_takes_one_chain_or_says_which_there_are(command: Callable, inputs: Path, tmp_path: Path):
    assert command("simulate", inputs / "piece.pdb", "-o", tmp_path / "a.mrc", "--chain", "A").code == 0
    outcome = command("simulate", inputs / "piece.pdb", "-o", tmp_path / "b.mrc", "--chain", "B")
    assert (outcome.code, outcome.err) == (2, f"deepmm-jax: {inputs / 'piece.pdb'} has no chain 'B'; it has A\n")
    assert not (tmp_path / "b.mrc").exists()


def test_simulate_into_a_missing_folder_is_refused(command: Callable, inputs: Path, tmp_path: Path):
    outcome = command("simulate", inputs / "piece.pdb", "-o", tmp_path / "nowhere" / "a.mrc")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1 and "cannot be written" in outcome.err


def test_model_evaluated_against_itself_is_perfect(command: Callable):
    outcome = command("evaluate", EXAMPLE, EXAMPLE, "--json")
    assert outcome.code == 0
    figures = json.loads(outcome.out)
    for name in ("coverage", "tm_score", "residue_match", "sequence_match", "click_overlap"):
        assert figures[name] == pytest.approx(1.0), name
    for name in ("ca_rmsd", "ca_rmsd_superposed", "click_rmsd", "backbone_rmsd", "all_atom_rmsd"):
        assert figures[name] == pytest.approx(0.0, abs=1e-4), name
    assert figures["n_model"] == figures["n_reference"] == 214

    lines = dict(line.split(maxsplit=1) for line in command("evaluate", EXAMPLE, EXAMPLE).out.splitlines())
    assert lines.keys() == figures.keys()
    assert lines["tm_score"] == "1.000"


@pytest.mark.parametrize("name", ["missing.cif", "map.mrc", "piece.fasta"])
def test_evaluate_refuses_what_is_no_structure(command: Callable, inputs: Path, name: str):
    outcome = command("evaluate", inputs / "piece.pdb", inputs / name)
    assert outcome.code == 2
    assert outcome.err.startswith(f"deepmm-jax: {inputs / name}") and outcome.err.count("\n") == 1
