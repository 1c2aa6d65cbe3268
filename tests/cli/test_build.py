"""`build` from the command to its files.

Two stand-ins for the shipped networks keep this quick: a small network that was never trained for the evidence, and
ideal evidence (equation 1) for all that follows. The shipped one builds the example in the test marked slow.
"""

import csv
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gemmi
import jax
import numpy as np
import pytest

from deepmm_jax.density.mrc import read_map, write_map
from deepmm_jax.density.resample import resample_map
from deepmm_jax.errors import CheckpointError
from deepmm_jax.evidence.ideal import ideal_evidence
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.networks.checkpoints import find_checkpoint
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import count_models, read_chains
from deepmm_jax_cli.inputs import read_inputs
from deepmm_jax_cli.outputs import CHAIN_NAMES, write_pdb_if_it_fits
from deepmm_jax_cli.view import BY_CHAIN, write_view
from reference.summary import read_summary


QUICK = "until = 'calpha'\n[threading]\nsearches = 1\nmoves = 300\n"


@pytest.fixture
def ideal(monkeypatch: pytest.MonkeyPatch, piece: Chain, inputs: Path, tmp_path: Path) -> list[str | Path]:
    """Ideal evidence instead of the network's; the options that make the search short."""
    evidence = ideal_evidence(piece, resample_map(read_map(inputs / "map.mrc"), 1.0))

    def known(*_: Any, **__: Any) -> Evidence:
        return evidence

    monkeypatch.setattr("deepmm_jax.pipeline.map_evidence", known)
    (tmp_path / "quick.toml").write_text(QUICK)
    return ["--config", tmp_path / "quick.toml"]


def test_evidence_maps_overlay_the_input_and_are_kept_for_a_later_run(
    command: Callable, arguments: list[str | Path], inputs: Path, tmp_path: Path
):
    outcome = command(*arguments, "--until", "evidence", "--resolution", "5")
    assert outcome.code == 0, outcome.err
    given, out = read_map(inputs / "map.mrc"), tmp_path / "out"
    for name in ("mainchain", "calpha"):
        made = read_map(out / "maps" / f"{name}.mrc")
        np.testing.assert_allclose(made.step, 1.0, atol=1e-5)
        np.testing.assert_allclose(made.origin, given.origin, atol=1e-3)
        ends = [m.to_xyz(np.array(m.shape) - 1) for m in (given, made)]
        assert (np.abs(ends[0] - ends[1]) < 1.0).all(), "both boxes end within a voxel of each other"
        assert made.data.min() >= 0 and made.data.max() <= 1
    summary = read_summary(out)
    assert "n_built" not in summary and not (out / "model.cif").exists()
    assert (summary["n_residues"], summary["resolution"], summary["cc_mask"]) == (40, 5.0, None)
    assert summary["timings_seconds"].keys() == {"resample", "evidence"}
    assert summary["input"]["map"]["placement_rule"] == "origin"
    log = (out / "log.txt").read_text()
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d evidence +\d+\.\d s", log, re.MULTILINE)

    first = {path.name: path.read_bytes() for path in (out / "maps").iterdir()}
    again = command(*arguments, "--until", "evidence", "--resume")
    assert again.code == 0, again.err
    assert len(re.findall(r"^(?:resample|evidence) +kept from an earlier run", again.err, re.MULTILINE)) == 2
    assert {path.name: path.read_bytes() for path in (out / "maps").iterdir()} == first
    assert len((out / "log.txt").read_text()) > len(log), "the log goes on"

    quiet = command(*arguments, "--until", "evidence", "--resume", "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")

    averaged = command(*arguments, "--until", "evidence", "--resume", "--rotations", "4")
    assert averaged.code == 0, averaged.err
    kept = re.findall(r"^(\w+) +kept from an earlier run", averaged.err, re.MULTILINE)
    assert kept == ["resample"], "evidence in four orientations is another one"
    assert {path.name: path.read_bytes() for path in (out / "maps").iterdir()} != first


