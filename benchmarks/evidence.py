"""How right the evidence of a network is: simulated chains, experimental-like ones by resolution, real maps.

    python benchmarks/evidence.py simulated simulated-experimental real --checkpoint runs/mine --max-minutes 20
    python benchmarks/evidence.py real emd20026_apoferritin
    python benchmarks/evidence.py simulated-experimental --fit-temperature --checkpoint runs/mine
    python benchmarks/evidence.py real --paper --types

Reads the data folder (DEEPMM_JAX_DATA). Without names `real` takes the maps that may be trained on, with
`--held-out` the others. Writes one JSON file a kind into benchmarks/results and prints its table.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from deepmm_jax.assessment.evidence import (
    LabelledPoints,
    label_calpha,
    label_points,
    place_figures,
    type_figures,
    vector_figures,
)
from deepmm_jax.assessment.held_out import HELD_OUT, protein_of
from deepmm_jax.benchmark.suites import RANGES
from deepmm_jax.benchmark.targets import MANIFEST, SIMULATED_RESOLUTION, as_measured, manifest_rows
from deepmm_jax.config import BuildConfig, build_config
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc import read_map
from deepmm_jax.density.resample import resample_map
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.files import data_directory
from deepmm_jax.networks.calibration import TYPE_HEADS, fit_temperature, read_temperatures, write_temperatures
from deepmm_jax.pipeline import map_evidence
from deepmm_jax.rating import typing_of
from deepmm_jax.sequence.fasta import profiles_from_fasta
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax.tracing.points import find_local_dense_points


KINDS = ("simulated", "simulated-experimental", "real")
BINS = ((2.3, 2.5), *RANGES)
"""Resolutions of the experimental-like maps, Å."""
ANCHORS = json.loads((Path(__file__).parent / "anchors.json").read_text())["rows"]
"""The authors' network on the real maps."""
CROWDED = ("emd5623_t20s_F", "emd4413_6i5a_A")
"""Boxes that hold more protein than the model: only what is predicted within 4 Å of it counts."""
SPEED_CASE = "1s18_A"
"""A chain of 316 residues."""
COLUMNS = (
    *("recall_1.0", "precision_1.0", "recall_2.0", "precision_2.0", "main_chain_recall", "main_chain_precision"),
    *("offset_error", "direction_cosine", "accuracy_20", "accuracy_4", "accuracy_ss", "ece_20", "ece_4", "ece_ss"),
    *("log_loss_20", "log_loss_ss"),
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A map with its model. `group` is the row of the summary that it belongs to besides `all`."""

    name: str
    density: DensityMap
    reference: list[Chain]
    n_residues: int
    group: str
    protein: str
    first: int | None = None
    near: float | None = None


def main() -> None:
    """Parse, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="+", metavar="KIND", help=f"{', '.join(KINDS)}, and names of chains or maps")
    parser.add_argument("--list", default="val-20", help="list of chains in data/lists")
    parser.add_argument("--held-out", action="store_true", help="the held-out real maps: once, at the end")
    parser.add_argument("--checkpoint", help="network instead of the preset's")
    parser.add_argument(
        "--paper",
        action="store_true",
        help="with the paper's presets; the checkpoint may be a folder of box networks",
    )
    parser.add_argument(
        "--types",
        action="store_true",
        help="with --paper: DenseNet B at the true Cα alone, as the authors' was measured",
    )
    parser.add_argument("--config", type=Path, help="TOML file with settings")
    parser.add_argument("--limit", type=int, help="the first so many chains or maps only")
    parser.add_argument("--max-minutes", type=float, default=np.inf, help="begin no case after this time")
    parser.add_argument("--seed", type=int, default=0, help="of the experimental-like maps")
    parser.add_argument(
        "--fit-temperature",
        action="store_true",
        help="fit the temperatures of both type heads into the checkpoint's card",
    )
    parser.add_argument(
        "--speed", action="store_true", help=f"time the evidence of {SPEED_CASE} too, after compilation"
    )
    parser.add_argument("--output", type=Path, help="folder for the JSON files (default benchmarks/results)")
    arguments = parser.parse_args()
    kinds = [kind for kind in arguments.kinds if kind in KINDS]
    names = [name for name in arguments.kinds if name not in KINDS]
    if not kinds or ((names or arguments.fit_temperature) and len(kinds) > 1):
        parser.error(
            f"give kinds ({', '.join(KINDS)}), or one alone with names of chains or maps, or --fit-temperature"
        )
    if arguments.paper and arguments.fit_temperature:
        parser.error("--fit-temperature is for whole-map networks, without --paper")
    if arguments.types and not arguments.paper:
        parser.error("--types needs --paper: the types of a whole-map network come with its places")
    data = data_directory()
    folder = arguments.output or Path(__file__).parent / "results"
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.perf_counter() + 60 * arguments.max_minutes
    for kind in kinds:
        preset = ("paper-" if arguments.paper else "") + ("simulated" if kind == "simulated" else "experimental")
        config = build_config(preset, file=arguments.config, network=arguments.checkpoint)
        if kind == "real":
            chosen = names or real_names(data, held_out=arguments.held_out)
            cases = real_cases(data, chosen[: arguments.limit])
        else:
            chosen = names or (data / "lists" / f"{arguments.list}.txt").read_text().split()
            cases = chain_cases(data, kind, chosen[: arguments.limit], arguments.seed)
        found = examine(cases, config, deadline, dense=arguments.fit_temperature, types=arguments.types)
        result = report(found, config)
        if arguments.fit_temperature:
            places = {"true Cα": list(found.calpha.values()), "dense points": list(found.dense.values())}
            result["temperatures"] = fit_temperatures(config.network, places)
        if arguments.speed:
            result["speed"] = speed(data, kind, config, arguments.seed)
        result["command"] = "python benchmarks/evidence.py " + " ".join(shown(arguments, kind, names))
        label = Path(arguments.checkpoint).name if arguments.checkpoint else ""
        parts = ["evidence", kind, "held-out" if kind == "real" and arguments.held_out else ""]
        parts += ["paper" if arguments.paper else "", "types" if arguments.types else "", label]
        path = folder / f"{'-'.join(part for part in parts if part)}.json"
        path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        print(f"\n{kind}, network {result['network']}\n\n{table(result)}\n\n{path}", flush=True)


