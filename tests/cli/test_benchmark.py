"""`deepmm-jax benchmark`: folders, results and exit codes; measured by stand-ins but for the last test."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import pytest

from deepmm_jax.benchmark import schedule
from deepmm_jax_cli.benchmark import write_results
from reference import benchmark_rows
from reference.benchmark_rows import data_folder


ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return data_folder(tmp_path / "data", ["1abc_A", "2xyz_B", "3def_X", "4ghi_N"])


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand-ins for the measurement and for the cluster; the names of what was measured."""
    names: list[str] = []

    def measure(target, work):
        names.append(target.name)
        return benchmark_rows.measure(target, work)

    monkeypatch.setattr(schedule, "measure", measure)
    monkeypatch.setattr(schedule, "scheduler", benchmark_rows.threads)
    return names


def test_every_target_has_a_file_and_the_suite_a_summary(command: Callable, data: Path, tmp_path: Path, measured):
    out = tmp_path / "out"
    outcome = command("benchmark", "few", "--output", out, "--data", data)
    assert outcome.code == 0, outcome.err
    assert {path.stem for path in (out / "targets").iterdir()} == {"1abc_A", "2xyz_B", "3def_X", "4ghi_N"}
    results = json.loads((out / "results.json").read_text())
    assert results.keys() == {*("command", "suite", "network", "machine", "versions", "run", "summary", "cases")}
    assert list(results["cases"]) == ["1abc_A", "2xyz_B", "3def_X", "4ghi_N"]
    summary = results["summary"]
    assert (summary["cases"], summary["built"], summary["not_built"], summary["failed"]) == (4, 2, 1, 1)
    assert results["run"]["targets"] == 4 and results["run"]["seconds"] >= 0
    assert summary["tm_score_mean"] == 0.35 and summary["top1"]["tm_score_above_0.5"] == 0.25
    assert "deepmm-jax" in results["versions"] and results["network"] == "simulated"
    assert "3def_X: failed: FloatingPointError: it went wrong" in outcome.out
    assert "4ghi_N: not built: no main chain" in outcome.out
    assert "4 of 4  " in outcome.err and "4 of 4  " in (out / "log.txt").read_text()


def test_the_same_command_computes_what_is_missing_or_failed(command: Callable, data: Path, tmp_path: Path, measured):
    again = ("benchmark", "few", "--output", tmp_path / "out", "--data", data)
    assert command(*again, "--only", "1abc_A,4ghi_N").code == 0
    assert sorted(measured) == ["1abc_A", "4ghi_N"]
    measured.clear()
    assert command(*again).code == 0
    assert sorted(measured) == ["2xyz_B", "3def_X"]
    measured.clear()
    outcome = command(*again)
    assert outcome.code == 0 and measured == ["3def_X"]
    assert "3 of 4 targets are kept from an earlier run" in outcome.err
    measured.clear()
    assert command(*again, "--only", "1abc_A").code == 0 and not measured


def test_results_name_the_networks_of_boxes(command: Callable, data: Path, tmp_path: Path, measured):
    suite = ("benchmark", "few", "--only", "1abc_A", "--output", tmp_path / "out", "--data", data)
    assert command(*suite, "--preset", "paper-simulated").code == 0
    assert json.loads((tmp_path / "out" / "results.json").read_text())["network"] == "box-a, box-b"


@pytest.mark.parametrize("evidence", [True, False])
def test_ranges_of_resolution_are_a_table_of_models(tmp_path: Path, evidence: bool):
    row = {"evidence": benchmark_rows.EVIDENCE} if evidence else benchmark_rows.model_row(0.9)
    cases = {"1abc_A 2.5-3.0": {"protein": "1abc_A", "resolutions": "2.5-3.0", **row}}
    until = "evidence" if evidence else "calpha"
    report = write_results(tmp_path, "val-experimental", until, "experimental", cases, {"targets": 1, "seconds": 1.0})
    assert json.loads((tmp_path / "results.json").read_text()) == report
    assert list(report.get("by_resolution", {})) == ([] if evidence else ["2.5-3.0"])