def test_piped_progress_is_plain_lines(arguments: list[str | Path]):
    code = "from deepmm_jax_cli.main import run; run()"
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    environment["JAX_COMPILATION_CACHE_DIR"] = str(jax.config.jax_compilation_cache_dir)  # type: ignore[attr-defined]
    result = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments), "--until", "evidence", "--threads", "1"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert result.stdout == ""
    assert [line.split()[0] for line in result.stderr.splitlines()] == [
        "deepmm-jax",
        "resample",
        "evidence",
        "evidence",
    ]
    assert all(character.isprintable() or character == "\n" for character in result.stderr)


def test_models_and_summary(
    command: Callable, arguments: list[str | Path], ideal: list[str | Path], piece: Chain, inputs: Path, tmp_path: Path
):
    outcome = command(*arguments, *ideal, "--models", "3", "--seed", "5")
    assert outcome.code == 0, outcome.err
    out = tmp_path / "out"
    summary = read_summary(out)
    (built,) = read_chains(out / "model.cif")
    assert built.full_sequence == piece.sequence, "the whole FASTA sequence is in the file"
    assert summary["n_built"] == len(built) == summary["chains"][0]["n_built"]
    assert summary["n_built"] >= 36
    crystal = piece.calpha[built.numbers - 1]
    assert np.sqrt(((built.calpha - crystal) ** 2).sum(axis=1).mean()) < 0.6, "label_seq_id is the place in the FASTA"
    assert (0 <= built.b_factors).all() and (built.b_factors <= 100).all() and built.b_factors.mean() > 20
    assert summary["mscore"] == summary["chains"][0]["mscore"] > 1
    assert set(summary["geometry"].values()) == {None}, "of Cα alone"
    scores = gemmi.cif.read(str(out / "model.cif")).sole_block().find_values("_ma_qa_metric_global.metric_value")
    assert [float(score) for score in scores] == [pytest.approx(summary["mscore"], abs=1e-3)]

    assert 1 <= len(summary["models"]) <= 3
    assert sorted(summary["models"]) == sorted(f"models/{path.name}" for path in (out / "models").iterdir())
    assert count_models(out / "calpha.cif") == len(summary["models"])
    (best,) = read_chains(out / summary["models"][0])
    np.testing.assert_array_equal(best.calpha, built.calpha)
    assert summary["seed"] == 5 and summary["network"] == str(inputs / "network")
    assert f"{summary['n_built']} of 40 residues built" in outcome.err
    assert not list(out.rglob(".*"))


def test_chains_are_built_one_after_another_with_a_warning(
    command: Callable, arguments: list[str | Path], ideal: list[str | Path], piece: Chain, tmp_path: Path
):
    """Two halves of one chain: each finds its own residues."""
    (tmp_path / "two.fasta").write_text(f">first\n{piece.sequence[:20]}\n>second\n{piece.sequence[20:]}\n")
    outcome = command(*arguments, *ideal, "--sequence", tmp_path / "two.fasta")
    assert outcome.code == 0, outcome.err
    summary = read_summary(tmp_path / "out")
    first, second = read_chains(tmp_path / "out" / "model.cif")
    assert [first.name, second.name] == [chain["chain"] for chain in summary["chains"]] == ["A", "B"]
    assert [chain["name"] for chain in summary["chains"]] == ["first", "second"]
    assert summary["n_built"] == len(first) + len(second)
    for chain, start in ((first, 0), (second, 20)):
        assert np.median(np.linalg.norm(chain.calpha - piece.calpha[start + chain.numbers - 1], axis=1)) < 1.0
    assert summary["mscore"] == pytest.approx(np.mean([chain["mscore"] for chain in summary["chains"]]))
    assert any("2 chains" in warning for warning in summary["warnings"])
    assert "warning: " in outcome.err
    assert {"threading 1", "gaps 2", "refinement 2"} <= summary["timings_seconds"].keys()
    table = confidence(tmp_path / "out")
    assert [(row["chain"], row["number"]) for row in table[19:21]] == [("A", "20"), ("B", "1")]


