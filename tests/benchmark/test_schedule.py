"""Targets on Dask: in threads of this process, and for real on a scheduler whose workers die."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from distributed import Future, Scheduler
from distributed.client import FutureCancelledError
from distributed.scheduler import KilledWorker

from deepmm_jax.benchmark import schedule
from deepmm_jax.benchmark.measure import Work
from deepmm_jax.benchmark.schedule import measured
from deepmm_jax.benchmark.targets import Target
from deepmm_jax.config import build_config
from deepmm_jax.errors import ConfigError, DeepMMError
from reference import benchmark_rows


ROOT = Path(__file__).resolve().parents[2]
WORK = Work(config=build_config("simulated", until="calpha"))


def targets(folder: Path, *names: str) -> tuple[dict[Target, str], Work]:
    """Targets in a data folder, with the digests of their files, and the work on them."""
    work = replace(WORK, data=benchmark_rows.data_folder(folder, list(names)))
    return {target: work.data_digest(target) for target in (Target(name=n, kind="simulated") for n in names)}, work


def test_every_target_has_a_row_whatever_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(schedule, "measure", benchmark_rows.measure)
    given, work = targets(tmp_path, "1abc_A", "2xyz_X", "3def_N", "4ghi_B")
    with benchmark_rows.threads() as client:
        rows = dict(measured(client, given, work))
    assert set(rows) == set(given)
    good, fault, unbuilt, poor = (rows[target] for target in given)
    assert good["model"]["tm_score"] == 1.0 and poor["model"]["tm_score"] == 0.4
    assert good["protein"] == "1abc_A" and good["resolutions"] is None
    assert unbuilt["error"] == "no main chain" and unbuilt["protein"] == "3def_N"
    assert fault["failure"] == "FloatingPointError: it went wrong" and "benchmark_rows.py" in fault["traceback"]


@pytest.mark.parametrize(
    "lost",
    [
        KilledWorker("1abc_A", SimpleNamespace(address="tcp://host:1"), 3),
        FutureCancelledError("1abc_A", "scheduler-connection-lost"),
    ],
)
def test_killers_of_workers_fail_and_lost_schedulers_end_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lost: Exception
):
    def result(future: Future) -> None:
        raise lost

    monkeypatch.setattr(schedule, "measure", benchmark_rows.measure)
    with benchmark_rows.threads() as client:
        monkeypatch.setattr(Future, "result", result)
        rows = measured(client, *targets(tmp_path, "1abc_A"))
        if isinstance(lost, KilledWorker):
            ((_, row),) = rows
            assert row["failure"].startswith("KilledWorker") and row["protein"] == "1abc_A"
        else:
            with pytest.raises(DeepMMError, match="scheduler went away; give the same command again"):
                next(rows)


def test_worker_with_another_program_or_other_data_measures_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(schedule, "measure", benchmark_rows.measure)
    given, work = targets(tmp_path, "1abc_A")
    ((target, data),) = given.items()
    assert "model" in schedule.attempt(target, data, work=work, digests=work.digests())
    row = schedule.attempt(target, data, work=work, digests=work.digests() | {"program": "another"})
    assert "another program or other weights" in row["failure"]
    (source,) = target.sources(tmp_path)
    source.write_text("another structure")
    assert "other files of 1abc_A" in schedule.attempt(target, data, work=work, digests=work.digests())["failure"]
    source.unlink()
    assert "FileNotFoundError" in schedule.attempt(target, data, work=work, digests=work.digests())["failure"]


def test_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(schedule, "ANSWER_SECONDS", 0.5)
    with pytest.raises(ConfigError, match=r"--scheduler tcp://127.0.0.1:9 does not answer within 0.5 s; start one"):
        with schedule.scheduler("tcp://127.0.0.1:9"):
            pass
    with pytest.raises(ConfigError, match="--scheduler nonsense://1 does not answer"):
        with schedule.scheduler("nonsense://1"):
            pass


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_nothing(tmp_path: Path):
    """A scheduler and two workers, all processes of their own; one is killed while it is at work."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    started: list[subprocess.Popen] = []

    def start(*words: str | Path) -> None:
        command = [sys.executable, "-m", "distributed.cli." + str(words[0]), *map(str, words[1:])]
        started.append(subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL))

    address_file = tmp_path / "scheduler.json"
    start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", address_file)
    try:
        for _ in range(2):
            start("dask_worker", "--scheduler-file", address_file, "--nthreads", "1", "--no-nanny", "--no-dashboard")
        wait_for(address_file.exists)
        address = json.loads(address_file.read_text())["address"]
        given, work = targets(tmp_path, "1aaa_A", "2bbb_A", "3ccc_A", "4ddd_A")
        with schedule.scheduler(address) as client:
            client.wait_for_workers(2, timeout=60)
            client.run(use_stand_in, "measure_once_free")
            rows = measured(client, given, work)
            first = next_in_thread(rows)
            wait_for(lambda: len(list(tmp_path.glob("*_A.*"))) == 2)
            dead = int(next(tmp_path.glob("*_A.*")).suffix[1:])
            os.kill(dead, signal.SIGKILL)
            (tmp_path / "free").touch()
            found = dict([first(), *rows])
        assert set(found) == set(given)
        assert all(row["model"]["tm_score"] == 1.0 for row in found.values()), found
        workers = {int(path.suffix[1:]) for path in tmp_path.glob("*_A.*")}
        assert len(workers) == 2, "both were at work, one alone at the end"
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(timeout=30)


@pytest.mark.slow
def test_no_target_waits_behind_a_long_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of two workers of our own one has a target that ends when all the others have ended."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    names = [f"{k}abc_A" for k in range(1, 10)]
    given, work = targets(tmp_path, *names)
    ended = []
    with schedule.scheduler(workers=2) as client:
        client.run(use_stand_in, "measure_first_last")
        for target, row in measured(client, given, work):
            assert "model" in row, row
            ended.append(target.name)
            assert client.run_on_scheduler(most_in_hand) <= 1
            if len(ended) == len(names) - 1:
                (tmp_path / "free").touch()
    assert sorted(ended) == names


def most_in_hand(dask_scheduler: Scheduler) -> int:
    """Tasks that are given to one worker, those included that it has not begun; run at the scheduler."""
    return max(len(worker.processing) for worker in dask_scheduler.workers.values())


def use_stand_in(name: str) -> None:
    """Run at a worker."""
    from deepmm_jax.benchmark import schedule
    from reference import benchmark_rows

    schedule.measure = getattr(benchmark_rows, name)


def wait_for(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.05)


def next_in_thread(rows: Iterator) -> Callable:
    """`next(rows)` begun in a thread; call what is returned for its value."""
    pool = ThreadPoolExecutor(1)
    return pool.submit(next, rows).result
