"""The figures of docs/benchmarks.md, like the paper's 3, 4, 6, 7 and 9, from the results in `benchmarks/results`.

    make figures
    python docs/figures.py docs/images

A figure of which the results are missing is left as it is, with a line that says what would make them.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib


matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from deepmm_jax.confidence.mscore import predicted_cc_mask, predicted_tm_score, refitted_tm_score


RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
SUITES = {
    "accuracy-simulated-40": "benchmark simulated-40 --until allatom",
    "accuracy-simulated-40-mainmast": "benchmark simulated-40 --baseline mainmast",
    "accuracy-simulated-experimental-test": "benchmark simulated-experimental --until allatom",
    "accuracy-held-out": "benchmark experimental --until allatom",
    "accuracy-held-out-mainmast": "benchmark experimental --baseline mainmast",
}
"""Results by the name of their file, and the command whose `results.json` it is."""
PAPER_TM = (99.1, 90.7, 69.5, 36.9, 15.0), (99.5, 94.2, 79.6, 49.1, 23.5)
"""Per cent of the paper's 2,931 real maps with a TM-score above 0.5 (section 3.2): first models, best of ten."""
OURS, THEIRS, PAPER = "#1f6fb4", "#d9782d", "0.6"
LABELS = ("a", "b", "c", "d", "e", "f")


class MissingResultsError(Exception):
    """Results that a figure needs are not there, or lack what it shows."""


def main(folder: Path) -> None:
    """Draw every figure whose results are there."""
    plt.rcParams |= {"svg.hashsalt": "deepmm-jax", "svg.fonttype": "none", "font.size": 9}
    plt.rcParams |= {"axes.spines.top": False, "axes.spines.right": False}
    for draw in (figure_3, figure_4, figure_6, figure_7, figure_9):
        path = folder / f"{draw.__name__.replace('_', '-')}.svg"
        try:
            figure = draw()
        except MissingResultsError as reason:
            print(f"{path.name} stays as it is: {reason}")
            continue
        # Without a date, so that the same results make the same file.
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)
        print(path)


def cases(name: str) -> dict[str, dict[str, Any]]:
    """The targets, by name, of a file of results; one that was not built counts against every rate."""
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        raise MissingResultsError(f"no results of `deepmm-jax {SUITES[name]}` in {path.name}")
    return json.loads(path.read_text())["cases"]


def column(rows: dict[str, dict[str, Any]], *keys: str) -> np.ndarray:
    """One figure of every target."""
    values: list[Any] = list(rows.values())
    for key in keys:
        values = [value.get(key) if value else None for value in values]
    if all(value is None for value in values):
        raise MissingResultsError(f"no target has {'.'.join(keys)}; the results are older than this figure")
    return np.array([np.nan if value is None else value for value in values], float)


def axes(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, list[Axes]]:
    """A figure of labelled panels."""
    figure, grid = plt.subplots(rows, columns, figsize=size, constrained_layout=True, squeeze=False)
    panels = list(grid.ravel())
    for label, axis in zip(LABELS, panels):
        axis.set_title(f"({label})", loc="left", fontsize=9)
    return figure, panels


def figure_3() -> Any:
    """Simulated maps at 5 Å by length of the chain: Cα RMSD; RMSD and overlap of what CLICK matches."""
    programs = {"DeepMM-JAX": (cases("accuracy-simulated-40"), OURS)}
    try:
        programs["MAINMAST (our implementation)"] = cases("accuracy-simulated-40-mainmast"), THEIRS
    except MissingResultsError as reason:
        print(f"figure-3.svg without MAINMAST: {reason}")
    figure, panels = axes(1, 3, (10, 3.2))
    shown = (
        ("ca_rmsd", "Cα RMSD in place, Å"),
        ("click_rmsd", "RMSD of matched Cα (CLICK), Å"),
        ("click_overlap", "structure overlap (CLICK)"),
    )
    for axis, (key, label) in zip(panels, shown):
        for name, (rows, colour) in programs.items():
            axis.plot(column(rows, "model", "n_reference"), column(rows, "model", key), "o", ms=4, c=colour, label=name)
        axis.set(xlabel="residues", ylabel=label, ylim=(0, 1.05) if key == "click_overlap" else (0, None))
    panels[0].legend(frameon=False)
    return figure