def test_chain_without_density_is_left_out_with_a_warning(
    command: Callable, arguments: list[str | Path], ideal: list[str | Path], piece: Chain, tmp_path: Path
):
    """The first of two takes all the density: it is written, with exit code 0."""
    (tmp_path / "twins.fasta").write_text(f">first\n{piece.sequence}\n>second\n{piece.sequence}\n")
    outcome = command(*arguments, *ideal, "--sequence", tmp_path / "twins.fasta")
    assert outcome.code == 0, outcome.err
    out = tmp_path / "out"
    (built,) = read_chains(out / "model.cif")
    summary = read_summary(out)
    first, second = summary["chains"]
    assert built.name == "A" and len(built) == first["n_built"] == summary["n_built"] >= 36
    assert (second["chain"], second["n_built"], second["mscore"], second["predicted_tm_score"]) == ("B", 0, 0, None)
    assert summary["mscore"] == pytest.approx(first["mscore"] / 2), "by all residues that were asked for"
    assert sum("chain 2 of 2, second, is not built: " in warning for warning in summary["warnings"]) == 1
    assert outcome.err.count("warning: chain 2 of 2, second, is not built: ") == 1
    assert "warning: chain 2 of 2, second, is not built: " in (out / "log.txt").read_text()


def confidence(folder: Path) -> list[dict[str, str]]:
    """Rows of confidence.csv."""
    return list(csv.DictReader((folder / "confidence.csv").read_text().splitlines()))


def steps(path: Path) -> list[tuple[str, str]]:
    """Steps of the protocol of a ModelCIF file, each with its software."""
    block = gemmi.cif.read(str(path)).sole_block()
    software = {row[0]: row[1] for row in block.find("_software.", ["pdbx_ordinal", "name"])}
    groups = {row[0]: software[row[1]] for row in block.find("_ma_software_group.", ["group_id", "software_id"])}
    found = block.find("_ma_protocol_step.", ["step_name", "software_group_id"])
    return [(gemmi.cif.as_string(row[0]), groups[row[1]]) for row in found]


@pytest.mark.usefixtures("known_atoms")
def test_all_atoms_are_placed_minimised_and_written(
    command: Callable, arguments: list[str | Path], ideal: list[str | Path], piece: Chain, inputs: Path, tmp_path: Path
):
    outcome = command(*arguments, *ideal, "--until", "allatom", "--resolution", "5")
    assert outcome.code == 0, outcome.err
    out = tmp_path / "out"
    summary = read_summary(out)
    (built,), (trace,) = read_chains(out / "model.cif"), read_chains(out / "calpha.cif")
    assert set(trace.atom_names) == {"CA"} and trace.sequence == built.sequence
    np.testing.assert_array_equal(built.numbers, trace.numbers)
    crystal = [a for a, residue in enumerate(piece.residue_of_atom) if residue + 1 in built.numbers]
    assert built.atom_names == tuple(piece.atom_names[a] for a in crystal)
    np.testing.assert_allclose(built.positions, piece.positions[crystal] + 0.01, atol=2e-3)
    (written,) = read_chains(out / "model.pdb")
    np.testing.assert_array_equal(written.positions, built.positions)
    assert (written.atom_names, written.full_sequence) == (built.atom_names, piece.sequence)

    traced, placed = ("De novo model building: C-alpha", "DeepMM-JAX"), "Backbone and side chains in the density"
    minimised = ("Energy minimisation in the density", "OpenMM")
    assert steps(out / "calpha.cif") == [traced]
    assert (
        steps(out / "model.cif") == steps(out / "models" / "model_01.cif") == [traced, (placed, traced[1]), minimised]
    )
    for name in summary["models"][1:]:
        assert steps(out / name) == [traced, (placed, traced[1])], "rank 1 alone is minimised"

    local = gemmi.cif.read(str(out / "model.cif")).sole_block().find_values("_ma_qa_metric_local.metric_value")
    table = confidence(out)
    assert [int(row["number"]) for row in table] == list(range(1, 41))
    assert [row["number"] for row in table if row["built"] == "1"] == list(map(str, built.numbers))
    likely = np.array([float(row["confidence"]) for row in table if row["confidence"]])
    np.testing.assert_allclose(likely, [float(value) for value in local], atol=1.1e-3)
    np.testing.assert_allclose(100 * likely[built.residue_of_atom], built.b_factors, atol=0.06)

    opened = re.findall(r'^open "(.+)"$', (out / "view.cxc").read_text(), re.MULTILINE)
    assert [(out / name).resolve() for name in opened] == [inputs / "map.mrc", out / "model.cif"]
    assert summary["timings_seconds"].keys() >= {"backbone", "side chains", "minimisation"}
    assert None not in summary["geometry"].values() and summary["geometry"]["bond_rmsz"] < 2
    assert summary["cc_mask"] > 0.7 and summary["cc_mask_reason"] is None

    fitted = command(*arguments, *ideal, "--until", "allatom", "-r", "5", "--resume", "--no-minimise", *FITTED)
    assert fitted.code == 0, fitted.err
    assert "minimisation" not in read_summary(out)["timings_seconds"]
    assert steps(out / "model.cif") == [traced, (placed, traced[1])]
    (b,) = {*read_chains(out / "model.cif")[0].b_factors.tolist()}
    assert 0 < b < 200 and "color bychain" in (out / "view.cxc").read_text()
    assert confidence(out) == table


