"""Runs that were stopped, refused by the disk or changed in between: what is kept, and that the model is the same."""

import errno
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest

from deepmm_jax.density.mrc import read_map, write_map
from deepmm_jax.networks.checkpoints import save_checkpoint
from deepmm_jax.networks.whole_map import WholeMapConfig, initial_parameters
from deepmm_jax.structure.chain import Chain
from reference import stopped_build
from reference.stopped_build import STAGES, stop_at, use_ideal_evidence


QUICK = "tracer = 'tabu'\nuntil = 'calpha'\n[tracing]\ntrajectories = 2\nrounds = 20\n"
FILES = (
    *("model.cif", "model.pdb", "calpha.cif", "models/model_01.cif"),
    *("confidence.csv", "view.cxc", "maps/mainchain.mrc", "maps/calpha.mrc"),
)
PLACES = [
    place for stage, function in STAGES.items() for place in (f"in {function}", f"before {stage}.", f"after {stage}.")
]
PLACES[6:6] = ["after mainchain.mrc", "before calpha.mrc"]  # with the evidence
PLACES += ["before calpha.cif", "before model_01.cif", "before model.cif", "before summary.json"]
# A fault is met at every place; a killed run costs a new process, so it dies at three, each kind among them.
KILLED = ["after tracing.", "in refine_models", "before model.cif"]
assert sorted(KILLED, key=PLACES.index) == KILLED


@pytest.fixture
def build(
    arguments: list[str | Path], inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str | Path]:
    """Arguments of a quick `build` on ideal evidence, in this process."""
    use_ideal_evidence(monkeypatch, inputs / "piece.pdb")
    (tmp_path / "quick.toml").write_text(QUICK)
    return [*arguments, "--config", tmp_path / "quick.toml"]


def results(folder: Path) -> dict[str, bytes]:
    """What the run made, byte for byte, but for the day of the files."""
    found = {name: (folder / name).read_bytes() for name in FILES}
    dates = rb"\d{4}-\d\d-\d\d(?:[ T]+\d\d:\d\d:\d\d)?"
    summary = json.loads((folder / "summary.json").read_text())
    kept = {name: summary[name] for name in ("n_built", "score", "mscore", "chains", "models", "seed")}
    return {name: re.sub(dates, b"DAY", content) for name, content in found.items()} | {
        "summary": json.dumps(kept).encode()
    }


def restored(printed: str) -> set[str]:
    """Stages that were not computed."""
    return set(re.findall(r"^(\w+) +kept from an earlier run", printed, re.MULTILINE))


def whole_files(folder: Path) -> bool:
    """Whether no half-written file lies in the folder."""
    return not [path for path in folder.rglob("*") if path.name.startswith(".")]


def full() -> None:
    """What a disk without room answers."""
    raise OSError(errno.ENOSPC, "No space left on device")


def fault() -> None:
    """What a slip in the program does."""
    raise ZeroDivisionError


def test_broken_off_at_every_place_it_makes_the_same_model(
    command: Callable, build: list[str | Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Faults again and again, each time further on; what came before is never computed twice."""
    assert command(*build, "--output", tmp_path / "unbroken").code == 0
    finished: set[str] = set()
    for place in PLACES:
        with monkeypatch.context() as patch:
            stop_at(patch, place, fault)
            outcome = command(*build, "--resume")
        assert outcome.code == 1 and "ZeroDivisionError" in outcome.err, f"{place}: {outcome.err}"
        assert restored(outcome.err) == finished, place
        assert whole_files(tmp_path / "out"), place
        if place.startswith("after ") and place.endswith("."):
            finished.add(place.split()[1].rstrip("."))
        assert not (tmp_path / "out" / "summary.json").exists(), place
    outcome = command(*build, "--resume")
    assert outcome.code == 0, outcome.err
    assert restored(outcome.err) == finished == set(STAGES)
    assert results(tmp_path / "out") == results(tmp_path / "unbroken")
    assert "ZeroDivisionError" in (tmp_path / "out" / "log.txt").read_text()


@pytest.fixture
def program(build: list[str | Path], inputs: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The same run in a process of its own, which a signal meets at a place."""
    cache = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(cache)}

    def run(name: str, place: str, *options: str | Path) -> subprocess.CompletedProcess[str]:
        words = [
            sys.executable,
            stopped_build.__file__,
            inputs / "piece.pdb",
            name,
            place,
            *build,
            "--resume",
            *options,
        ]
        return subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, env=environment)

    return run