def figure_4() -> Any:
    """Cα RMSD on held-out real maps: ours against MAINMAST."""
    ours, theirs = cases("accuracy-held-out"), cases("accuracy-held-out-mainmast")
    both = [name for name in ours if name in theirs]
    x, y = (column({name: rows[name] for name in both}, "model", "ca_rmsd") for rows in (theirs, ours))
    figure, (axis,) = axes(1, 1, (4.2, 4.0))
    axis.plot(x, y, "o", c=OURS)
    most = 1.05 * float(np.nanmax([x, y]))
    axis.plot([0, most], [0, most], "-", c=PAPER)
    axis.axhline(10, ls="--", c=PAPER)
    for name, a, b in zip(both, x, y):
        axis.annotate(name.replace("_", " "), (a, b), fontsize=6, xytext=(3, 3), textcoords="offset points")
    axis.set(
        xlabel="MAINMAST (our implementation), Cα RMSD, Å",
        ylabel="DeepMM-JAX, Cα RMSD, Å",
        xlim=(0, most),
        ylim=(0, most),
    )
    return figure


def figure_6() -> Any:
    """As-measured maps: share of models within a Cα RMSD, above a TM-score, and both by resolution."""
    rows = cases("accuracy-simulated-experimental-test")
    figure, (within, above, within_10, above_half) = axes(2, 2, (8, 6))
    found = {
        "first model": (column(rows, "model", "ca_rmsd"), column(rows, "model", "tm_score")),
        "best of ten": (column(rows, "best_ca_rmsd_of_ten"), column(rows, "best_tm_score_of_ten")),
    }
    for (rank, (rmsds, scores)), style in zip(found.items(), ("-", "--")):
        cutoffs = np.linspace(0, 20, 201)
        within.plot(cutoffs, [100 * np.mean(rmsds <= cutoff) for cutoff in cutoffs], style, c=OURS, label=rank)
        cutoffs = np.linspace(0, 1, 201)
        above.plot(cutoffs, [100 * np.mean(scores >= cutoff) for cutoff in cutoffs], style, c=OURS, label=rank)
    within.set(xlabel="Cα RMSD, Å", ylabel="models within, %", ylim=(0, 100))
    above.set(xlabel="TM-score", ylabel="models above, %", ylim=(0, 100))
    above.legend(frameon=False)
    ranges = np.array([name.split()[1] for name in rows])
    names = sorted(set(ranges))
    rmsds, scores = found["first model"]
    bars(within_10, names, {"DeepMM-JAX": [100 * np.mean(rmsds[ranges == r] < 10) for r in names]})
    within_10.set(ylabel="Cα RMSD below 10 Å, %")
    bars(
        above_half,
        names,
        {
            "DeepMM-JAX, as-measured maps": [100 * np.mean(scores[ranges == r] > 0.5) for r in names],
            "paper, other maps: 2,931 real ones": PAPER_TM[0],
        },
    )
    above_half.set(ylabel="TM-score above 0.5, %")
    above_half.legend(frameon=False, fontsize=7, loc="upper right")
    return figure


def figure_7() -> Any:
    """As-measured maps by resolution: residues and sequence reproduced, residue match, sequence match."""
    rows = cases("accuracy-simulated-experimental-test")
    figure, panels = axes(2, 2, (8, 6))
    ranges = np.array([name.split()[1] for name in rows])
    names = sorted(set(ranges))
    match, letters = column(rows, "model", "residue_match"), column(rows, "model", "sequence_match")
    shown = (
        (column(rows, "model", "coverage"), "residues built, %"),
        (match * letters, "residues in place with their type, %"),
        (match, "residue match, %"),
        (letters, "sequence match, %"),
    )
    for axis, (values, label) in zip(panels, shown):
        bars(axis, names, {"": [100 * np.nan_to_num(values[ranges == r]).mean() for r in names]})
        axis.set(ylabel=label, ylim=(0, 100))
    return figure