def shown(arguments: argparse.Namespace, kind: str, names: list[str]) -> list[str]:
    """The options that decide the figures."""
    words = [kind, *names]
    if kind != "real" and not names:
        words += ["--list", arguments.list]
    words += ["--paper"] if arguments.paper else []
    words += ["--types"] if arguments.types else []
    words += ["--held-out"] if kind == "real" and arguments.held_out else []
    for option in ("checkpoint", "config"):
        value = getattr(arguments, option)
        words += [] if value is None else [f"--{option}", Path(value).name]
    words += [] if arguments.limit is None else ["--limit", str(arguments.limit)]
    words += ["--seed", str(arguments.seed)] if arguments.seed and kind == "simulated-experimental" else []
    return words


def chain_cases(data: Path, kind: str, names: list[str], seed: int) -> Iterator[Case]:
    """Chains simulated at 5 Å, or as `simulated-experimental-v1` shows them at a resolution in every bin."""
    for name in names:
        (chain,) = read_chains(data / "structures" / f"{name}.pdb.gz")
        common = {"reference": [chain], "n_residues": len(chain), "protein": name}
        if kind == "simulated":
            density = simulate_map(chain.positions, chain.atomic_numbers, SIMULATED_RESOLUTION)
            yield Case(name=name, density=density, group="5 Å", **common)
            continue
        for low, high in BINS:
            density, _ = as_measured(chain, name, low, high, seed)
            yield Case(name=f"{name} {low}-{high}", density=density, group=f"{low}-{high} Å", **common)


def real_names(data: Path, *, held_out: bool) -> list[str]:
    """The real maps, sharpest first."""
    rows = sorted(manifest_rows(data / "maps" / MANIFEST), key=lambda row: float(row["resolution"]))
    return [row["name"] for row in rows if row["name"].startswith(HELD_OUT) == held_out]


