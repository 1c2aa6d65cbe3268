"""The demo checks its own model; `make demo` runs it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepmm_jax.files import example_path
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.write import write_pdb
from deepmm_jax_cli import build
from deepmm_jax_cli.demo import AT_LEAST, AT_MOST, shortcomings


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, []),
        ({"coverage": 0.98}, ["coverage 0.98, at least 0.99"]),
        ({"d_residues": 2}, ["d residues 2, at most 0"]),
        ({"ca_rmsd": 1.234, "cc_mask": None}, ["cc mask unknown, at least 0.8", "ca rmsd 1.23, at most 1.0"]),
    ],
)
def test_what_misses_its_limit_is_said(change: dict[str, Any], said: list[str]):
    assert shortcomings(AT_LEAST | AT_MOST | change) == said


@pytest.mark.parametrize(("shift", "code"), [(0.0, 0), (2.0, 1)])
def test_a_wrong_model_ends_the_demo_with_exit_code_1(
    command: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift: float, code: int
):
    """With a stand-in for the build, which takes a minute: the crystal itself, in place or not."""
    (crystal,) = read_chains(example_path("1ake_A.pdb.gz"))
    counts = ("d_residues", "incomplete_residues", "twisted_peptides")
    geometry = dict.fromkeys((*counts, "ramachandran_outliers", "rotamer_outliers"), 0)

    def build_into(output: Path, *_: Any, **__: Any) -> dict[str, Any]:
        crystal.positions[:] += shift
        write_pdb(output / "model.cif", [[crystal]])
        return {"cc_mask": 0.9, "geometry": geometry | {"clashscore": 3.0}}

    monkeypatch.setattr(build, "build_into", build_into)
    outcome = command("demo", "-o", tmp_path / "out")
    assert outcome.code == code, outcome.err
    assert "TM-score        1.000" in outcome.out
    assert ("ca rmsd 3.46, at most 1.0" in outcome.err) == ("computes wrong numbers" in outcome.err) == bool(code)
