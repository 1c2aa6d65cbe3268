"""The tables of README.md and docs/benchmarks.md against the committed results, cell by cell."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepmm_jax.benchmark.summary import mean


ROOT = Path(__file__).resolve().parents[1]


def results(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


def table(document: str, head: str) -> dict[str, list[str]]:
    """Cells of the rows of the table whose first line starts with `head`, by the first cell."""
    lines = (ROOT / document).read_text().splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith(head))
    rows = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        first, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[first] = cells
    return rows


def says(cell: str, *values: float) -> bool:
    """Whether the numbers of a cell are these values, to as many digits as it gives."""
    said = re.findall(r"-?\d[\d,]*\.?\d*", cell.replace("−", "-"))
    return len(said) == len(values) and all(
        abs(float(word.replace(",", "")) - value) <= 0.501 * 10.0 ** -len(word.partition(".")[2])
        for word, value in zip(said, values, strict=True)
    )


def test_a_wrong_figure_is_noticed():
    assert says("0.32 Å", 0.3233) and says("396, 397", 396, 397) and says("−0.5 %", -0.46)
    assert not says("0.32 Å", 0.3251 + 0.001) and not says("0.3", 0.36) and not says("1, 2", 1)


def of_model(key: str) -> Callable[[dict[str, Any]], float]:
    return lambda row: row["model"][key]


def of_atoms(key: str) -> Callable[[dict[str, Any]], float]:
    return lambda row: row["atoms"]["minimised"][key]


SIMULATED = {
    "Cα RMSD in place, as traced": of_model("ca_rmsd"),
    "Cα RMSD, minimised": of_atoms("ca_rmsd"),
    "backbone RMSD, minimised": of_atoms("backbone_rmsd"),
    "all heavy atoms, minimised": of_atoms("all_atom_rmsd"),
    "clashscore": of_atoms("clashscore"),
    "TM-score": of_model("tm_score"),
    "coverage": of_model("coverage"),
    "residue match": of_model("residue_match"),
    "sequence match": of_model("sequence_match"),
}
HIGHER_IS_BETTER = {"TM-score", "coverage", "residue match", "sequence match"}


def test_simulated_maps():
    rows = table("README.md", "| | mean | median | worst |")
    cases = list(results("accuracy-simulated-40")["cases"].values())
    assert rows.keys() == SIMULATED.keys() and len(cases) == 40
    for label, value in SIMULATED.items():
        values = [value(row) for row in cases]
        worst = min(values) if label in HIGHER_IS_BETTER else max(values)
        for cell, figure in zip(rows[label], (np.mean(values), np.median(values), worst), strict=True):
            assert says(cell, figure), (label, cell, figure)


def test_ranges_of_resolution():
    cases = results("accuracy-simulated-experimental-test")["cases"]
    for resolutions, cells in table("README.md", "| Å | TM-score above 0.5 |").items():
        here = [row for name, row in cases.items() if name.endswith(resolutions.replace("–", "-"))]
        scores = [row.get("model", {}).get("tm_score", 0.0) for row in here]
        assert says(cells[0], sum(score > 0.5 for score in scores), len(here))
        keys = ("tm_score", "residue_match", "sequence_match")
        for cell, key in zip(cells[1:4], keys, strict=True):
            assert says(cell, np.mean([row.get("model", {}).get(key, 0.0) for row in here])), (resolutions, key)


HELD_OUT = {
    "EMD-6272, VP6": "emd6272_3j9s_A",
    "EMD-2566, mitoribosomal protein": "emd2566_3j6b_9",
    "EMD-5185, TMV, one chain": "emd5185_3j06_A",
    "the same, cut out by DeepMM's authors": "emd5185_3j06_deepmm",
    "EMD-2513, FRH, three chains": "emd2513_frh_ABC",
    "EMD-3240, γ-secretase, four chains": "emd3240_5fn5_ABCD",
    "VP6 at 3.8 Å, neighbours left in": "vp6_unmasked",
    "EMD-1461, VP6, one copy": "emd1461_vp6_trimer:A",
    "EMD-4413, TMV, neighbours left in": "emd4413_6i5a_A",
}


def test_held_out_maps():
    cases = results("accuracy-held-out")["cases"]
    rows = table("README.md", "| map | Å | residues: built, deposited |")
    assert rows.keys() == HELD_OUT.keys()
    for label, (_, residues, *cells) in rows.items():
        row = cases[HELD_OUT[label]]
        model, atoms = row["model"], row["atoms"]["minimised"]
        assert says(residues, model["n_model"], model["n_reference"])
        keys = ("ca_rmsd", "tm_score", "residue_match", "sequence_match")
        expected = [*(model[key] for key in keys), atoms["all_atom_rmsd"], atoms["clashscore"]]
        for cell, figure in zip(cells, expected):
            assert says(cell, figure), (label, cell, figure)
        assert says(cells[-1], *(row["in_map"][whose]["cc_mask"] for whose in ("model", "reference"))), label


def test_emd_8923():
    (row,) = results("accuracy-emd8923")["cases"].values()
    text = " ".join((ROOT / "README.md").read_text().split())
    said = text[text.index("were watched: ") :].partition(" [docs")[0]
    model, atoms = row["model"], row["atoms"]["minimised"]
    expected = [*(model[key] for key in ("n_model", "n_reference", "ca_rmsd", "tm_score"))]
    expected += [model["residue_match"], model["sequence_match"], atoms["all_atom_rmsd"], atoms["clashscore"]]
    assert says(said.rstrip(".").replace("TM-score", ""), *expected), said


STAGES = {
    "evidence": ("evidence",),
    "threading": ("threading",),
    "gaps, refinement, confidence": ("gaps", "refinement", "confidence"),
    "backbone and side chains": ("backbone", "side chains"),
    "minimisation": ("minimisation",),
    "all of it": ("total",),
    "atoms of ten models instead of one": ("atoms of ten models",),
}


def test_times():
    sizes = results("speed")["sizes"]
    rows = table("README.md", "| residues | 62 |")
    for label, stages in STAGES.items():
        for cell, size in zip(rows[label], sizes, strict=True):
            seconds = sum(size["second"][stage][1] for stage in stages)
            assert says(cell, seconds), (label, cell, seconds)
    for cell, size in zip(rows["with compilation"], sizes, strict=True):
        assert says(cell, size["first"]["total"][1])
    for cell, size in zip(rows["memory, GB, with the ten"], sizes, strict=True):
        assert float(cell) == pytest.approx(size["peak_memory_mb"] / 1000, abs=0.08)


def rates_said(cells: list[str], row: dict[str, Any]) -> bool:
    """Whether the cells of a row of the tables of rates are those of `rates`."""
    ten = [(row[key], row[f"{key}_of_ten"]) for key in ("tm_score_above_0.5", "ca_rmsd_below_10")]
    atoms = (row["all_atom_rmsd"], row["atoms_of"]) if "all_atom_rmsd" in row else ()
    click = (row["click_rmsd"], 100 * row["click_overlap"]) if "click_rmsd" in row else ()
    matches = (row["residue_match"], row["sequence_match"])
    expected = ((row["chains"],), *ten, (row["tm_score"],), matches, click, atoms)
    return all(says(cell, *values) for cell, values in zip(cells, expected, strict=True))


def test_rates_by_resolution_quality_and_fold():
    found = results("accuracy-simulated-experimental-test")
    rows = table("docs/benchmarks.md", "| | chains | TM-score above 0.5: first")
    expected = [*found["by_resolution"].values()]
    expected += [third for quality in found["by_map_quality"].values() for third in quality.values()]
    expected += [found["novel_folds"], results("accuracy-simulated-40")["novel_folds"]]
    assert len(rows) == len(expected)
    for (label, cells), row in zip(rows.items(), expected, strict=True):
        assert rates_said(cells, row), label
        if label.startswith(("CC_mask", "Q-score")):
            assert says(label.split()[1].replace("–", " "), row["from"], row["to"]), label


def test_confidence():
    found = results("confidence")
    rows = table("docs/confidence.md", "| | residues | right | mean confidence |")
    tested = results("accuracy-simulated-experimental-test")["summary"]["confidence"]
    real = results("accuracy-held-out")["summary"]["confidence"]
    for cells, row in zip(rows.values(), (found, *found["by_resolution"].values(), tested, real), strict=True):
        keys = ("residues", "right", "confidence", "calibration_error", "ranking_power")
        for cell, key in zip(cells, keys, strict=True):
            assert says(cell, row[key]), (cell, key)
    warned = table("docs/confidence.md", "| | models | with the warning |")
    counts = found["whole_models"], tested, real
    for cells, models in zip(warned.values(), counts, strict=True):
        assert [int(cell) for cell in cells[1:]] == list(models["probably_wrong"].values())
    assert tested["calibration_error"] <= 0.08 and tested["right"] <= 0.8


def test_wrong_hand():
    chains = results("wrong_hand")["chains"].values()
    for hand, cells in zip(
        ("right", "mirrored"), table("docs/confidence.md", "| | maps | with the warning |").values()
    ):
        believed = [row[hand] for row in chains if (row[hand]["confidence"] or 0) > 0.8]
        warned = [sum(row["warned"] for row in rows) for rows in ([row[hand] for row in chains], believed)]
        assert [int(cell) for cell in cells] == [len(chains), warned[0], len(believed), warned[1]]


def test_processor_seconds():
    found = results("speed")
    for stage, cells in table("docs/benchmarks.md", "| stage | 62 |").items():
        key = "total" if stage == "all of it" else stage
        assert all(says(cell, size["second"][key][0]) for cell, size in zip(cells, found["sizes"])), stage
        assert says(cells[-1], found["exponents of processor seconds in residues"][key]), stage


def test_mainmast():
    rows = table("docs/benchmarks.md", "| | Cα RMSD | CLICK RMSD | CLICK overlap |")
    programs = {"DeepMM-JAX": "accuracy-simulated-40", "MAINMAST": "accuracy-simulated-40-mainmast"}
    for label, name in programs.items():
        cells = next(cells for first, cells in rows.items() if first.startswith(label))
        found = results(name)
        summary = found["summary"]
        within = sum(row["model"]["ca_rmsd"] < 1 for row in found["cases"].values())
        expected = (summary["ca_rmsd_mean"], summary["click_rmsd"], 100 * summary["click_overlap"], within)
        for cell, figure in zip(cells, expected, strict=True):
            assert says(cell, figure), (label, cell, figure)


def test_held_out_maps_by_mainmast():
    rows = table("docs/benchmarks.md", "| | mean Cα RMSD | below 10 Å |")
    ours, theirs = (results(name)["cases"] for name in ("accuracy-held-out", "accuracy-held-out-mainmast"))
    both = [name for name, row in theirs.items() if "model" in row and "model" in ours.get(name, {})]
    for cells, cases in zip(rows.values(), (ours, theirs), strict=True):
        here = [cases[name] for name in both]
        assert says(cells[0], mean(here, lambda row: row["model"]["ca_rmsd"]))
        assert says(cells[1], sum(row["model"]["ca_rmsd"] < 10 for row in here), len(both))
        assert says(cells[2], mean(here, lambda row: row["model"]["tm_score"]))
