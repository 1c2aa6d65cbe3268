"""Stages: what is kept, what is computed again, and what the observer hears."""

import errno
import pickle
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepmm_jax import stages
from deepmm_jax.config import TracingConfig
from deepmm_jax.stages import StageRunner, StageStore, digest


@dataclass(frozen=True)
class Pair:
    first: Any
    second: Any


@dataclass(frozen=True)
class Couple:
    first: Any
    second: Any


DISTINCT = [
    None,
    0,
    False,
    0.0,
    -0.0,
    "",
    "0",
    (),
    [],
    {},
    (0,),
    [0],
    ("ab", "c"),
    ("a", "bc"),
    (("a",), "b"),
    ("a", ("b",)),
    {"a": 1},
    {"a": "1"},
    {1: 1},
    {"1": 1},
    {"a": 1, "b": 2},
    {"a": {"b": 2}},
    Pair(1, 2),
    Pair(2, 1),
    Couple(1, 2),
    np.float32(1),
    np.float64(1),
    np.zeros(4, np.float32),
    np.zeros(2, np.float64),
    np.zeros((2, 2), np.float32),
    np.zeros(4, np.int32),
    np.zeros(0, np.float32),
    np.arange(4.0),
    np.arange(4.0)[::-1],
    np.arange(4.0).reshape(2, 2),
    np.arange(4.0).reshape(2, 2).T,
    np.array(0.0),
    TracingConfig(),
    TracingConfig(rounds=(99,)),
]


def test_digest_tells_different_values_apart():
    digests = [digest(value) for value in DISTINCT]
    assert len(set(digests)) == len(DISTINCT)


def test_digest_sees_the_value_and_not_how_it_is_stored():
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert digest(array) == digest(np.asfortranarray(array)) == digest(array.copy())
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest(TracingConfig()) == digest(replace(TracingConfig(rounds=(5,)), rounds=(100,)))
    assert digest(Pair(array, "x")) == digest(Pair(array.copy(), "x"))


def test_digest_of_a_path_is_that_of_its_content(tmp_path: Path):
    for name in ("one", "two"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "weights").write_bytes(b"1234")
        (tmp_path / name / "card.json").write_text("{}")
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    (tmp_path / "two" / "inner" / "weights").write_bytes(b"1235")
    assert digest(tmp_path / "one") != digest(tmp_path / "two")
    assert digest(tmp_path / "one" / "card.json") == digest(tmp_path / "two" / "card.json")


def test_digest_refuses_what_it_cannot_see_into():
    with pytest.raises(TypeError, match="cannot hash a function"):
        digest(lambda: 0)


class Observed(list):
    """Records the calls of an observer."""

    def __call__(self, stage: str, value: Any, seconds: float, *, restored: bool = False) -> None:
        assert seconds >= 0
        self.append((stage, value, restored))


calls = 0


def doubled(value: int, *, times: int = 2) -> int:
    global calls
    calls += 1
    return value * times


@pytest.fixture(autouse=True)
def _count_from_zero():
    global calls
    calls = 0


def test_observer_hears_of_a_stage_before_and_after():
    observer = Observed()
    run = StageRunner(observer=observer)
    assert run("doubling", doubled, 4) == 8
    assert observer == [("doubling", None, False), ("doubling", 8, False)]


def test_only_a_run_that_resumes_takes_kept_values(tmp_path: Path):
    store, observer = StageStore(tmp_path / "stages"), Observed()
    assert StageRunner(store=store)("doubling", doubled, 4) == 8
    assert StageRunner(store=store)("doubling", doubled, 4) == 8
    assert calls == 2
    assert StageRunner(store=store, reuse=True, observer=observer)("doubling", doubled, 4) == 8
    assert calls == 2
    assert observer[-1] == ("doubling", 8, True)