def test_other_settings_in_the_same_folder_are_refused(command: Callable, data: Path, tmp_path: Path, measured):
    out = tmp_path / "out"
    suite = ("benchmark", "few", "--only", "1abc_A", "--output", out, "--data", data)
    assert command(*suite).code == 0
    for option, part in (("--checkpoint=experimental", "weights"), ("--until=allatom", "settings")):
        outcome = command(*suite, option)
        assert outcome.code == 2 and outcome.err.count("\n") == 1
        assert f"measured with other {part}" in outcome.err and "give another folder" in outcome.err
    assert measured == ["1abc_A"]


def test_nothing_built_has_exit_code_3_and_results(command: Callable, data: Path, tmp_path: Path, measured):
    outcome = command("benchmark", "few", "--only", "4ghi_N,3def_X", "-o", tmp_path / "out", "--data", data)
    assert outcome.code == 3
    assert "none of the 2 targets of few could be built; the first: FloatingPointError" in outcome.err
    assert (tmp_path / "out" / "results.json").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nonesuch"], "suite 'nonesuch' does not exist; use one of smoke, "),
        (["few", "--only", "9zzz_Z"], "--only 9zzz_Z is no target of few"),
        (["few", "--data", "nowhere"], "lists of chains are more of them"),
        (["experimental", "--data", "nowhere"], "--data nowhere is not a folder"),
        (["few", "--checkpoint", "nowhere"], "'nowhere' has no card.json"),
        (["few", "--config", "nowhere.toml"], "nowhere.toml cannot be read"),
        (["few", "--baseline", "mainmast", "--until", "allatom"], "--baseline mainmast makes Cα models alone"),
        (["few", "--workers", "0"], "--workers"),
    ],
)
def test_bad_input_is_named_before_anything_is_written(
    command: Callable, data: Path, tmp_path: Path, arguments: list[str], complaint: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DEEPMM_JAX_DATA", str(data))
    outcome = command("benchmark", *arguments, "--output", tmp_path / "out")
    assert outcome.code == 2 and complaint in outcome.err and outcome.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_folders_of_something_else_and_absent_schedulers_are_refused(
    command: Callable, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    outcome = command("benchmark", "few", "--output", data, "--data", data)
    assert outcome.code == 2 and "holds files but no benchmark" in outcome.err
    monkeypatch.setattr(schedule, "ANSWER_SECONDS", 0.5)
    absent = ("--scheduler", "tcp://127.0.0.1:9")
    outcome = command("benchmark", "few", "--output", tmp_path / "out", "--data", data, *absent)
    assert outcome.code == 2 and "does not answer within 0.5 s" in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_stop_keeps_what_was_measured(data: Path, tmp_path: Path):
    """SIGTERM once the first target is done and the second, which waits for a file, is at work."""
    out = tmp_path / "out"
    first = f"""
import sys; sys.path[:0] = {[str(ROOT / "tests")]}
from deepmm_jax.benchmark import schedule
from reference import benchmark_rows
def measure(target, work):
    return (benchmark_rows.measure if target.name == "1abc_A" else benchmark_rows.measure_once_free)(target, work)
schedule.measure, schedule.scheduler = measure, benchmark_rows.threads
from deepmm_jax_cli.main import run; run()
"""
    command = [sys.executable, "-c", first, "benchmark", "few", "-o", str(out), "--data", str(data)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list((out / "targets").glob("1abc_A.json")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "interrupted; 1 of 4 targets are kept; give the same command again for the rest" in err
    assert [path.name for path in (out / "targets").iterdir()] == ["1abc_A.json"]


@pytest.mark.slow
def test_smoke_suite_measures_the_example_without_a_data_folder(tmp_path: Path):
    """With the shipped network, in a worker of its own, as far as `benchmark` goes unless told otherwise."""
    (tmp_path / "quick.toml").write_text("rotations = 1\n")
    environment = os.environ | {
        "DEEPMM_JAX_DATA": str(tmp_path / "none"),
        "JAX_COMPILATION_CACHE_DIR": str(jax.config.jax_compilation_cache_dir),  # type: ignore[attr-defined]
    }
    code = "from deepmm_jax_cli.main import run; run()"
    words = ["benchmark", "smoke", "--output", str(tmp_path / "out"), "--config", str(tmp_path / "quick.toml")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    summary = results["summary"]
    assert summary["evidence"]["recall_1.0"] > 0.9 and summary["failed"] == 0
    assert summary["tm_score_mean"] > 0.95 and summary["confidence"]["calibration_error"] < 0.1
    assert list(results["cases"]) == ["1ake_A"] and "1ake_A" in done.stdout
