"""The picture of docs/confidence.md: reliability of the confidence per residue, on validation chains, whole models of
these, test chains and held-out real maps.

python docs/confidence.py docs/images/confidence.svg
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib


matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from deepmm_jax.assessment.reliability import reliability


RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def main(picture: Path) -> None:
    """Four diagrams: residues of validation chains, their models, residues of test chains and of held-out maps."""
    found = json.loads((RESULTS / "confidence.json").read_text())
    figure, ((left, right), (test, real)) = plt.subplots(2, 2, figsize=(9, 8.8), constrained_layout=True)
    tables = {"all": found, **found["by_resolution"]}
    reliabilities(left, {name: np.array(part["reliability"]) for name, part in tables.items()})
    chains = np.array(list(found["whole_models"]["chains"].values()))
    bins = np.array([name.split()[1] for name in found["whole_models"]["chains"]])
    for bin_ in sorted(set(bins)):
        right.plot(*chains[bins == bin_, :2].T, "o", ms=5, label=f"{bin_} Å")
    cases = results("accuracy-simulated-experimental-test")
    ranges = sorted({name.split()[1] for name in cases})
    parts = {"all": cases} | {r: {name: row for name, row in cases.items() if name.endswith(r)} for r in ranges}
    reliabilities(test, {name: np.array(reliability(*residues(rows))) for name, rows in parts.items()})
    maps = results("accuracy-held-out")
    reliabilities(real, {"all": np.array(reliability(*residues(maps)))})
    for name, row in maps.items():
        label = name.replace("emd", "EMD-").replace("_", " ")
        real.plot(
            np.mean(row["residues"]["confidence"]), np.mean(row["residues"]["right"]), "x", label=f"{label}, mean"
        )
    titles = {
        left: "residues of validation chains",
        right: "models of validation chains",
        test: "residues of test chains",
        real: "residues of held-out real maps",
    }
    for axis, title in titles.items():
        axis.plot([0, 1], [0, 1], ":", color="0.5")
        axis.set(title=title, xlabel="confidence", ylabel="share right", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axis.legend(fontsize=7, loc="upper left")
    right.set(xlabel="mean confidence", ylabel="share of residues right")
    # Without a date or random names, so that the same figures make the same file.
    plt.rcParams |= {"svg.hashsalt": "confidence", "svg.fonttype": "none"}
    figure.savefig(picture, metadata={"Date": None})


def results(name: str) -> dict[str, Any]:
    """The targets of a suite that were built, by name."""
    cases = json.loads((RESULTS / f"{name}.json").read_text())["cases"]
    return {target: row for target, row in cases.items() if row.get("residues", {}).get("confidence")}


def residues(rows: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Confidence of all residues of these targets, and which are right."""
    said, right = (np.concatenate([row["residues"][key] for row in rows.values()]) for key in ("confidence", "right"))
    return said, right


def reliabilities(axis: Axes, tables: dict[str, np.ndarray]) -> None:
    """Lines of `reliability.reliability` by name; that of all is black."""
    for name, (said, true, count) in ((name, table.T) for name, table in tables.items()):
        style: dict[str, Any] = {"color": "k", "ms": 5, "lw": 2} if name == "all" else {"ms": 3, "lw": 1}
        label = f"{name}{'' if name == 'all' else ' Å'} ({int(count.sum())} residues)"
        axis.plot(said, true, "-o", zorder=3, label=label, **style)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
