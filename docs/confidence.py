"""The picture of docs/confidence.md: reliability of the confidence per residue, over all chains and by resolution.

python docs/confidence.py docs/images/confidence.svg
"""

import json
import sys
from pathlib import Path

import matplotlib


matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np


RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "confidence.json"


def main(picture: Path) -> None:
    """Two diagrams: residues by confidence, and chains by their mean."""
    found = json.loads(RESULTS.read_text())
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), constrained_layout=True)
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
    titles = ("residues", "models"), ("confidence", "mean confidence"), ("share right", "share of residues right")
    for axis, title, below, beside in zip((left, right), *titles, strict=True):
        axis.plot([0, 1], [0, 1], ":", color="0.5")
        axis.set(title=title, xlabel=below, ylabel=beside, xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axis.legend(fontsize=7, loc="upper left")
    # Without a date or random names, so that the same figures make the same file.
    plt.rcParams["svg.hashsalt"] = "confidence"
    figure.savefig(picture, metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
