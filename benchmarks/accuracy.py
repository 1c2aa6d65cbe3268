"""How right the models and the evidence are: chains simulated at 5 Å or as measured, or real maps; one JSON file.

    python benchmarks/accuracy.py simulated --list val-20
    python benchmarks/accuracy.py simulated-experimental --split test --chains 100
    python benchmarks/accuracy.py real emd2566_3j6b_9 emd5185_3j06_deepmm

Reads the data folder (DEEPMM_JAX_DATA). Pairs with nothing to measure count as TM-score 0 and no match.
"""

import argparse
import csv
import json
import os
import platform
import time
import zlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from evidence import BINS, experimental_map, load_simulator
from scipy.spatial import KDTree

from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.assessment.evidence import evidence_figures
from deepmm_jax.assessment.geometry import geometry_figures
from deepmm_jax.assessment.report import evaluate_model
from deepmm_jax.config import BuildConfig, build_config
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc import read_map
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.errors import NothingBuiltError
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.networks.secondary_structure import predict_secondary_structure
from deepmm_jax.pipeline import build_atoms, build_chains, map_evidence, minimise_best
from deepmm_jax.sequence.fasta import profiles_from_fasta
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.stages import StageRunner
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.write import calpha_chain


ZONE = 4.0
"""Å around the atoms of a chain that a zoned copy keeps."""


