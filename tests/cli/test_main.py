"""The program: quick answers without JAX, exit codes, errors in a sentence."""

import re
import resource
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

from deepmm_jax.errors import MapError, NothingBuiltError


COMMANDS = (
    *("build", "refine", "info", "simulate", "evaluate", "demo"),
    *("train", "train whole-map", "train secondary-structure"),
)
HEAVY = set("jax jaxlib flax optax orbax numpy scipy numba gemmi modelcif mrcfile jaxtyping openmm".split())
"""Each takes longer to import than a reader of --help should wait."""


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from deepmm_jax_cli.main import run; run()"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_is_given_without_loading_what_computes(name: str):
    code = f"""
import sys
from deepmm_jax_cli.main import run
try:
    run()
finally:
    print("loaded:", *{HEAVY} & sys.modules.keys(), file=sys.stderr)
"""
    command = [sys.executable, "-c", code, *name.split(), "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "loaded:\n")
    assert f"Usage: deepmm-jax {name}".rstrip() in result.stdout


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_version_and_help_take_less_than_a_second_of_work(argument: str):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = start(argument)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (result.returncode, result.stderr) == (0, "")
    if argument == "--version":
        assert result.stdout == f"deepmm-jax {version('deepmm-jax')}\n"
    else:
        assert all(name.split()[0] in result.stdout for name in COMMANDS)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


def test_installed_program_is_this_one():
    (entry,) = entry_points(group="console_scripts", name="deepmm-jax")
    assert entry.value == "deepmm_jax_cli.main:run"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (MapError("m.mrc: is empty"), 2, "deepmm-jax: m.mrc: is empty\n"),
        (NothingBuiltError("nothing there"), 3, "deepmm-jax: nothing there\n"),
        (MemoryError("2 TiB"), 2, "deepmm-jax: not enough memory (2 TiB); crop the map to the molecule\n"),
        (MapError("a\nb" * 5000), 2, "deepmm-jax: a ba ba b"),
        (ZeroDivisionError("a slip"), 1, "ZeroDivisionError: a slip"),
    ],
)
def test_exit_code_says_what_went_wrong(
    command: Callable, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, said: str
):
    def failing(path: Path, origin: str) -> None:
        raise error

    monkeypatch.setattr("deepmm_jax.density.mrc.describe_map", failing)
    outcome = command("info", "m.mrc")
    assert outcome.code == code
    assert said in outcome.err
    assert code == 1 or (outcome.err.count("\n") == 1 and len(outcome.err) < 1100)
    assert ("Traceback" in outcome.err) == (code == 1), "only a bug shows its traceback"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_full_disk_behind_standard_output_is_said():
    code = "from deepmm_jax_cli.main import run; run()"
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-c", code, "--version"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert result.returncode == 2
    assert result.stderr == "deepmm-jax: the answer cannot be written to standard output (No space left on device)\n"


@pytest.mark.parametrize("arguments", [["bild"], ["build"], ["build", "m.mrc", "--seed", "-1"], ["info", "--loud"]])
def test_slips_of_the_command_line_have_exit_code_2_and_one_sentence(command: Callable, arguments: list[str]):
    outcome = command(*arguments)
    assert outcome.code == 2
    assert re.fullmatch(r"deepmm-jax: .+ \(see `deepmm-jax( build| info)? --help`\)\n", outcome.err), outcome.err


@pytest.mark.parametrize("arguments", [[], ["train"]])
def test_without_a_command_the_help_is_shown(command: Callable, arguments: list[str]):
    outcome = command(*arguments)
    assert (outcome.code, outcome.err) == (2, "")
    assert " ".join(["Usage: deepmm-jax", *arguments]) in outcome.out