@pytest.mark.slow
def test_killed_run_goes_on_to_the_same_model(program: Callable, tmp_path: Path):
    """SIGKILL, which no program can answer. All runs have one device: between one and the two of this process atoms
    have differed by 0.001 Å.
    """
    assert program("SIGKILL", "nowhere", "--output", tmp_path / "unbroken").returncode == 0
    for place in KILLED:
        killed = program("SIGKILL", place)
        assert killed.returncode == -signal.SIGKILL, f"{place}: {killed.stderr}"
        assert not (tmp_path / "out" / "summary.json").exists()
    outcome = program("SIGKILL", "nowhere")
    assert outcome.returncode == 0, outcome.stderr
    assert restored(outcome.stderr) == set(STAGES), "the last place comes after all of them"
    assert whole_files(tmp_path / "out"), "what the killed runs left half-written is gone"
    assert results(tmp_path / "out") == results(tmp_path / "unbroken")


@pytest.mark.parametrize("name", ["SIGINT", pytest.param("SIGTERM", marks=pytest.mark.slow)])
def test_signal_ends_the_run_with_what_to_do(program: Callable, tmp_path: Path, name: str):
    """Ctrl-C, and what a cluster sends before it kills."""
    outcome = program(name, "in trace_paths")
    assert outcome.returncode == 128 + signal.Signals[name]
    assert outcome.stderr.splitlines()[-1] == (
        "deepmm-jax: interrupted; finished and kept: evidence, points, resample; "
        "run the command again with --resume to go on from there"
    )
    assert "Traceback" not in outcome.stderr
    assert f"KeyboardInterrupt: {name}" in (tmp_path / "out" / "log.txt").read_text()


CHANGES = [
    ("", 8),
    ("--resolution 4.5", 8),
    ("--threads 2 --device cpu", 8),
    ("MAP moved.mrc", 8),
    ("--checkpoint same", 8),
    ("--models 2", 6),
    ("--secondary-structure states.ss", 5),
    ("--config typing.toml", 4),
    ("--seed 1", 3),
    ("--config trajectories.toml", 2),
    ("--contour 6", 2),
    ("--rotations 4", 1),
    ("--checkpoint other", 1),
    ("--sequence longer.fasta", 1),
    ("--mask mask.mrc", 0),
    ("MAP brighter.mrc", 0),
    ("--origin zero", 0),
]
"""What is changed, and how many stages do not depend on it."""


def test_change_recomputes_what_depends_on_it_and_nothing_else(
    command: Callable, build: list[str | Path], piece: Chain, inputs: Path, tmp_path: Path
):
    assert command(*build).code == 0
    density = read_map(inputs / "map.mrc")
    write_map(tmp_path / "brighter.mrc", density.with_data(density.data + density.data.std()))
    inside = np.ones(density.shape, np.float32)
    inside[0] = 0
    write_map(tmp_path / "mask.mrc", density.with_data(inside))
    shutil.copy(inputs / "map.mrc", tmp_path / "moved.mrc")
    shutil.copytree(inputs / "network", tmp_path / "same")
    sizes = WholeMapConfig(width=8, coarse_width=8, fine_blocks=1, coarse_blocks=1, head_width=16)
    save_checkpoint(tmp_path / "other", initial_parameters(sizes), {"kind": "whole-map", "network": sizes.as_dict()})
    for name, text in {
        "longer.fasta": f">piece of adenylate kinase\n{piece.sequence}GSG\n",
        "states.ss": "H" * 30 + "E" * 10,
        "typing.toml": f"{QUICK}[typing]\npool_radius = 2.0\n",
        "trajectories.toml": QUICK.replace("rounds = 20", "rounds = 3"),
    }.items():
        (tmp_path / name).write_text(text)
    wrong = []
    for change, n_kept in CHANGES:
        shutil.rmtree(tmp_path / "again", ignore_errors=True)
        shutil.copytree(tmp_path / "out", tmp_path / "again")
        words = [tmp_path / word if (tmp_path / word).exists() else word for word in change.split()]
        options = [*build, "--output", tmp_path / "again", "--resume"]
        if words[:1] == ["MAP"]:
            options[1], words = words[1], []
        outcome = command(*options, *words)
        kept = restored(outcome.err)
        wanted = set(list(STAGES)[:n_kept])
        kept -= {"types", "refinement", "confidence"} - wanted  # kept where what they are given comes to the same
        if outcome.code != 0 and "--origin" not in change or kept != wanted:
            wrong.append((change, kept, outcome.code, outcome.err if outcome.code else ""))
    assert not wrong


