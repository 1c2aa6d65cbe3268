"""Boxes a second of DenseNets A and B, and a whole map by boxes against the whole-map network, in one run.

    python benchmarks/boxes.py [--boxes N] [--train] [STRUCTURE]

Without a structure the example, 1AKE chain A, at 5 Å. Fresh weights: the time does not depend on them. Of the map's
boxes N are looked at (256), and the time of all of them is the multiple. `--train` times training steps too, which take
minutes to compile. `seconds_of_processor` counts all cores and stays fair where other work runs.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from deepmm_jax.config import SIMULATED_DENSITY
from deepmm_jax.density.scaling import scale_map
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.evidence.boxes import spans, voxel_boxes
from deepmm_jax.networks.box_inference import BATCH
from deepmm_jax.networks.boxes import SIDES, BoxConfig, BoxKind, box_outputs, initial_weights
from deepmm_jax.networks.densenet import fresh_moments
from deepmm_jax.networks.inference import predict_volumes
from deepmm_jax.structure.read import read_chains
from deepmm_jax.training.box_examples import BoxBatch
from deepmm_jax.training.boxes import BoxState, BoxTraining, optimiser, training_step


KINDS: tuple[BoxKind, ...] = ("box-a", "box-b")


def main() -> None:
    """Measure and write benchmarks/results/boxes.json."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser()
    parser.add_argument("structure", nargs="?", type=Path, default=here.parent / "examples" / "1ake_A.pdb.gz")
    parser.add_argument("--boxes", type=int, default=256)
    parser.add_argument("--train", action="store_true")
    arguments = parser.parse_args()
    (chain,) = read_chains(arguments.structure)
    density = simulate_map(chain.positions, chain.atomic_numbers, 5.0)
    voxels = np.argwhere(density.data > SIMULATED_DENSITY)
    some = voxels[np.random.default_rng(0).choice(len(voxels), min(arguments.boxes, len(voxels)), replace=False)]

    scaled = scale_map(density, len(chain))
    whole = timed(lambda: predict_volumes(scaled, "simulated"))
    networks = {kind: network(kind) for kind in KINDS}
    by_boxes = timed(lambda: look(networks["box-a"], density.data, some))
    points = np.random.default_rng(0).uniform(size=(len(some), 10, 10, 10)).astype(np.float32)
    of_b = timed(lambda: [said(networks["box-b"], points[rows]) for rows in spans(len(points), BATCH)])
    share = len(voxels) / len(some)
    result = {
        "command": f"python benchmarks/boxes.py --boxes {arguments.boxes}{' --train' if arguments.train else ''}",
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "load_average": os.getloadavg()[0],
        "versions": {package: version(package) for package in ("deepmm-jax", "jax")},
        "structure": arguments.structure.name,
        "residues": len(chain),
        "boxes_of_map": len(voxels),
        "boxes_timed": len(some),
        "box_a": by_boxes | {"boxes_per_second": round(len(some) / by_boxes["seconds"], 2)},
        "box_b": of_b | {"boxes_per_second": round(len(some) / of_b["seconds"], 2)},
        "map_by_boxes": {name: round(share * value, 1) for name, value in by_boxes.items()},
        "map_by_whole_map_network": whole,
        "whole_map_is_faster_by": {name: round(share * by_boxes[name] / whole[name], 1) for name in whole},
    }
    if arguments.train:
        result["training"] = {kind: train(kind) for kind in KINDS}
    print(json.dumps(result, indent=1))
    (here / "results" / "boxes.json").write_text(json.dumps(result, indent=1) + "\n")


def network(kind: BoxKind) -> tuple[Any, Any]:
    """Fresh weights and moments."""
    weights = initial_weights(kind, BoxConfig())
    return weights, fresh_moments(weights)


def said(weights_and_moments: tuple[Any, Any], boxes: np.ndarray) -> Any:
    filled = np.pad(boxes, [(0, BATCH - len(boxes)), *3 * [(0, 0)]])
    return jax.block_until_ready(box_outputs(BoxConfig(), *weights_and_moments, jnp.asarray(filled)))


def look(weights_and_moments: tuple[Any, Any], data: np.ndarray, voxels: np.ndarray) -> None:
    """Cut boxes and look at them, as `predict_boxes` does."""
    for rows in spans(len(voxels), BATCH):
        said(weights_and_moments, voxel_boxes(data, voxels[rows]))


def train(kind: BoxKind, batch: int = 16, steps: int = 4) -> dict[str, float]:
    """Boxes a second of training steps."""
    config, weights = BoxTraining(batch_size=batch), initial_weights(kind, BoxConfig())
    state = BoxState(weights, fresh_moments(weights), optimiser(config).init(weights), jnp.zeros((), jnp.int32))
    rng = np.random.default_rng(0)
    labels = rng.uniform(size=(batch, 2)).astype(np.float32) if kind == "box-a" else rng.integers(3, size=(batch, 2))
    examples = BoxBatch(rng.uniform(size=(batch, *3 * [SIDES[kind]])).astype(np.float32), labels)
    settings = {"kind": kind, "network": BoxConfig(), "config": config}

    def step() -> None:
        nonlocal state
        state, losses = training_step(state, examples, jnp.float32(1e-3), jax.random.key(0), **settings)
        jax.block_until_ready(losses)

    taken = timed(step, steps)
    return taken | {
        "boxes_per_second": round(batch / taken["seconds"], 2),
        "boxes_per_second_of_processor": round(batch / taken["seconds_of_processor"], 2),
    }


def timed(run: Callable[[], Any], times: int = 2) -> dict[str, float]:
    """The least seconds of a few runs after one that compiles, by the wall clock and by processor time."""
    run()
    walls, processors = [], []
    for _ in range(times):
        wall, processor = time.perf_counter(), time.process_time()
        run()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return {"seconds": round(min(walls), 3), "seconds_of_processor": round(min(processors), 3)}


if __name__ == "__main__":
    main()
