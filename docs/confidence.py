"""The picture of docs/confidence.md: reliability of the confidence per residue, over all chains and by resolution, of
whole models, and on held-out real maps.

python docs/confidence.py docs/images/confidence.svg
"""

import json
import sys
from pathlib import Path

import matplotlib


matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from deepmm_jax.assessment.reliability import reliability


RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def main(picture: Path) -> None:
    """Three diagrams: residues by confidence, chains by their mean, residues of held-out maps by confidence."""
    found = json.loads((RESULTS / "confidence.json").read_text())
    figure, (left, right, real) = plt.subplots(1, 3, figsize=(13, 4.2), constrained_layout=True)
    for name, part in {"all": found, **found["by_resolution"]}.items():
        said, true, count = np.array(part["reliability"]).T
        whole = name == "all"
        left.plot(said, true, "-o", ms=5 if whole else 3, color="k" if whole else None, lw=2 if whole else 1, zorder=3)
        left.lines[-1].set_label(f"{name if whole else name + ' Å'} ({int(count.sum())} residues)")
    chains = np.array(list(found["whole_models"]["chains"].values()))
    bins = [name.split()[1] for name in found["whole_models"]["chains"]]
    for bin_ in sorted(set(bins)):
        here = chains[[b == bin_ for b in bins]]
        right.plot(here[:, 0], here[:, 1], "o", ms=5, label=f"{bin_} Å")
    held_out(real)
    titles = ("residues", "models", "residues of held-out real maps"), ("confidence", "mean confidence", "confidence")
    for axis, title, below in zip((left, right, real), *titles, strict=True):
        beside = "share of residues right" if axis is right else "share right"
        axis.plot([0, 1], [0, 1], ":", color="0.5")
        axis.set(title=title, xlabel=below, ylabel=beside, xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axis.legend(fontsize=7, loc="upper left")
    # Without a date or random names, so that the same figures make the same file.
    plt.rcParams["svg.hashsalt"] = "confidence"
    figure.savefig(picture, metadata={"Date": None})


def held_out(axis: Axes) -> None:
    """All maps together, and each with the share of its residues that is right by their mean confidence."""
    cases = json.loads((RESULTS / "accuracy-held-out.json").read_text())["cases"]
    maps = {name: row["residues"] for name, row in cases.items() if row.get("residues", {}).get("confidence")}
    said, right = (np.concatenate([row[key] for row in maps.values()]) for key in ("confidence", "right"))
    axis.plot(*np.array(reliability(said, right))[:, :2].T, "-o", color="k", lw=2, label=f"all ({len(said)} residues)")
    for name, row in maps.items():
        label = name.replace("emd", "EMD-").replace("_", " ")
        axis.plot(np.mean(row["confidence"]), np.mean(row["right"]), "x", label=f"{label}, mean")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