def real_cases(data: Path, names: list[str]) -> Iterator[Case]:
    """Real maps with their models."""
    resolutions = {row["name"]: float(row["resolution"]) for row in manifest_rows(data / "maps" / MANIFEST)}
    for name in names:
        path = data / "maps" / name
        reference = read_chains(path.with_suffix(".pdb"))
        profiles, _ = profiles_from_fasta(path.with_suffix(".fasta"), None)
        resolution = resolutions[name]
        yield Case(
            name=name,
            density=read_map(path.with_suffix(".mrc.gz")),
            reference=reference,
            # Copies of a chain are one record of the FASTA file in some of the entries.
            n_residues=max(sum(map(len, profiles)), sum(map(len, reference))),
            group="≤ 3.4 Å" if resolution <= 3.4 else "3.5–4.3 Å" if resolution <= 4.3 else "5 Å",
            protein=protein_of(name),
            first=ANCHORS.get(name, {}).get("first"),
            near=4.0 if name in CROWDED else None,
        )


@dataclass(frozen=True, kw_only=True)
class Examined:
    """Figures by case, and the typed points that they were counted on: at the true Cα, at local dense points."""

    rows: dict[str, dict[str, Any]]
    calpha: dict[str, LabelledPoints]
    dense: dict[str, LabelledPoints]


def examine(
    cases: Iterator[Case], config: BuildConfig, deadline: float, *, dense: bool = False, types: bool = False
) -> Examined:
    """Evidence of every case against its reference; `dense` points only when they are asked for, or `types` alone."""
    found = Examined(rows={}, calpha={}, dense={})
    typing = typing_of(config)
    for case in cases:
        if found.rows and time.perf_counter() > deadline:
            print(f"time is up before {case.name}")
            break
        started = time.perf_counter()
        look = density_alone if types else map_evidence
        evidence = look(case.density, case.n_residues, config)
        row: dict[str, Any] = {"group": case.group, "protein": case.protein}
        row["seconds"] = round(time.perf_counter() - started, 2)
        at_calpha = label_calpha(evidence, case.reference, *typing, first=case.first)
        if dense:
            points = find_local_dense_points(evidence.main_chain, evidence.step, evidence.origin, config.tracing)
            near = label_points(evidence, case.reference, points.positions, *typing)
            found.dense[case.name] = near
        places = (
            {"residues": len(at_calpha.states)} if types else place_figures(evidence, case.reference, near=case.near)
        )
        figures = places | vector_figures(evidence, case.reference)
        row |= {name: round(value, 4) for name, value in (figures | type_figures([at_calpha])).items()}
        row |= {"authors": ANCHORS[case.name]} if case.name in ANCHORS else {}
        found.calpha[case.name] = at_calpha
        found.rows[case.name] = row
        print(case.name, json.dumps(row, ensure_ascii=False), flush=True)
    return found


def density_alone(density: DensityMap, n_residues: int, config: BuildConfig) -> Evidence:
    """Evidence of nothing but what DenseNet B cuts its boxes from."""
    resampled = resample_map(density, 1.0, config.resampling)
    nothing = np.zeros(resampled.shape, np.float32)
    place = {"step": resampled.step, "origin": resampled.origin}
    return Evidence(main_chain=nothing, calpha=nothing, density=resampled.data, **place)


def report(found: Examined, config: BuildConfig) -> dict[str, Any]:
    """What goes into the JSON file."""
    groups = list(dict.fromkeys(row["group"] for row in found.rows.values()))
    return {
        "network": ", ".join(Path(name).name for name in config.networks),
        "settings": {"rotations": config.rotations, **asdict(config.typing)},
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "versions": {package: version(package) for package in ("deepmm-jax", "jax", "numpy")},
        "summary": {
            group: summarise({n: row for n, row in found.rows.items() if group in ("all", row["group"])}, found.calpha)
            for group in [*groups, "all"]
        },
        "cases": found.rows,
    }


def speed(data: Path, kind: str, config: BuildConfig, seed: int) -> dict[str, Any]:
    """Seconds from a map to its evidence, in a first run with compilation and in a second one."""
    case = next(chain_cases(data, "simulated" if kind == "simulated" else "simulated-experimental", [SPEED_CASE], seed))
    times: dict[str, Any] = {"chain": SPEED_CASE, "residues": case.n_residues, "voxels": list(case.density.shape)}
    for run in ("first", "second"):
        started, processor = time.perf_counter(), time.process_time()
        map_evidence(case.density, case.n_residues, config)
        times[run] = round(time.perf_counter() - started, 2)
        times[f"{run}_processor"] = round(time.process_time() - processor, 2)
    print(json.dumps(times))
    return times


