"""Seconds of every stage of tracing against the size of the chain, on perfect evidence, with fitted exponents.

    python benchmarks/tracing.py [RESIDUES ...]

Chains of any length are copies of the example, 1AKE chain A, joined end to end. Each stage runs twice and the faster
run counts: processor seconds, since machines are shared, and seconds by the clock. `STAGES` takes further stages.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from deepmm_jax.alignment.ranking import align_paths
from deepmm_jax.config import PRESETS, AlignmentConfig, BuildConfig
from deepmm_jax.density.map import DensityMap
from deepmm_jax.evidence.ideal import ideal_evidence
from deepmm_jax.evidence.points import type_points
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.files import atomic_path
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax.threading.models import thread_models
from deepmm_jax.tracing.graph import PointGraph, build_graph
from deepmm_jax.tracing.mean_shift import shift_points
from deepmm_jax.tracing.points import find_local_dense_points
from deepmm_jax.tracing.tabu import search_trees
from deepmm_jax.tracing.values import MainChainPaths


HERE = Path(__file__).parent
SIZES = (100, 200, 342, 500, 700, 1000, 1500)
PAPER: BuildConfig = PRESETS["paper-simulated"]
ROUNDS, TRAJECTORIES = 200, 5
"""Tabu rounds of each trajectory that is timed."""
ALIGNMENTS = 16
"""Alignments that are timed: one path, two directions, eight distances. Ten paths take ten times as long."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One chain and what the stages need of it."""

    chain: Chain
    evidence: Evidence
    graph: PointGraph
    paths: MainChainPaths
    profile: SequenceProfile


def mean_shift(case: Case) -> None:
    volume, step = case.evidence.main_chain, case.evidence.step
    shift_points(volume, np.argwhere(volume > 0).astype(np.float32), step, bandwidth=2.0, max_shift=10.0)


def graph(case: Case) -> None:
    place = (case.evidence.main_chain, case.evidence.step, case.evidence.origin)
    build_graph(case.graph.points, *place, bandwidth=2.0).local_edges(10.0)


def tabu_rounds(case: Case) -> int:
    config = replace(PAPER.tracing, local_radius=(10.0,), rounds=(ROUNDS,), trajectories=TRAJECTORIES)
    return sum(trajectory.rounds for trajectory in search_trees(case.graph, config, 0))  # some end early


def threading(case: Case) -> None:
    """All of its searches, with candidates and scores."""
    thread_models(case.evidence, case.profile, PRESETS["experimental"].threading, PRESETS["experimental"].alignment)


def exact_alignments(case: Case) -> None:
    align(case, PRESETS["simulated"].alignment)


def greedy_alignments(case: Case) -> None:
    align(case, PAPER.alignment)


STAGES: dict[str, tuple[Callable[[Case], int | None], int]] = {
    "mean shift": (mean_shift, 1500),
    "graph": (graph, 1500),
    "tabu round of 30 neighbours": (tabu_rounds, 1500),
    "threading": (threading, 1500),
    f"{ALIGNMENTS} alignments, exact": (exact_alignments, 1500),
    f"{ALIGNMENTS} alignments, greedy": (greedy_alignments, 700),
}
"""By stage: what is run, and the greatest number of residues it is run for. A new stage is one more line; one that does
something many times returns how often, and the seconds are of one time."""


def main() -> None:
    """Time all stages for all sizes."""
    sizes = [int(size) for size in sys.argv[1:]] or SIZES
    (example,) = read_chains(HERE.parent / "examples" / "1ake_A.pdb.gz")
    rows = []
    for size in sizes:
        rows.append(measure_case(make_case(long_chain(example, size))))
        print(json.dumps(rows[-1]), flush=True)
        write(rows)


def write(rows: list[dict[str, Any]]) -> None:
    """Write what is known so far to benchmarks/results/tracing.json."""
    device = jax.devices()[0]
    result = {
        "command": " ".join(["python benchmarks/tracing.py", *sys.argv[1:]]),
        "device": f"{device.platform} ({device.device_kind})",
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
        },
        "versions": {package: version(package) for package in ("deepmm-jax", "jax", "numba", "numpy", "scipy")},
        "unit": "seconds, of the processor and by the clock; the faster of two runs",
        "sizes": rows,
        "exponents of processor seconds in residues": exponents(rows),
    }
    (HERE / "results").mkdir(exist_ok=True)
    with atomic_path(HERE / "results" / "tracing.json") as path:
        path.write_text(json.dumps(result, indent=1) + "\n")


