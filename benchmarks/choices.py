"""What each choice of the tracer is worth: models of validation chains with one choice changed at a time.

    python benchmarks/choices.py --chains 8

The evidence of a target is looked at once; then every variant builds from it: the paper's tracer instead of threading,
its recurrence, its scores, its boxes, atoms left on their points, secondary structure given (DSSP) or withheld.
Targets are spread over the list val-20 at 5 Å, as many over the suite val-experimental, and two real maps. Goes on
where it stopped; writes benchmarks/results/choices.json and prints its table. Reads the data folder (DEEPMM_JAX_DATA).
"""

import argparse
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from deepmm_jax.benchmark.measure import Work, model_figures
from deepmm_jax.benchmark.results import write_json
from deepmm_jax.benchmark.suites import preset_of, suite_targets
from deepmm_jax.benchmark.targets import Case, read_target
from deepmm_jax.config import BuildConfig, build_config
from deepmm_jax.constants import SECONDARY_STRUCTURES
from deepmm_jax.errors import NothingBuiltError
from deepmm_jax.files import data_directory
from deepmm_jax.pipeline import map_evidence, trace_calpha
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.stages import StageRunner
from deepmm_jax.structure.secondary_structure import assign_secondary_structure


RESULTS = Path(__file__).parent / "results" / "choices.json"
SUITES = {"val-20": "5 Å", "val-experimental": "as measured, 2.5–5 Å", "real": "real maps"}
REAL = ("emd8923_6dw1_A", "emd5137_3los_A")
"""Trainable real maps from which no network has learnt."""
LONGEST_IN_BOXES = 104
"""Residues: they take minutes a chain."""
FIGURES = ("tm_score", "ca_rmsd", "residue_match", "sequence_match", "coverage")
DEFAULT = "as `build` does it"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Settings, and secondary structure, made from those of the default."""

    settings: Callable[[BuildConfig], BuildConfig] = lambda config: config
    states: Callable[[Case], np.ndarray] = lambda case: case.profiles[0].secondary_structure
    boxes: bool = False
    """Whether DenseNets A and B look at boxes of the map instead."""

    def is_for(self, group: str, case: Case) -> bool:
        """The shipped weights for boxes know maps at 5 Å only."""
        return not self.boxes or (group == SUITES["val-20"] and len(case.profiles[0]) <= LONGEST_IN_BOXES)


def true_states(case: Case) -> np.ndarray:
    """Secondary structure of the crystal, (n, 3)."""
    places = [SECONDARY_STRUCTURES.index(state) for state in assign_secondary_structure(case.reference[0])]
    return np.eye(3, dtype=np.float32)[places]


def tabu(config: BuildConfig, **alignment: Any) -> BuildConfig:
    return replace(config, tracer="tabu", alignment=replace(config.alignment, **alignment))


VARIANTS = {
    DEFAULT: Variant(),
    "not moved off the grid": Variant(settings=lambda c: replace(c, refinement=replace(c.refinement, enabled=False))),
    "secondary structure given (DSSP)": Variant(states=true_states),
    "secondary structure withheld": Variant(states=lambda case: np.full((len(case.profiles[0]), 3), 1 / 3, np.float32)),
    "tabu search, exact alignment": Variant(settings=tabu),
    "tabu search, exact alignment, no residue skipped": Variant(settings=lambda c: tabu(c, skip_open=None)),
    "tabu search, greedy alignment": Variant(settings=lambda c: tabu(c, recurrence="greedy", skip_open=None)),
    "tabu search, the paper's scores": Variant(settings=lambda c: tabu(c, match="matrices")),
    "the paper's way throughout, in boxes": Variant(settings=lambda _: build_config("paper-simulated"), boxes=True),
}


def main() -> None:
    """Build what is missing, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chains", type=int, default=8, help="targets of each suite")
    arguments = parser.parse_args()
    data = data_directory()
    digests = {suite: Work(config=build_config(preset_of(suite))).digests() for suite in SUITES}
    kept = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {"digests": digests, "cases": {}}
    if kept.get("digests") != digests:
        parser.error(f"{RESULTS} was measured with another program or other weights; move it away")
    cases: dict[str, Any] = {}
    for suite, group in SUITES.items():
        only = REAL if suite == "real" else ()
        for target in spread(suite_targets(suite, data, only), arguments.chains):
            done = cases[target.name] = kept["cases"].get(target.name, {"group": group})
            case, config = read_target(target, data), build_config(preset_of(suite))
            missing = [name for name in VARIANTS if name not in done and VARIANTS[name].is_for(group, case)]
            if not missing:
                continue
            evidence = map_evidence(case.density, len(case.profiles[0]), config)
            build(case, evidence, VARIANTS[missing[0]], config)  # so that none has to wait for compilations
            for name in missing:
                done[name] = build(case, evidence, VARIANTS[name], config)
                print(target.name, name, done[name], flush=True)
                write(cases, digests)
    print(table(cases))


