"""Both examples that learn through the alignment run from structures to a table, at sizes that prove nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import pytest


ROOT = Path(__file__).resolve().parents[2]


def run(script: str, data: Path, *options: str) -> str:
    command = [sys.executable, str(ROOT / "examples" / script), *options]
    environment = {"DEEPMM_JAX_DATA": str(data), "PATH": "", "HOME": str(Path.home()), "JAX_PLATFORMS": "cpu"}
    environment["JAX_COMPILATION_CACHE_DIR"] = str(jax.config.jax_compilation_cache_dir)  # type: ignore[attr-defined]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_match_scores_and_type_heads_are_learnt_from_two_chains(data_directory, tmp_path):
    """Both trace the same chains, and the second finds them traced."""
    options = ["--cache", str(tmp_path / "paths"), "--chains", "1", "--val-chains", "1", "--epochs", "1"]
    output = str(tmp_path / "found.json")
    printed = run("learn_match_scores.py", data_directory, *options, "--forms", "log-odds", "--output", output)
    found = json.loads((tmp_path / "found.json").read_text())
    before, after = found["log-odds"]["before"], found["log-odds"]["after"]
    assert "(log-odds)" in printed
    assert all(0 <= value <= 1 for value in after["posterior_by_chain"])
    assert after["train_log_likelihood"] > before["train_log_likelihood"]

    printed = run("finetune_type_head.py", data_directory, *options)
    assert "log-likelihood per residue" in printed and "1 val chains, 1 training chains" in printed