def fit_temperatures(checkpoint: str, places: dict[str, list[LabelledPoints]]) -> dict[str, Any]:
    """Write the temperatures that suit all places together into the checkpoint's card; figures before and after.

    The points were typed with the temperatures that the card has now, so the new ones multiply those.
    """
    now, fitted = read_temperatures(checkpoint), {}
    together = [case for cases in places.values() for case in cases]
    for head in TYPE_HEADS:
        fitted[head] = now[head] * fit_temperature(*_logs_and_labels(together, head))
    report: dict[str, Any] = {"before": now, "after": fitted}
    for place, cases in places.items():
        tempered = [_tempered(case, {head: fitted[head] / now[head] for head in TYPE_HEADS}) for case in cases]
        alone = {head: now[head] * fit_temperature(*_logs_and_labels(cases, head)) for head in TYPE_HEADS}
        before, after = type_figures(cases), type_figures(tempered)
        kept = [name for name in before if name.startswith(("ece", "log_loss"))]
        report[place] = {"alone": alone} | {name: [round(before[name], 4), round(after[name], 4)] for name in kept}
    write_temperatures(checkpoint, fitted)
    print(json.dumps(report, indent=1, ensure_ascii=False))
    return report


def _logs_and_labels(cases: list[LabelledPoints], head: str) -> tuple[np.ndarray, np.ndarray]:
    labels = np.concatenate([case.amino_acids if head == "amino_acids" else case.states for case in cases])
    probabilities = np.concatenate([getattr(case.points, head) for case in cases])
    known = labels < probabilities.shape[1]
    return np.log(np.maximum(probabilities[known], 1e-7)), labels[known]


def _tempered(case: LabelledPoints, temperatures: dict[str, float]) -> LabelledPoints:
    powers = {head: getattr(case.points, head) ** (1 / temperature) for head, temperature in temperatures.items()}
    normalised = {head: power / power.sum(axis=1, keepdims=True) for head, power in powers.items()}
    return replace(case, points=replace(case.points, **normalised))


def summarise(rows: dict[str, dict[str, Any]], labelled: dict[str, LabelledPoints]) -> dict[str, float]:
    """Means over proteins (maps of one protein first); calibration over all residues together."""
    proteins: dict[str, list[str]] = {}
    for name, row in rows.items():
        proteins.setdefault(row["protein"], []).append(name)
    summary: dict[str, float] = {"cases": len(rows), "proteins": len(proteins)}
    for column in COLUMNS:
        means = [
            np.mean([rows[name][column] for name in names]) for names in proteins.values() if column in rows[names[0]]
        ]
        if means:
            summary[column] = round(float(np.mean(means)), 4)
    together = type_figures([labelled[name] for name in rows])
    return summary | {name: round(value, 4) for name, value in together.items() if name.startswith("ece")}


def table(result: dict[str, Any]) -> str:
    """Markdown: a row a real map beside the authors' network, then the means."""
    heads = ["map or group", "n", "Cα R/P 1 Å", "Cα R/P 2 Å", "main chain R/P", "offset Å", "cos", "20", "4", "SS"]
    heads += ["ECE 20", "4", "SS", "−log p 20", "SS", "authors' 4", "SS"]
    lines = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    real = any("authors" in row for row in result["cases"].values())
    rows = list(result["cases"].items()) if real else []
    for name, row in rows + list(result["summary"].items()):

        def cell(*columns: str, row: dict[str, Any] = row, percent: bool = True) -> str:
            values = [row.get(column) for column in columns]
            form = "{:.1f}" if percent else "{:.2f}"
            return " / ".join("–" if v is None else form.format(100 * v if percent else v) for v in values)

        authors = row.get("authors", {})
        cells = [name, str(int(row.get("residues", row.get("proteins", 0))))]
        cells += [cell(f"recall_{r}", f"precision_{r}") for r in ("1.0", "2.0")]
        cells += [cell("main_chain_recall", "main_chain_precision"), cell("offset_error", percent=False)]
        cells += [cell("direction_cosine", percent=False)]
        cells += [cell(f"accuracy_{kind}") for kind in ("20", "4", "ss")]
        cells += [cell(f"ece_{kind}") for kind in ("20", "4", "ss")]
        cells += [cell(f"log_loss_{kind}", percent=False) for kind in ("20", "ss")]
        cells += [cell(f"accuracy_{kind}", row=authors) for kind in ("4", "ss")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
