"""`build` with a preset of the paper: boxes to evidence, evidence to typed points, points to models."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from deepmm_jax.density.mrc import read_map
from deepmm_jax.density.resample import resample_map
from reference.box_networks import save_tiny_networks
from reference.summary import read_summary


SHORT = "[tracing]\ntrajectories = 1\nrounds = 5\n"


@pytest.fixture
def arguments(inputs: Path, tmp_path: Path) -> list[str | Path]:
    """`build` of the small map with box networks that were never trained."""
    save_tiny_networks(tmp_path / "networks")
    (tmp_path / "short.toml").write_text(SHORT)
    return [
        *("build", inputs / "map.mrc", "--sequence", inputs / "piece.fasta", "--output", tmp_path / "out"),
        *("--preset", "paper-simulated", "--checkpoint", tmp_path / "networks", "--secondary-structure", "none"),
        *("--config", tmp_path / "short.toml"),
    ]


@pytest.mark.slow
def test_paper_simulated_builds_with_boxes(
    command: Callable, arguments: list[str | Path], inputs: Path, tmp_path: Path
):
    """Only the densest voxels get a box, which keeps this short."""
    out = tmp_path / "out"
    density = resample_map(read_map(inputs / "map.mrc"), 1.0, "trilinear").data
    contour = 2 * float(np.sort(density, axis=None)[-2500])
    outcome = command(*arguments, "--contour", str(contour), "--until", "calpha")
    assert outcome.code == 0, outcome.err
    summary = read_summary(out)
    assert summary["timings_seconds"].keys() >= {"evidence", "points", "tracing", "types", "alignment"}
    assert summary["network"] == ", ".join(str(tmp_path / "networks" / kind) for kind in ("box-a", "box-b"))
    assert summary["n_built"] == summary["n_residues"] == 40, "the paper builds every residue"
    evidence = read_map(out / "maps" / "mainchain.mrc").data
    assert 100 < np.count_nonzero(evidence) < 2500

    again = command(*arguments, "--contour", str(contour), "--until", "calpha", "--resume")
    assert again.code == 0, again.err
    assert "types" in again.err and again.err.count("kept from an earlier run") == again.err.count(" kept ")
    save_tiny_networks(tmp_path / "networks")  # the same weights, written again
    before = (out / "calpha.cif").read_text()
    assert command(*arguments, "--contour", str(contour), "--until", "calpha", "--resume").code == 0
    assert (out / "calpha.cif").read_text() == before


@pytest.mark.slow
def test_shipped_boxes_make_all_atoms_and_say_that_they_are_undertrained(
    command: Callable, inputs: Path, tmp_path: Path
):
    density = resample_map(read_map(inputs / "map.mrc"), 1.0, "trilinear").data
    densest = float(np.sort(density, axis=None)[-800])
    (tmp_path / "short.toml").write_text(f"box_density = {densest}\n{SHORT}")
    outcome = command(
        *("build", inputs / "map.mrc", "--sequence", inputs / "piece.fasta", "--output", tmp_path / "out"),
        *("--preset", "paper-experimental", "--config", tmp_path / "short.toml", "--models", "1"),
        *("--secondary-structure", "none"),
    )
    assert outcome.code == 0, outcome.err
    summary = read_summary(tmp_path / "out")
    assert summary["network"] == "box-a, box-b"
    for name in ("box-a", "box-b"):
        (warning,) = [text for text in summary["warnings"] if text.startswith(f"network {name} is undertrained")]
        assert warning.endswith("--checkpoint experimental")
    assert summary["geometry"]["incomplete_residues"] == 0 and summary["n_built"] == 40


def test_a_density_that_no_voxel_reaches_is_said(command: Callable, arguments: list[str | Path], tmp_path: Path):
    (tmp_path / "short.toml").write_text("box_density = 1e6\n" + SHORT)
    outcome = command(*arguments)
    assert outcome.code == 2
    assert "no voxel of the map is above 1e+06" in outcome.err and "give --contour" in outcome.err


def test_swapped_or_missing_networks_are_refused_before_anything_is_written(
    command: Callable, arguments: list[str | Path], tmp_path: Path
):
    networks = tmp_path / "networks"
    (networks / "box-b").rename(networks / "kept")
    (networks / "box-a").rename(networks / "box-b")
    (networks / "kept").rename(networks / "box-a")
    outcome = command(*arguments)
    assert outcome.code == 2 and "holds a 'box-b' network, not a box-a one" in outcome.err
    (networks / "box-a" / "card.json").unlink()
    outcome = command(*arguments)
    assert outcome.code == 2 and "has no card.json" in outcome.err
    assert not (tmp_path / "out").exists()
