"""Seconds by stage from a map to ranked models, the best one minimised; first run (with compilation) and second apart.

    python benchmarks/speed.py [STRUCTURE ...]

Without arguments the example, 1AKE chain A (214 residues), at 5 Å.
"""

import json
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from deepmm_jax.config import build_config
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.networks.secondary_structure import predict_secondary_structure
from deepmm_jax.pipeline import build_model
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.stages import StageRunner
from deepmm_jax.structure.read import read_chains


def main() -> None:
    """Build each structure twice and write benchmarks/results/speed.json."""
    here = Path(__file__).parent
    structures = [Path(name) for name in sys.argv[1:]] or [here.parent / "examples" / "1ake_A.pdb.gz"]
    device = jax.devices()[0]
    result = {
        "command": "python benchmarks/speed.py " + " ".join(path.name for path in structures),
        "device": f"{device.platform} ({device.device_kind})",
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "versions": {package: version(package) for package in ("deepmm-jax", "jax", "numba")},
        "cases": {path.name: {run: build_once(path) for run in ("first", "second")} for path in structures},
    }
    print(json.dumps(result, indent=1))
    (here / "results").mkdir(exist_ok=True)
    (here / "results" / "speed.json").write_text(json.dumps(result, indent=1) + "\n")


def build_once(path: Path) -> dict[str, Any]:
    """Seconds of every stage for one chain at 5 Å."""
    (chain,) = read_chains(path)
    seconds: dict[str, Any] = {"residues": len(chain)}

    def watch(stage: str, value: Any, taken: float, *, restored: bool = False) -> None:
        if value is not None:
            seconds[stage] = round(taken, 2)

    density = simulate_map(chain.positions, chain.atomic_numbers, 5.0)
    started = time.perf_counter()
    states = predict_secondary_structure(chain.sequence)
    seconds["secondary structure"] = round(time.perf_counter() - started, 2)
    profile = SequenceProfile(name=chain.name, letters=chain.sequence, secondary_structure=states)
    build_model(density, [profile], build_config("simulated"), run=StageRunner(observer=watch))
    return seconds | {"total": round(time.perf_counter() - started, 2)}


if __name__ == "__main__":
    main()