FITTED = ("--b-factor", "fitted")


@pytest.mark.usefixtures("known_atoms")
@pytest.mark.parametrize("stage", ["place_backbone", "place_side_chains", "minimise"])
def test_failure_after_the_trace_does_not_cost_the_model(
    command: Callable,
    arguments: list[str | Path],
    ideal: list[str | Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
):
    def failing(*_: Any) -> None:
        raise ZeroDivisionError("a slip")

    monkeypatch.setattr(f"deepmm_jax.pipeline.{stage}", failing)
    outcome = command(*arguments, *ideal, "--until", "allatom", "--resolution", "5")
    assert outcome.code == 0, outcome.err
    out = tmp_path / "out"
    summary = read_summary(out)
    (warning,) = [text for text in summary["warnings"] if "a slip" in text]
    assert f"warning: {warning}" in outcome.err and "Traceback" not in outcome.err
    assert "Traceback" in (out / "log.txt").read_text()
    (built,) = read_chains(out / "model.cif")
    assert len(built) == summary["n_built"] >= 36
    if stage == "minimise":
        assert steps(out / "model.cif")[-1][0] == "Backbone and side chains in the density"
    else:
        assert set(built.atom_names) == {"CA"}
        assert (summary["cc_mask"], summary["cc_mask_reason"]) == (None, "the model is Cα only")
        assert set(summary["geometry"].values()) == {None}


def test_overwriting_leaves_nothing_of_the_run_before(
    command: Callable, arguments: list[str | Path], ideal: list[str | Path], tmp_path: Path
):
    out = tmp_path / "out"
    for name in (
        "model.cif",
        "calpha.cif",
        "summary.json",
        "log.txt",
        "models/model_07.cif",
        "stages/x.pickle",
    ):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("of an earlier run")
    (out / "notes.txt").write_text("mine")
    assert command(*arguments, *ideal, "--until", "evidence", "--overwrite").code == 0
    left = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert left == {*("notes.txt", "summary.json", "report.html", "log.txt"), "maps/mainchain.mrc", "maps/calpha.mrc"}
    assert "of an earlier run" not in (out / "summary.json").read_text() + (out / "log.txt").read_text()


def test_nothing_to_build_has_exit_code_3_and_its_reason(
    command: Callable,
    arguments: list[str | Path],
    ideal: list[str | Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    from deepmm_jax import pipeline

    evidence = pipeline.map_evidence()  # type: ignore[call-arg]  # the ideal one
    nothing = np.zeros_like(evidence.main_chain)
    empty = replace(evidence, main_chain=nothing, calpha=nothing)
    monkeypatch.setattr(pipeline, "map_evidence", lambda *_, **__: empty)
    outcome = command(*arguments, *ideal)
    assert outcome.code == 3
    assert ": no chain of 10 residues leads through the 0 places" in outcome.err
    assert "Traceback" not in outcome.err
    assert "NothingBuiltError" in (tmp_path / "out" / "log.txt").read_text()
    assert (tmp_path / "out" / "maps" / "mainchain.mrc").is_file(), "the reader can look at the evidence"


def test_secondary_structure_is_predicted_read_or_unknown(inputs: Path, tmp_path: Path):
    def states(how: str) -> np.ndarray:
        (profile,) = read_inputs(inputs / "map.mrc", inputs / "piece.fasta", how).profiles
        return profile.secondary_structure

    assert not states("none").any()
    try:
        find_checkpoint("secondary-structure")
    except CheckpointError as reason:
        print(f"not tested: predict ({reason})")
    else:
        np.testing.assert_allclose(states("predict").sum(axis=1), 1.0, atol=1e-5)
    (tmp_path / "states.ss").write_text("H" * 30 + "E" * 10)
    np.testing.assert_array_equal(states(str(tmp_path / "states.ss")).argmax(axis=1), [0] * 30 + [1] * 10)
    described = read_inputs(inputs / "map.mrc", inputs / "piece.fasta", str(tmp_path / "states.ss")).description
    assert described["secondary_structure"]["path"] == str(tmp_path / "states.ss")


def test_what_is_noticed_in_reading_becomes_a_warning(inputs: Path, piece: Chain, tmp_path: Path):
    """Odd letters, values that are not finite, and a sequence that the density cannot hold."""
    density = read_map(inputs / "map.mrc")
    write_map(tmp_path / "map.mrc", density)
    content = bytearray((tmp_path / "map.mrc").read_bytes())
    content[1024:1028] = np.float32("nan").tobytes()
    (tmp_path / "map.mrc").write_bytes(content)
    (tmp_path / "long.fasta").write_text(f">long\nU{piece.sequence * 50}\n")
    not_finite, odd_letter, crowded = read_inputs(tmp_path / "map.mrc", tmp_path / "long.fasta", "none").warnings
    assert "1 values are not finite" in not_finite
    assert "read as X: U1" in odd_letter
    volume = re.search(r"2001 residues fill about 266,133 Å³, but only ([\d,]+) Å³ of \S+map\.mrc lie above", crowded)
    assert volume and 2_000 < float(volume[1].replace(",", "")) < 20_000
    assert read_inputs(inputs / "map.mrc", inputs / "piece.fasta", "none").warnings == []


def test_crowded_map_is_said_with_numbers(command: Callable, arguments: list[str | Path], piece: Chain, tmp_path: Path):
    (tmp_path / "long.fasta").write_text(f">long\n{piece.sequence * 50}\n")
    outcome = command(*arguments, "--sequence", tmp_path / "long.fasta", "--until", "evidence")
    assert outcome.code == 0, outcome.err
    (crowded,) = read_summary(tmp_path / "out")["warnings"]
    assert re.match(r"2000 residues fill about 266,000 Å³, but only [\d,]+ Å³ of \S+map\.mrc lie above", crowded)
    assert f"warning: {crowded}" in (tmp_path / "out" / "log.txt").read_text()
    assert f"warning: {crowded}" in outcome.err


def test_pdb_file_that_cannot_hold_the_model_is_left_out_with_a_warning(
    piece: Chain, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    write_pdb_if_it_fits(tmp_path / "model.pdb", [replace(piece, name=name) for name in CHAIN_NAMES[:63]], "Many")
    (record,) = caplog.records
    assert "model.pdb cannot hold 63 chains, a PDB file ends at 62; use mmCIF instead" in record.getMessage()
    assert not list(tmp_path.iterdir())


def test_view_places_a_map_that_was_placed_by_hand(tmp_path: Path):
    (tmp_path / "my maps").mkdir()
    (tmp_path / "out").mkdir()
    write_view(tmp_path / "out", tmp_path / "my maps" / "map.mrc", 0.5, BY_CHAIN, [1.0, -2.5, 0.0])
    lines = (tmp_path / "out" / "view.cxc").read_text().splitlines()
    assert 'open "../my maps/map.mrc"' in lines
    assert "volume #1 style surface level 0.5 origin 1,-2.5,0" in lines


def test_every_chain_has_its_own_name():
    assert CHAIN_NAMES[0] == "A" and len(set(CHAIN_NAMES)) == len(CHAIN_NAMES) > 3000
