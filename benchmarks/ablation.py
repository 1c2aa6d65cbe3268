"""Forms of the whole-map network at equal training time: one run a file of `benchmarks/ablation/`, then a table.

    python benchmarks/ablation.py --runs runs/ablation --minutes 25 --tail-minutes 8

A variant whose run has ended is not trained again, and one whose run is gone keeps its row; rows of different minutes
are apart, because no two machines do the same in a minute. None of them has seen a real map, so that all those that may
be learnt from are new to them but for the noise that some lend to the simulator. Reads the data folder
(DEEPMM_JAX_DATA).
"""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np
from evidence import examine, real_cases, real_names, report

from deepmm_jax.config import build_config
from deepmm_jax.files import data_directory
from deepmm_jax.networks.inference import load_network


VARIANTS = Path(__file__).parent / "ablation"


def main() -> None:
    """Train what is missing, measure what is new, write benchmarks/results/ablation.json and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--tail-minutes", type=float, default=8.0)
    parser.add_argument("--only-finished", action="store_true", help="train nothing")
    arguments = parser.parse_args()
    data = data_directory()
    path = Path(__file__).parent / "results" / "ablation.json"
    budgets = json.loads(path.read_text())["minutes"]
    rows = budgets.setdefault(f"{arguments.minutes:g}", {})
    for variant in sorted(VARIANTS.glob("*.toml")):
        output = arguments.runs / variant.stem
        if not (output / "card.json").is_file():
            if arguments.only_finished or variant.stem in rows:
                continue
            train(variant, output, arguments.minutes, arguments.tail_minutes)
        rows[variant.stem] = row(variant, output, data)
        print(variant.stem, flush=True)
    result = {
        "command": f"python benchmarks/ablation.py {shlex.join(sys.argv[1:])}",
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "versions": {package: version(package) for package in ("deepmm-jax", "jax", "optax")},
        "minutes": budgets,
    }
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(table(rows))


def train(variant: Path, output: Path, minutes: float, tail_minutes: float) -> None:
    """One run, in a process of its own so that all start alike."""
    schedule = ["--minutes", str(minutes), "--tail-minutes", str(tail_minutes)]
    program = [sys.executable, "-c", "from deepmm_jax_cli.main import run; run()"]
    command = [*program, "train", "whole-map", "--output", str(output), "--config", str(variant), *schedule]
    subprocess.run(command, check=True)


def row(variant: Path, output: Path, data: Path) -> dict[str, object]:
    """Figures of one variant; those on real maps are kept beside the run."""
    card = json.loads((output / "card.json").read_text())
    kept = output / "real.json"
    if not kept.is_file():
        config = build_config("experimental", network=str(output))
        found = examine(real_cases(data, real_names(data, held_out=False)), config, np.inf)
        kept.write_text(json.dumps(report(found, config)["summary"]))
    return {
        "what": variant.read_text().splitlines()[0].lstrip("# "),
        "weights": sum(leaf.size for leaf in jax.tree.leaves(load_network(output)[1])),
        "steps": card["steps"],
        "voxels": card["voxels"],
        "validation": card["validation"],
        "real": json.loads(kept.read_text()),
    }


def table(rows: dict[str, dict]) -> str:
    """Markdown: a row a variant."""
    heads = ["variant", "weights (M)", "voxels (M)", "5 Å: 20 / 4 / SS", "experimental-like: 20 / 4 / SS", "atoms loss"]
    heads += ["real ≤ 3.4 Å: 20 / 4 / SS", "recall 2 Å", "real 3.5–4.3 Å: 20 / 4 / SS", "recall 2 Å"]
    lines = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]

    def types(figures: dict[str, float]) -> str:
        return " / ".join(f"{100 * figures[f'accuracy_{kind}']:.1f}" for kind in ("20", "4", "ss"))

    for name, figures in rows.items():
        validation, real = figures["validation"], figures["real"]
        cells = [f"{name}: {figures['what']}", f"{figures['weights'] / 1e6:.2f}", f"{figures['voxels'] / 1e6:.0f}"]
        cells += [types(validation["simulated"]), types(validation["experimental"])]
        cells += [f"{validation['simulated']['atoms']:.3f} / {validation['experimental']['atoms']:.3f}"]
        for group in ("≤ 3.4 Å", "3.5–4.3 Å"):
            cells += [types(real[group]), f"{100 * real[group]['recall_2.0']:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