def bars(axis: Axes, names: Sequence[str], heights: dict[str, Sequence[float]]) -> None:
    """Bars side by side for every range of resolutions."""
    width = 0.8 / len(heights)
    for k, ((label, values), colour) in enumerate(zip(heights.items(), (OURS, PAPER))):
        places = np.arange(len(names)) + (k - (len(heights) - 1) / 2) * width
        axis.bar(places, values, width, color=colour, label=label)
    axis.set_xticks(np.arange(len(names)), names)
    axis.set(xlabel="resolution, Å", ylim=(0, 105))


def figure_9() -> Any:
    """How well models fit, by residue; TM-score and CC_mask by MScore with the paper's curves and refits."""
    real, simulated = cases("accuracy-held-out"), cases("accuracy-simulated-experimental-test")
    in_map = {name: row for name, row in real.items() if row.get("in_map", {}).get("model")}
    if len(in_map) < 3:
        raise MissingResultsError(f"accuracy-held-out has no correlations; `deepmm-jax {SUITES['accuracy-held-out']}`")
    figure, (one, other, score, fit) = axes(2, 2, (9, 6.4))
    by_residue = sorted(in_map, key=lambda name: -in_map[name]["in_map"]["model"]["cc_mask"])
    for axis, name in zip((one, other), (by_residue[0], by_residue[len(by_residue) // 2])):
        for whose, colour in (("reference", PAPER), ("model", OURS)):
            axis.plot(*by_number(in_map[name]["in_map"]["by_residue"], whose), c=colour, lw=1, label=LEGEND[whose])
        axis.set(xlabel=f"residue of {name.split('_')[0]}", ylabel="correlation with the map", ylim=(-0.2, 1))
        axis.legend(frameon=False, fontsize=7, loc="lower left")
    mscores, scores = column(simulated, "mscore"), column(simulated, "model", "tm_score")
    curves(score, mscores, scores, {"paper": predicted_tm_score, "fitted to validation chains": refitted_tm_score})
    score.set(xlabel="MScore", ylabel="TM-score", ylim=(0, 1))
    correlations = column(simulated, "in_map", "model", "cc_mask")
    fitted = np.poly1d(np.polyfit(mscores, correlations, 1))
    print(f"  equation 6 fitted: {fitted[1]:.3f} MScore + {fitted[0]:.3f}")
    curves(fit, mscores, correlations, {"paper": predicted_cc_mask, "fitted to these": fitted})
    fit.set(xlabel="MScore", ylabel="CC_mask", ylim=(0, 1))
    return figure


def by_number(correlations: dict[str, Any], whose: str) -> tuple[np.ndarray, np.ndarray]:
    """Residue numbers of the deposited structure, with those that it lacks, and correlations there; of several chains,
    whose numbers start anew, running numbers.
    """
    numbers = np.array(correlations["numbers"])
    if (np.diff(numbers) <= 0).any():
        numbers = np.arange(1, len(numbers) + 1)
    places = np.arange(numbers[0], numbers[-1] + 1)
    values = np.full(len(places), np.nan)
    values[numbers - numbers[0]] = [np.nan if value is None else value for value in correlations[whose]]
    return places, values


LEGEND = {"reference": "deposited", "model": "DeepMM-JAX"}


def curves(axis: Axes, x: np.ndarray, y: np.ndarray, said: dict[str, Callable[[float], float]]) -> None:
    """Points with curves that should go through them, each with its r²."""
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    grid = np.linspace(x.min(), x.max(), 200)
    axis.plot(x, y, "o", ms=4, c=OURS)
    for (label, predicted), style, colour in zip(said.items(), ("--", "-"), (PAPER, "k")):
        r2 = 1 - np.square(y - [predicted(m) for m in x]).sum() / np.square(y - y.mean()).sum()
        axis.plot(grid, [predicted(m) for m in grid], style, c=colour, label=f"{label}, r² = {r2:.2f}")
        print(f"  {axis.get_title(loc='left')} {label}: r² {r2:.3f} of {len(x)}")
    axis.legend(frameon=False, fontsize=7, loc="lower right")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
