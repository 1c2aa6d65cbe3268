"""Seconds by stage from a map at 5 Å to ranked models, the best one minimised, against the size of the chain.

    python benchmarks/speed.py [RESIDUES ...]

Every size has a process of its own, in which the build runs twice: with compilation, and without. Such a map has one
model, so the atoms of ten, Cα 0.3 Å off the true ones, are placed by themselves. Chains longer than
the example, 1AKE chain A (214 residues), are copies of it joined end to end. Processor seconds, since machines are
shared, and seconds by the clock; the largest memory held; exponents of the cost of the second runs.
"""

import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tracing import long_chain

from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.allatom.backbone import CALPHA_WIDTH
from deepmm_jax.config import build_config
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.files import atomic_path
from deepmm_jax.networks.secondary_structure import predict_secondary_structure
from deepmm_jax.pipeline import build_model, place_atoms
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.stages import StageRunner
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax_cli.console import peak_memory_mb


HERE = Path(__file__).parent
SIZES = (62, 118, 214, 300, 500)
ONE = "--one"


def main() -> None:
    """Measure every size and write benchmarks/results/speed.json."""
    sizes = [int(size) for size in sys.argv[1:]] or SIZES
    rows: list[dict[str, Any]] = []
    for size in sizes:
        command = [sys.executable, __file__, ONE, str(size)]
        rows.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))
        print(json.dumps(rows[-1]), flush=True)
        write(rows)


def write(rows: list[dict[str, Any]]) -> None:
    """Write what is known so far."""
    device = jax.devices()[0]
    result = {
        "command": " ".join(["python benchmarks/speed.py", *sys.argv[1:]]),
        "device": f"{device.platform} ({device.device_kind})",
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
        },
        "versions": {package: version(package) for package in ("deepmm-jax", "jax", "numba", "openmm")},
        "unit": "seconds by stage: [of the processor, by the clock]",
        "sizes": rows,
        "exponents of processor seconds in residues": exponents(rows),
    }
    with atomic_path(HERE / "results" / "speed.json") as path:
        path.write_text(json.dumps(result, indent=1) + "\n")


def exponents(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Slope of log processor seconds against log residues, by stage, where it takes a tenth of a second at least."""
    out = {}
    for stage in rows[0]["second"]:
        known = [(row["residues"], row["second"][stage][0]) for row in rows if row["second"][stage][0] >= 0.1]
        if len(known) > 1:
            out[stage] = round(float(np.polyfit(*np.log(known).T, 1)[0]), 2)
    return out


def measure(residues: int) -> dict[str, Any]:
    """Both runs of one size, in this process."""
    (example,) = read_chains(HERE.parent / "examples" / "1ake_A.pdb.gz")
    chain = long_chain(example, residues)
    runs = {run: build_once(chain) for run in ("first", "second")}
    return {"residues": residues, "peak_memory_mb": peak_memory_mb(), **runs}


def build_once(chain: Chain) -> dict[str, list[float]]:
    """Seconds of every stage for one chain at 5 Å."""
    seconds: dict[str, list[float]] = {}
    made: dict[str, Any] = {}
    last = time.process_time()

    def watch(stage: str, value: Any, taken: float, *, restored: bool = False) -> None:
        nonlocal last
        if value is not None:
            seconds[stage] = [round(time.process_time() - last, 2), round(taken, 2)]
            made[stage] = value
        last = time.process_time()

    density = simulate_map(chain.positions, chain.atomic_numbers, 5.0)
    started, clock = time.process_time(), time.perf_counter()
    states = predict_secondary_structure(chain.sequence)
    profile = SequenceProfile(name=chain.name, letters=chain.sequence, secondary_structure=states)
    build_model(density, [profile], build_config("simulated"), run=StageRunner(observer=watch))
    seconds["total"] = since(started, clock)
    started, clock = time.process_time(), time.perf_counter()
    place_atoms(density, made["evidence"], profile, ten_models(chain), run=StageRunner())
    return seconds | {"atoms of ten models": since(started, clock)}


def since(started: float, clock: float) -> list[float]:
    """Seconds of the processor and by the clock."""
    return [round(time.process_time() - started, 2), round(time.perf_counter() - clock, 2)]


def ten_models(chain: Chain) -> CalphaModels:
    """Ten traces of a chain."""
    noise = np.random.default_rng(0).normal(scale=CALPHA_WIDTH, size=(10, len(chain), 3))
    nothing = np.zeros((10, len(chain)), np.float32)
    return CalphaModels(
        positions=(chain.calpha + noise).astype(np.float32),
        built=np.ones((10, len(chain)), bool),
        scores=nothing[:, 0],
        mscores=nothing[:, 0],
        support=nothing,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == [ONE]:
        print(json.dumps(measure(int(sys.argv[2]))))
    else:
        main()