def spread(targets: list[Any], count: int) -> list[Any]:
    """As many targets, spread over a list."""
    return [targets[k] for k in np.unique(np.linspace(0, len(targets) - 1, count).round().astype(int))]


def build(case: Case, evidence: Any, variant: Variant, config: BuildConfig) -> dict[str, float | None]:
    """Figures of the best model, and processor seconds: from the evidence on, unless it is of boxes."""
    letters = case.profiles[0].letters
    profile = SequenceProfile(name="", letters=letters, secondary_structure=variant.states(case))
    settings, started = variant.settings(config), time.process_time()
    if variant.boxes:
        evidence = map_evidence(case.density, len(letters), settings)
    try:
        models = trace_calpha(evidence, profile, settings, seed=0, run=StageRunner())
    except NothingBuiltError:
        return dict.fromkeys(FIGURES, 0.0) | {"ca_rmsd": None, "seconds": round(time.process_time() - started, 1)}
    taken = round(time.process_time() - started, 1)
    model = model_figures([profile], [models], case.reference)["model"]
    return {key: model[key] for key in FIGURES} | {"seconds": taken}


def write(cases: dict[str, Any], digests: dict[str, Any]) -> None:
    """What is known so far."""
    result = {
        "command": f"python benchmarks/choices.py {shlex.join(sys.argv[1:])}",
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "versions": {package: version(package) for package in ("deepmm-jax", "jax", "numba")},
        "digests": digests,
        "cases": cases,
    }
    write_json(RESULTS, result)


def table(cases: dict[str, Any]) -> str:
    """Markdown: means by group, and the change of the TM-score against the default with its standard error."""
    lines = []
    for group in SUITES.values():
        whole = [row for row in cases.values() if row["group"] == group and DEFAULT in row]
        lines += [f"\n{group}, {len(whole)} chains\n"]
        lines += ["| | TM-score | change | Cα RMSD, median | sequence match | seconds |", "| --- " * 6 + "|"]
        for name in VARIANTS:
            rows = [row for row in whole if name in row]
            if not rows:
                continue
            scores, before = (np.array([row[v]["tm_score"] for row in rows]) for v in (name, DEFAULT))
            rmsd = np.median([np.inf if row[name]["ca_rmsd"] is None else row[name]["ca_rmsd"] for row in rows])
            change = scores - before
            error = change.std(ddof=1) / np.sqrt(len(rows)) if len(rows) > 1 else np.nan
            said = "–" if name == DEFAULT else f"{change.mean():+.3f} ± {error:.3f}"
            match, seconds = (np.mean([row[name][key] for row in rows]) for key in ("sequence_match", "seconds"))
            some = "" if len(rows) == len(whole) else f" ({len(rows)} chains)"
            lines.append(
                f"| {name}{some} | {scores.mean():.3f} | {said} | {rmsd:.2f} Å | {match:.3f} | {seconds:.0f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