def test_other_arguments_function_or_program_are_computed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = StageRunner(store=StageStore(tmp_path), reuse=True)
    run("doubling", doubled, 4)
    assert (run("doubling", doubled, 5), calls) == (10, 2)
    assert (run("doubling", doubled, 5, times=3), calls) == (15, 3)
    assert run("doubling", divmod, 5, 3) == (1, 2)
    assert (run("doubling", doubled, 5, times=3), calls) == (15, 4), "one result a stage is kept"
    assert (run("doubling", doubled, 5, times=3), calls) == (15, 4)
    monkeypatch.setattr(stages, "program_digest", lambda: "of an edited program")
    assert (run("doubling", doubled, 5, times=3), calls) == (15, 5)


@pytest.mark.parametrize(
    "damage", [b"", b"no pickle", "half", "bit", b"cnosuchmodule\nThing\n.", b"\x80\x05\x8c\x04\xff\xff\xff\xff."]
)
def test_damaged_file_is_computed_anew(tmp_path: Path, damage: bytes | str):
    run = StageRunner(store=StageStore(tmp_path), reuse=True)
    run("big stage", np.arange, 1000)
    (file,) = tmp_path.glob("big-stage.*.pickle")
    content = file.read_bytes()
    flipped = content[:-50] + bytes([content[-50] ^ 1]) + content[-49:]
    file.write_bytes({"half": content[: len(content) // 2], "bit": flipped}.get(str(damage), b"") or bytes(damage))
    np.testing.assert_array_equal(run("big stage", np.arange, 1000), np.arange(1000))
    assert file.read_bytes() == content, "and kept again"


def test_value_appears_whole_or_not_at_all(tmp_path: Path):
    store = StageStore(tmp_path)
    store.put("stage", "a" * 64, 1)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        store.put("stage", "b" * 64, [np.zeros(100_000), lambda: 0])
    assert store.get("stage", "a" * 64) == 1
    assert store.get("stage", "b" * 64) is None
    assert [path.suffix for path in tmp_path.iterdir()] == [".pickle"]


def test_value_that_cannot_be_written_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("deepmm_jax.files.os.replace", full)
    assert StageRunner(store=StageStore(tmp_path))("doubling", doubled, 4) == 8
    assert not list(tmp_path.iterdir())
    assert "stage doubling is not kept for --resume: [Errno 28] No space left on device" in caplog.text


def test_program_is_its_files_and_what_it_computes_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An edit anywhere in the library makes another program."""
    here = stages.program_digest()
    package = Path(stages.__file__).parent
    shutil.copytree(package, tmp_path / "deepmm_jax", ignore=shutil.ignore_patterns("checkpoints", "examples"))
    monkeypatch.setattr(stages, "__file__", str(tmp_path / "deepmm_jax" / "stages.py"))
    fresh = stages.program_digest.__wrapped__
    assert fresh() == here
    tabu = tmp_path / "deepmm_jax" / "tracing" / "tabu.py"
    tabu.write_bytes(tabu.read_bytes() + b"\n")
    assert fresh() != here
    tabu.write_bytes(tabu.read_bytes()[:-1])
    assert fresh() == here
    weights = tmp_path / "deepmm_jax" / "confidence" / "weights.json"
    weights.write_text(weights.read_text().replace("1", "2", 1))
    assert fresh() != here
    monkeypatch.setattr(stages, "version", lambda name: "0.0.1")
    assert fresh() != here


def test_newer_result_replaces_that_of_the_same_stage_only(tmp_path: Path):
    store = StageStore(tmp_path)
    for stage in ("points", "points 2", "points-and-more"):
        store.put(stage, "a" * 64, stage)
    store.put("points", "b" * 64, "new")
    assert store.get("points", "a" * 64) is None
    assert store.get("points", "b" * 64) == "new"
    assert [store.get(stage, "a" * 64) for stage in ("points 2", "points-and-more")] == ["points 2", "points-and-more"]


def test_stages_finished_before_a_failure_are_kept(tmp_path: Path):
    def interrupted() -> None:
        raise KeyboardInterrupt

    run = StageRunner(store=StageStore(tmp_path), reuse=True)
    run("doubling", doubled, 4)
    with pytest.raises(KeyboardInterrupt):
        run("next", interrupted)
    assert (run("doubling", doubled, 4), calls) == (8, 1)