def main() -> None:
    """Parse, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["simulated", "simulated-experimental", "real"])
    parser.add_argument("names", nargs="*", help="chains or maps; instead of --list")
    parser.add_argument("--list", default="val-20", help="list of chains in data/lists")
    parser.add_argument("--split", default="val", help="of the chains of simulated-experimental, instead of a list")
    parser.add_argument("--chains", type=int, default=20, help="how many of the split, shared among the resolutions")
    parser.add_argument("--checkpoint", help="whole-map network instead of the preset's")
    parser.add_argument("--config", type=Path, help="TOML file with settings")
    parser.add_argument("--until", choices=["evidence", "calpha", "allatom"], default="calpha")
    parser.add_argument("--output", type=Path, help="JSON file (default benchmarks/results/…)")
    arguments = parser.parse_args()
    data = Path(os.environ.get("DEEPMM_JAX_DATA") or "../shared/data")
    preset = "simulated" if arguments.kind == "simulated" else "experimental"
    config = build_config(preset, file=arguments.config, network=arguments.checkpoint, until=arguments.until)
    measure = {"simulated": simulated_case, "simulated-experimental": experimental_case, "real": real_case}[
        arguments.kind
    ]
    if arguments.kind == "simulated-experimental":
        label, which = f"{arguments.kind}-{arguments.split}", f"--split {arguments.split} --chains {arguments.chains}"
        names = shared_among_bins(data, arguments.split, arguments.chains)
    elif arguments.names or arguments.kind == "real":
        label, which, names = arguments.kind, " ".join(arguments.names), arguments.names
    else:
        label, which = arguments.list, f"--list {arguments.list}"
        names = (data / "lists" / f"{arguments.list}.txt").read_text().split()
    rows = {}
    for name in names:
        rows[name] = measure(data, name, config)
        print(name, json.dumps(rows[name]), flush=True)
    result = {
        "command": f"python benchmarks/accuracy.py {arguments.kind} {which} --until {arguments.until}",
        "network": config.network,
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "versions": {package: version(package) for package in ("deepmm-jax", "jax", "numpy")},
        "summary": summarise(list(rows.values())),
        "cases": rows,
    }
    if arguments.kind == "simulated-experimental":
        result["by_resolution"] = by_resolution(rows)
        print(json.dumps(result["by_resolution"], indent=2))
    print(json.dumps(result["summary"], indent=2))
    path = arguments.output or Path(__file__).parent / "results" / f"accuracy-{label}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")


def simulated_case(data: Path, name: str, config: BuildConfig) -> dict[str, Any]:
    """One chain simulated at 5 Å."""
    (chain,) = read_chains(data / "structures" / f"{name}.pdb.gz")
    density = simulate_map(chain.positions, chain.atomic_numbers, 5.0)
    states = predict_secondary_structure(chain.sequence)
    profile = SequenceProfile(name=name, letters=chain.sequence, secondary_structure=states)
    return measure_case(density, [profile], [chain], config)


def shared_among_bins(data: Path, split: str, count: int) -> list[str]:
    """Chains of a split with a resolution each, as "1abc_A 2.5-3.0": as many in every bin, of like lengths."""
    with (data / "structures" / "MANIFEST.csv").open() as stream:
        rows = {row["name"]: row for row in csv.DictReader(stream) if row["split"] == split}
    chosen = np.random.default_rng(0).choice(sorted(rows), min(count, len(rows)), replace=False)
    by_length = sorted(chosen.tolist(), key=lambda name: int(rows[name]["observed_residues"]))
    return [f"{name} {'-'.join(map(str, BINS[1:][k % 5]))}" for k, name in enumerate(by_length)]


def experimental_case(data: Path, name: str, config: BuildConfig) -> dict[str, Any]:
    """One chain as `simulated-experimental-v1` shows it, at a resolution of its bin."""
    name, resolutions = name.split()
    (chain,) = read_chains(data / "structures" / f"{name}.pdb.gz")
    low, high = map(float, resolutions.split("-"))
    rng = np.random.default_rng((0, zlib.crc32(f"{name} {low}".encode())))
    density = experimental_map(chain, rng.uniform(low, high), load_simulator(), rng)
    states = predict_secondary_structure(chain.sequence)
    profile = SequenceProfile(name=name, letters=chain.sequence, secondary_structure=states)
    return measure_case(density, [profile], [chain], config)


def by_resolution(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """How many of the models of every bin have a TM-score above 0.5, and its mean."""
    table = {}
    for resolutions in sorted({name.split()[1] for name in rows}):
        tm = [row.get("model", {}).get("tm_score") or 0.0 for name, row in rows.items() if name.endswith(resolutions)]
        above = sum(score > 0.5 for score in tm)
        table[resolutions] = {"chains": len(tm), "tm_score_above_0.5": above, "tm_score": round(float(np.mean(tm)), 3)}
    return table


def real_case(data: Path, name: str, config: BuildConfig) -> dict[str, Any]:
    """One real map with the FASTA file that came with it; "emd1461_vp6_trimer:A" is the density around one chain."""
    name, _, copy = name.partition(":")
    folder = data / "maps"
    profiles, _ = profiles_from_fasta(folder / f"{name}.fasta", predict_secondary_structure)
    density, reference = read_map(folder / f"{name}.mrc.gz"), read_chains(folder / f"{name}.pdb")
    if copy:
        reference = [chain for chain in reference if chain.name == copy]
        density = zoned(density, reference[0])
    return measure_case(density, profiles, reference, config)


def zoned(density: DensityMap, chain: Chain) -> DensityMap:
    """The density within ZONE of the atoms of a chain."""
    voxels = density.to_xyz(np.argwhere(np.ones(density.shape, bool)))
    away, _ = KDTree(chain.positions).query(voxels, distance_upper_bound=ZONE)
    return density.with_data(np.where(np.isfinite(away).reshape(density.shape), density.data, 0.0).astype(np.float32))


def measure_case(
    density: DensityMap,
    profiles: list[SequenceProfile],
    reference: list[Chain],
    config: BuildConfig,
) -> dict[str, Any]:
    """Build and compare; figures of the model, of the evidence, and seconds by stage."""
    timings: dict[str, float] = {}

    def watch(stage: str, value: Any, seconds: float, *, restored: bool = False) -> None:
        if value is not None:
            timings[stage] = round(seconds, 2)

    run = StageRunner(observer=watch)
    started = time.perf_counter()
    evidence = map_evidence(density, sum(map(len, profiles)), config, run=run)
    found = evidence_figures(evidence, reference, pool_radius=config.typing.pool_radius)
    figures: dict[str, Any] = {"evidence": {k: round(v, 4) for k, v in found.items()}, "seconds": timings}
    if config.until == "evidence":
        return figures
    try:
        models = build_chains(evidence, profiles, config, run=run)
    except NothingBuiltError as error:
        return figures | {"error": str(error)}
    figures["seconds_total"] = round(time.perf_counter() - started, 1)
    figures["mscore"] = round(float(np.mean([m.mscores[0] for m in models])), 3)
    ranks = [
        evaluate_model(
            [
                calpha_chain(chr(65 + c), profile.letters, model.positions[min(rank, len(model) - 1)])
                for c, (profile, model) in enumerate(zip(profiles, models, strict=True))
            ],
            reference,
        )
        for rank in range(max(map(len, models)))
    ]
    figures["model"] = {k: round(v, 4) if isinstance(v, float) else v for k, v in ranks[0].items()}
    figures["best_tm_score_of_ten"] = round(max(float(row["tm_score"] or 0) for row in ranks), 4)
    if config.until == "allatom":
        figures["atoms"] = atom_figures(density, evidence, profiles, models, reference, config, run)
    return figures


def atom_figures(
    density: DensityMap,
    evidence: Evidence,
    profiles: list[SequenceProfile],
    models: list[CalphaModels],
    reference: list[Chain],
    config: BuildConfig,
    run: StageRunner,
) -> dict[str, Any]:
    """RMSDs and stereochemistry of the best model with all its atoms, minimised, and before that."""
    placed = build_atoms(density, evidence, profiles, models, config, run=run)
    whole = minimise_best(density, placed, config, run=run)
    figures: dict[str, Any] = {}
    for when, atoms in (("placed", placed), ("minimised", whole)):
        chains = [ranked[0].chain(chr(65 + c)) for c, ranked in enumerate(atoms) if ranked[0].mask.any()]
        found = evaluate_model(chains, reference)
        rmsds = {key: found[key] for key in ("ca_rmsd", "backbone_rmsd", "all_atom_rmsd")}
        figures[when] = {
            key: round(value, 4) if isinstance(value, float) else value
            for key, value in (rmsds | geometry_figures(chains)).items()
        }
    return figures


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the cases, and counts."""
    evidence = {k: round(float(np.mean([row["evidence"][k] for row in rows])), 4) for k in rows[0]["evidence"]}
    summary: dict[str, Any] = {"cases": len(rows), "evidence": evidence}
    built = [row for row in rows if "model" in row]
    if not built:
        return summary
    tm = [row["model"]["tm_score"] if "model" in row else 0.0 for row in rows]
    rmsd = np.array([row["model"]["ca_rmsd"] for row in built if row["model"]["ca_rmsd"] is not None])
    summary |= {
        "built": len(built),
        "tm_score_mean": round(float(np.mean(tm)), 4),
        "tm_score_at_least_0.8": int(np.sum(np.array(tm) >= 0.8)),
        "ca_rmsd_mean": round(float(rmsd.mean()), 3),
        "ca_rmsd_median": round(float(np.median(rmsd)), 3),
        "ca_rmsd_worst": round(float(rmsd.max()), 3),
        "seconds_mean": round(float(np.mean([row["seconds_total"] for row in built])), 1),
    }
    for key in ("coverage", "residue_match", "sequence_match"):
        summary[key] = round(float(np.mean([row["model"][key] or 0.0 for row in built])), 4)
    if all("atoms" in row for row in built):
        summary["atoms"] = {
            when: {
                key: round(float(np.mean([row["atoms"][when][key] or 0.0 for row in built])), 4)
                for key in built[0]["atoms"][when]
            }
            for when in built[0]["atoms"]
        }
    return summary


if __name__ == "__main__":
    main()