def test_edited_program_computes_everything_anew(
    command: Callable, build: list[str | Path], monkeypatch: pytest.MonkeyPatch
):
    assert command(*build).code == 0
    assert restored(command(*build, "--resume").err) == set(STAGES)
    monkeypatch.setattr("deepmm_jax.stages.program_digest", lambda: "edited")
    assert restored(command(*build, "--resume").err) == set()


def test_damaged_stage_is_computed_again(command: Callable, build: list[str | Path], tmp_path: Path):
    out = tmp_path / "out"
    assert command(*build).code == 0
    first = results(out)
    for path in (out / "stages").glob("[rt]*.pickle"):  # resample, tracing, types and refinement
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    outcome = command(*build, "--resume")
    assert outcome.code == 0, outcome.err
    assert restored(outcome.err) == {"evidence", "points", "alignment", "confidence"}
    assert results(out) == first


def test_two_runs_do_not_share_a_folder(command: Callable, build: list[str | Path], tmp_path: Path):
    out = tmp_path / "out"
    assert command(*build).code == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with (out / "log.txt").open("ab") as log:
        fcntl.flock(log, fcntl.LOCK_EX)  # as a run does
        for flag in ("--resume", "--overwrite"):
            outcome = command(*build, flag)
            assert outcome.code == 2
            assert re.fullmatch(r"deepmm-jax: --output \S+out is in use by another run .*\n", outcome.err)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert command(*build, "--resume").code == 0


@pytest.mark.parametrize("name", ["calpha.mrc", "calpha.cif", "model_01.cif", "model.cif", "model.pdb", "summary.json"])
def test_full_disk_loses_nothing_that_was_written(
    command: Callable, build: list[str | Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    """The disk takes everything up to a file; with room again the run goes on."""
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        stop_at(patch, f"before {name}", full)
        outcome = command(*build)
    assert outcome.code == 2, outcome.err
    (said,) = re.findall("^deepmm-jax: .*", outcome.err, re.MULTILINE)
    assert f"--output {out} cannot be written" in said and name in said and "No space left on device" in said
    assert "finished and kept: " in said and "resample" in said and "--resume to go on" in said
    assert "Traceback" not in outcome.err and whole_files(out)
    assert not (out / name).exists() and not (out / "summary.json").exists()
    outcome = command(*build, "--resume")
    assert outcome.code == 0, outcome.err
    assert restored(outcome.err) >= {"resample", "evidence"}


def test_stage_or_log_that_cannot_be_written_does_not_cost_the_model(
    command: Callable, build: list[str | Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "out"
    out.mkdir()
    (out / "log.txt").symlink_to("/dev/full")
    (out / "stages").mkdir()
    stop_at(monkeypatch, "before evidence.", full)
    outcome = command(*build, "--resume")
    assert outcome.code == 0, outcome.err
    warnings = json.loads((out / "summary.json").read_text())["warnings"]
    assert any("the log ends early: [Errno 28] No space left on device" in warning for warning in warnings)
    assert any(re.match("stage evidence is not kept for --resume: .*No space left", warning) for warning in warnings)
    assert all(f"warning: {warning}" in outcome.err for warning in warnings)
    assert {path.name.split(".")[0] for path in (out / "stages").iterdir()} == set(STAGES) - {"evidence"}
