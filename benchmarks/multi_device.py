"""Boxes, voxels and alignments a second on one device and on several, and how well they scale.

    python benchmarks/multi_device.py [--small] [--devices N ...]

Without --devices on 1, 2, 4 … of the devices that JAX has. Without a GPU the processor is divided into as many host
devices as are asked for (1 and 2), which share its cores: that tries the program, and says nothing of scaling. --small
takes tiny networks and little work, for processors. Weights are random, since the time does not depend on them.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from deepmm_jax.alignment.ranking import align_paths, directed_routes
from deepmm_jax.config import AlignmentConfig
from deepmm_jax.density.map import DensityMap
from deepmm_jax.devices import Device, describe
from deepmm_jax.evidence.volumes import TypedPoints
from deepmm_jax.networks.box_inference import predict_boxes
from deepmm_jax.networks.boxes import BoxConfig, BoxNetwork, save_box_network
from deepmm_jax.networks.boxes import parameter_shapes as box_shapes
from deepmm_jax.networks.checkpoints import save_checkpoint
from deepmm_jax.networks.inference import predict_volumes
from deepmm_jax.networks.whole_map import WholeMapConfig
from deepmm_jax.networks.whole_map import parameter_shapes as whole_map_shapes
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.tracing.values import LocalDensePoints, MainChainPaths


SMALL = {
    "whole_map": WholeMapConfig(width=8, coarse_width=8, fine_blocks=1, coarse_blocks=1, head_width=8),
    "box": BoxConfig(stem=4, layers=1, growth=3, bottleneck=2),
    "side": 96,  # voxels along the map
    "boxes": 512,
    "points": 256,
    "residues": 64,
    "paths": 4,
}
LARGE = {
    "whole_map": WholeMapConfig(),
    "box": BoxConfig(),
    "side": 320,
    "boxes": 65_536,
    "points": 1024,
    "residues": 300,
    "paths": 64,
}


def main() -> None:
    """Measure and write benchmarks/results/multi_device.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--devices", type=int, nargs="+")
    arguments = parser.parse_args()
    # Settled before the first use of a device; a GPU's number is what it is.
    jax.config.update("jax_num_cpu_devices", max(arguments.devices or [2]))
    devices = jax.local_devices()
    counts = arguments.devices or [2**power for power in range(len(devices).bit_length())]
    if max(counts) > len(devices):
        parser.error(f"--devices {max(counts)}: JAX has {len(devices)} here")
    sizes = SMALL if arguments.small else LARGE
    work = {"boxes": boxes(sizes), "voxels": voxels(sizes), "alignments": alignments(sizes)}
    rates = {name: {count: rate(run, devices[:count]) for count in counts} for name, run in work.items()}
    host = devices[0].platform == "cpu"
    result = {
        "command": "python benchmarks/multi_device.py"
        + (" --small" if arguments.small else "")
        + (f" --devices {' '.join(map(str, arguments.devices))}" if arguments.devices else ""),
        "devices": describe(devices),
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "load_average": os.getloadavg()[0],
        "versions": {package: version(package) for package in ("deepmm-jax", "jax")},
        "note": "host devices share the cores of one processor, on which other work ran: no measurement of scaling"
        if host
        else None,
        "sizes": {name: size if isinstance(size, int) else size.as_dict() for name, size in sizes.items()},
        "per_second": {
            name: {str(count): round(value, 1) for count, value in of.items()} for name, of in rates.items()
        },
        "scaling_efficiency": {
            name: {str(count): round(value * counts[0] / (of[counts[0]] * count), 3) for count, value in of.items()}
            for name, of in rates.items()
        },
    }
    print(json.dumps(result, indent=1))
    (Path(__file__).parent / "results" / "multi_device.json").write_text(json.dumps(result, indent=1) + "\n")


Run = Callable[[Sequence[Device]], Any]


def rate(run: tuple[int, Run], devices: Sequence[Device]) -> float:
    """Items a second on some devices: the best of two runs after one that compiles."""
    count, work = run
    work(devices)
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        work(devices)
        seconds.append(time.perf_counter() - started)
    return count / min(seconds)


def boxes(sizes: dict[str, Any]) -> tuple[int, Run]:
    """DenseNet A at so many voxels of a map."""
    folder = Path(tempfile.mkdtemp())
    shapes = box_shapes("box-a", sizes["box"])
    moments = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), shapes["moments"])
    save_box_network(folder, BoxNetwork("box-a", sizes["box"], noise(shapes["weights"]), moments), {})
    side = round(sizes["boxes"] ** (1 / 3)) + 1
    density = random_map(side)
    density.data.ravel()[sizes["boxes"] :] = 0
    return sizes["boxes"], lambda devices: predict_boxes(density, 0.0, folder, devices=devices)


def voxels(sizes: dict[str, Any]) -> tuple[int, Run]:
    """The whole-map network on every voxel of a map."""
    folder, config = Path(tempfile.mkdtemp()), sizes["whole_map"]
    save_checkpoint(folder, noise(whole_map_shapes(config)), {"kind": "whole-map", "network": config.as_dict()})
    density = random_map(sizes["side"])
    return density.data.size, lambda devices: predict_volumes(density, folder, devices=devices)


def alignments(sizes: dict[str, Any]) -> tuple[int, Run]:
    """A sequence along paths through random points, with all d_std."""
    rng, count, n = np.random.default_rng(0), sizes["points"], sizes["residues"]
    positions = np.cumsum(rng.normal(size=(count, 3)), axis=0).astype(np.float32)
    states = rng.dirichlet(np.ones(3), count).astype(np.float32)
    points = TypedPoints(
        positions=positions,
        calpha=rng.uniform(size=count).astype(np.float32),
        amino_acids=rng.dirichlet(np.ones(20), count).astype(np.float32),
        secondary_structure=states,
    )
    dense = LocalDensePoints(
        positions=positions,
        density=np.ones(count, np.float32),
        voxels=np.zeros((0, 3), int),
        member=np.zeros(0, int),
    )
    paths = MainChainPaths(points=dense, paths=tuple(np.roll(np.arange(count), k) for k in range(sizes["paths"])))
    letters = "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), n))
    profile = SequenceProfile(name="random", letters=letters, secondary_structure=states[:n])
    config = AlignmentConfig()
    total = len(directed_routes(paths)[0]) * len(config.distances)
    return total, lambda devices: align_paths(paths, points, profile, config, devices=devices)


def random_map(side: int) -> DensityMap:
    """A cube of density above 0."""
    data = np.random.default_rng(0).uniform(0.1, 2.0, 3 * (side,)).astype(np.float32)
    return DensityMap(data=data, step=np.ones(3), origin=np.zeros(3))


def noise(shapes: Any) -> Any:
    """Random weights."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape, scale=0.1), jnp.float32), shapes)


if __name__ == "__main__":
    main()