def measure_case(case: Case) -> dict[str, Any]:
    """Sizes of one case, and its seconds by stage."""
    row: dict[str, Any] = {
        "residues": len(case.chain),
        "voxels": int((case.evidence.main_chain > 0).sum()),
        "points": len(case.graph.points.positions),
        "edges": len(case.graph.length),
    }
    for name, (stage, largest) in STAGES.items():
        if len(case.chain) <= largest:
            processor, clock = np.min([seconds(stage, case) for _ in range(2)], axis=0)
            row[name] = {"processor": float(f"{processor:.3g}"), "clock": float(f"{clock:.3g}")}
    return row


def seconds(stage: Callable[[Case], int | None], case: Case) -> tuple[float, float]:
    """Processor seconds and seconds by the clock of one run, or of each of the times that it says it took."""
    processor, clock = time.process_time(), time.perf_counter()
    times = stage(case) or 1
    return (time.process_time() - processor) / times, (time.perf_counter() - clock) / times


def exponents(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Slope of log processor seconds against log residues, by stage."""
    out = {}
    for name in STAGES:
        known = [(row["residues"], row[name]["processor"]) for row in rows if row.get(name, {}).get("processor")]
        if len(known) > 1:
            out[name] = round(float(np.polyfit(*np.log(known).T, 1)[0]), 2)
    return out


def make_case(chain: Chain) -> Case:
    """Perfect evidence, points and graph of a chain, and a path from its beginning to its end."""
    origin = np.floor(chain.positions.min(axis=0)) - 5.0
    size = (np.ceil(chain.positions.max(axis=0)) - origin + 6.0).astype(int)
    evidence = ideal_evidence(chain, DensityMap(data=np.zeros(size, np.float32), step=np.ones(3), origin=origin))
    place = (evidence.main_chain, evidence.step, evidence.origin)
    points = find_local_dense_points(*place, PAPER.tracing)
    # In the order of the chain: what the alignment is given must not depend on how well a short search does.
    atoms = np.stack([chain.atom(kind) for kind in ("N", "CA", "C")], axis=1).reshape(-1, 3)
    ordered = np.argsort(KDTree(atoms).query(points.positions)[1], kind="stable")
    return Case(
        chain=chain,
        evidence=evidence,
        graph=build_graph(points, *place, bandwidth=PAPER.tracing.bandwidth),
        paths=MainChainPaths(points=points, paths=(ordered,)),
        profile=SequenceProfile(
            name=chain.name, letters=chain.sequence, secondary_structure=np.zeros((len(chain), 3), np.float32)
        ),
    )


def align(case: Case, config: AlignmentConfig) -> None:
    points = type_points(case.evidence, case.paths.points.positions, 0.0, vote=False)
    align_paths(case.paths, points, case.profile, config)


def long_chain(example: Chain, residues: int) -> Chain:
    """The first `residues` residues of copies of a chain, each 3.8 Å behind the one before it.

    Of many random turns each copy has the one that keeps it farthest from the others.
    """
    rng, unit = np.random.default_rng(0), example.positions - example.calpha[0]
    parts, last = [unit], example.calpha[-1] - example.calpha[0]
    while len(parts) * len(example) < residues:
        others = KDTree(np.concatenate(parts))
        bond = last + 3.8 * unit_vector(last - parts[-1].mean(axis=0))
        turns = Rotation.random(200, rng)
        room = [np.sum(others.query(turn.apply(unit) + bond)[0] > 4.0) for turn in turns]
        turn = turns[int(np.argmax(room))]
        parts.append((turn.apply(unit) + bond).astype(np.float32))
        last = turn.apply(example.calpha[-1] - example.calpha[0]) + bond
    copies = len(parts)
    owner = np.concatenate([example.residue_of_atom + k * len(example) for k in range(copies)])
    kept = np.flatnonzero(owner < residues)
    return Chain(
        name=f"{residues} residues",
        sequence=(example.sequence * copies)[:residues],
        numbers=np.arange(1, residues + 1),
        positions=np.concatenate(parts)[kept].astype(np.float32),
        atom_names=tuple((example.atom_names * copies)[a] for a in kept),
        elements=tuple((example.elements * copies)[a] for a in kept),
        residue_of_atom=owner[kept],
        b_factors=np.tile(example.b_factors, copies)[kept],
    )


def unit_vector(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


if __name__ == "__main__":
    main()
