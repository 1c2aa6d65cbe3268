"""`evaluate` with a map: keys, figures, and what it refuses."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest


CORRELATIONS = ["cc_mask", "cc_box", "cc_peaks", "cc_volume", "fitted_b", "q_score"]


def test_a_map_adds_correlations_of_model_and_reference(command: Callable, inputs: Path):
    piece = inputs / "piece.pdb"
    outcome = command("evaluate", piece, piece, "--map", inputs / "map.mrc", "--resolution", "5", "--json")
    assert outcome.code == 0, outcome.err
    figures = json.loads(outcome.out)
    assert list(figures)[-12:] == [*CORRELATIONS, *(f"reference_{key}" for key in CORRELATIONS)]
    assert figures["tm_score"] == pytest.approx(1.0)
    assert 0.8 < figures["cc_mask"] < 1.0
    for key in CORRELATIONS:
        assert figures[key] == figures[f"reference_{key}"]
    lines = command("evaluate", piece, piece, "--map", inputs / "map.mrc", "-r", "5").out.splitlines()
    assert dict(line.split(maxsplit=1) for line in lines)["cc_mask"] == f"{figures['cc_mask']:.3f}"


CASES = [
    (["--map", "map.mrc"], r"--map .*map\.mrc needs --resolution"),
    (["--resolution", "4"], r"--resolution 4 needs --map"),
    (["--map", "map.mrc", "--resolution", "0"], r"a resolution of 0 Å cannot be right"),
    (["--map", "map.mrc", "--resolution", "50"], r"a resolution of 50 Å cannot be right"),
    (["--map", "map.mrc", "--resolution", "2"], r"voxels of 1\.2 Å and cannot show 2 Å"),
    (["--map", "missing.mrc", "--resolution", "5"], r"missing\.mrc: cannot be read"),
    (["--map", "piece.pdb", "--resolution", "5"], r"piece\.pdb"),
    (["--map", "map.mrc", "--resolution", "5", "--origin", "zero"], r"atoms of .*piece\.pdb lie outside the map"),
]


@pytest.mark.parametrize(("options", "sentence"), CASES, ids=[" ".join(options) for options, _ in CASES])
def test_bad_input_is_named_in_one_sentence(command: Callable, inputs: Path, options: list[str], sentence: str):
    words = [inputs / word if re.search(r"\.(mrc|pdb)$", word) else word for word in options]
    outcome = command("evaluate", inputs / "piece.pdb", inputs / "piece.pdb", *words)
    assert outcome.code == 2 and outcome.out == ""
    assert re.search(sentence, outcome.err), outcome.err
    assert outcome.err.startswith("deepmm-jax: ") and outcome.err.count("\n") == 1
