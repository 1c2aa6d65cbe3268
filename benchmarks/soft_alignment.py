"""Milliseconds and memory of the hard, the greedy and the soft alignment at several sizes, compilation apart.

    python benchmarks/soft_alignment.py [--sizes 100x500 300x1500 1000x4000] [--repeats 25]

Residues by points, at most 40 points between neighbours, with unbuilt ends and (but for greedy) skips. Times are the
fastest of the repeats: on the clock, and processor time of all threads, which other programs on the machine change
less. Writes benchmarks/results/soft_alignment.json.
"""

import argparse
import json
import os
import platform
import resource
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from deepmm_jax.alignment import align_exact, align_greedy, segment_diameters, soft_align
from deepmm_jax.alignment.skips import path_leaps


BAND = 40
TARGETS = {("300x1500", "soft"): 50, ("300x1500", "soft, gradient of the score"): 200} | {
    ("1000x4000", "soft, gradient of the score"): 3000
}
"""Milliseconds on two quiet cores."""


def main() -> None:
    """Measure every method at every size, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["100x500", "300x1500", "1000x4000"])
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "soft_alignment.json")
    arguments = parser.parse_args()
    device = jax.devices()[0]
    result = {
        "command": f"python benchmarks/soft_alignment.py --sizes {' '.join(arguments.sizes)}",
        "device": f"{device.platform} ({device.device_kind})",
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "load_average": {"before": os.getloadavg()},
        "versions": {package: version(package) for package in ("deepmm-jax", "jax")},
        "band": BAND,
        "cases": {},
    }
    for size in arguments.sizes:
        n, m = (int(part) for part in size.split("x"))
        rows = {name: measured(*method, arguments.repeats) for name, method in methods(n, m).items()}
        for name, row in rows.items():
            if (size, name) in TARGETS:
                row["target_ms"] = TARGETS[size, name]
            print(f"{size} {name}: {json.dumps(row)}", flush=True)
        result["cases"][size] = rows
    result["load_average"]["after"] = os.getloadavg()
    result["peak_memory_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")


def methods(n: int, m: int) -> dict[str, tuple[Callable[..., Any], tuple]]:
    """Functions and their arguments for a random problem: n residues whose true path has m / n points for each."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(n, m)) - 1.0
    scores[np.arange(n), np.arange(n) * (m // n)] += 4.0
    positions = np.cumsum(rng.normal(size=(m, 3)) * 0.5, axis=0)
    given = tuple(jnp.asarray(x, jnp.float32) for x in (scores, positions, np.full(n, 0.8), 3.5, [-6.0, -1.0]))
    sizes = jnp.asarray(n), jnp.asarray(m)

    def exact(scores: Any, positions: Any, weights: Any, standard: Any, skip: Any) -> Any:
        leaps = path_leaps(positions, skip[0], skip[1])
        return align_exact(scores, segment_diameters(positions, BAND), weights, standard, *sizes, leaps, end_gap=-1.0)

    def greedy(scores: Any, positions: Any, weights: Any, standard: Any, skip: Any) -> Any:
        return align_greedy(scores, segment_diameters(positions, m), weights, standard, *sizes)

    def soft(scores: Any, positions: Any, weights: Any, standard: Any, skip: Any) -> Any:
        gaps = {"end_gap": jnp.float32(-1.0), "skip": skip}
        return soft_align(scores, positions, weights, standard, jnp.float32(1.0), **gaps, band=BAND)

    every = tuple(range(5))
    return {
        "exact": (exact, given),
        "greedy": (greedy, given),
        "soft": (lambda *x: soft(*x).score, given),
        "soft, all results": (soft, given),
        "soft, gradient of the score": (jax.value_and_grad(lambda *x: soft(*x).score, every), given),
        "soft, gradient of expected positions": (jax.grad(lambda *x: (soft(*x).positions ** 2).sum(), every), given),
    }


def measured(function: Callable[..., Any], arguments: tuple, repeats: int) -> dict[str, float]:
    """Seconds to compile, milliseconds of a run, megabytes of arguments, results and all that lies between."""
    started = time.perf_counter()
    compiled = jax.jit(function).lower(*arguments).compile()
    row = {"compile_s": round(time.perf_counter() - started, 2)}
    jax.block_until_ready(compiled(*arguments))
    clock, processor = [], []
    for _ in range(repeats):
        started, busy = time.perf_counter(), time.process_time()
        jax.block_until_ready(compiled(*arguments))
        clock.append(time.perf_counter() - started)
        processor.append(time.process_time() - busy)
    row |= {"clock_ms": round(1e3 * min(clock), 1), "processor_ms": round(1e3 * min(processor), 1)}
    memory: Any = compiled.memory_analysis()
    held = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
    return row | {"memory_mb": round(held / 2**20, 1)}


if __name__ == "__main__":
    main()
