"""The same work on some devices, small; a program, because the number of host devices is settled when JAX starts.

    python many_devices.py OUTPUT WORK-COUNT ...
    python many_devices.py OUTPUT HOST:PORT/PROCESS

The first has eight host devices, does each work on so many of them and writes OUTPUT/WORK-COUNT.npz. The second is one
of two processes that make training steps together, keep the results in OUTPUT/WORK, and each write what they read there
to OUTPUT/WORK-process-PROCESS.npz.
"""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from deepmm_jax.alignment.ranking import align_paths
from deepmm_jax.config import AlignmentConfig
from deepmm_jax.density.map import DensityMap
from deepmm_jax.devices import Device, copied, device_mesh, one_copy, own_rows, spread, start_distributed
from deepmm_jax.evidence.volumes import TypedPoints
from deepmm_jax.networks import boxes
from deepmm_jax.networks.box_inference import predict_boxes, type_boxes
from deepmm_jax.networks.boxes import SIDES, BoxNetwork, save_box_network
from deepmm_jax.networks.checkpoints import load_tree, save_checkpoint, save_tree
from deepmm_jax.networks.inference import predict_volumes
from deepmm_jax.networks.whole_map import WholeMapConfig, parameter_shapes
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.tracing.values import LocalDensePoints, MainChainPaths
from deepmm_jax.training import boxes as box_training
from deepmm_jax.training import whole_map
from deepmm_jax.training.box_examples import BoxBatch
from deepmm_jax.training.boxes import BoxState, BoxTraining
from deepmm_jax.training.examples import Example
from deepmm_jax.training.plan import TrainingConfig
from deepmm_jax.training.state import TrainingState, make_optimiser
from reference.box_networks import TINY


NETWORK = WholeMapConfig(width=8, coarse_width=8, fine_blocks=1, coarse_blocks=1, head_width=8)
LEARNER = replace(NETWORK, fine_blocks=0)
"""Compiles faster."""
SCHEDULE = TrainingConfig(batch_size=8, crop=8)

Values = dict[str, np.ndarray]


@cache
def checkpoints() -> Path:
    """A folder with random weights of a whole-map network and of both box networks."""
    folder = Path(tempfile.mkdtemp())
    save_checkpoint(
        folder / "whole-map",
        noise(parameter_shapes(NETWORK)),
        {"kind": "whole-map", "network": NETWORK.as_dict()},
    )
    for kind in SIDES:
        shapes = boxes.parameter_shapes(kind, TINY)
        moments = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.5), shapes["moments"])
        save_box_network(folder / kind, BoxNetwork(kind, TINY, noise(shapes["weights"]), moments), {})
    return folder


def noise(shapes: Any) -> Any:
    """Random weights; those of a fresh network take longer to compile than to use."""
    rng = np.random.default_rng(8)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape, scale=0.3), jnp.float32), shapes)


def evidence(devices: Sequence[Device]) -> Values:
    """All volumes of a map of three tiles, by the whole-map network."""
    density = random_map((60, 40, 20))
    volumes = vars(predict_volumes(density, checkpoints() / "whole-map", tile=36, devices=devices))
    return {name: volume for name, volume in volumes.items() if name not in ("step", "origin", "density")}


def box_evidence(devices: Sequence[Device]) -> Values:
    """Probabilities by DenseNet A, and the types of points by B; the last batches are short."""
    density = random_map((12, 10, 9))
    volumes = predict_boxes(density, 0.5, checkpoints() / "box-a", batch=8, devices=devices)
    places = np.random.default_rng(2).uniform(0, 8, (21, 3)).astype(np.float32)
    points = type_boxes(volumes, places, checkpoints() / "box-b", batch=4, devices=devices)
    states = points.secondary_structure
    return {"calpha": volumes.calpha, "amino_acids": points.amino_acids, "secondary_structure": states}


def alignments(devices: Sequence[Device]) -> Values:
    """Ranked models from five paths of random evidence: routes that no two or eight devices share evenly."""
    rng = np.random.default_rng(3)
    positions = np.cumsum(rng.normal(size=(60, 3)), axis=0).astype(np.float32)
    types, states = rng.dirichlet(np.ones(20), 60), rng.dirichlet(np.ones(3), 60)
    points = TypedPoints(
        positions=positions,
        calpha=rng.uniform(size=60).astype(np.float32),
        amino_acids=types.astype(np.float32),
        secondary_structure=states.astype(np.float32),
    )
    dense = LocalDensePoints(
        positions=positions,
        density=np.ones(60, np.float32),
        voxels=np.zeros((0, 3), int),
        member=np.zeros(0, int),
    )
    paths = MainChainPaths(points=dense, paths=tuple(np.arange(start, 60 - start) for start in range(5)))
    letters = "".join(rng.choice(list("GAKWLDFRHE"), 14))
    profile = SequenceProfile(name="toy", letters=letters, secondary_structure=states[:14].astype(np.float32))
    config = AlignmentConfig(match="log-odds", redundancy_rmsd=1.0)
    models = align_paths(paths, points, profile, config, devices=devices)
    return {"positions": models.positions, "scores": models.scores, "mscores": models.mscores}


def whole_map_step(devices: Sequence[Device]) -> Values:
    """Weights and losses after a training step of the whole-map network."""
    mesh = device_mesh(devices)
    parameters = noise(parameter_shapes(LEARNER))
    same = jax.tree.map(jnp.array, parameters)
    state = TrainingState(parameters, same, make_optimiser(SCHEDULE).init(parameters), jnp.zeros((), jnp.int32))
    state = jax.device_put(state, jax.local_devices()[0])  # as it comes from a folder
    batch = spread(own_rows(random_crops()), mesh)
    state, losses = whole_map.training_step(
        copied(state, mesh), batch, jnp.float32(1.0), network=LEARNER, config=SCHEDULE
    )
    assert all(leaf.is_fully_replicated for leaf in jax.tree.leaves(state))
    leaves = jax.tree.leaves(one_copy(state).parameters)
    values = {name: np.asarray(loss) for name, loss in losses.items()}
    return values | {f"leaf {number}": np.asarray(leaf) for number, leaf in enumerate(leaves)}


def box_step(devices: Sequence[Device]) -> Values:
    """Weights, moments and losses after a training step of DenseNet B."""
    mesh = device_mesh(devices)
    shapes = boxes.parameter_shapes("box-b", TINY)
    weights, moments = noise(shapes["weights"]), noise(shapes["moments"])
    config = BoxTraining(batch_size=8)
    state = BoxState(weights, moments, box_training.optimiser(config).init(weights), jnp.zeros((), jnp.int32))
    rng = np.random.default_rng(6)
    batch = BoxBatch(
        boxes=rng.uniform(size=(8, *[SIDES["box-b"]] * 3)).astype(np.float32),
        labels=np.stack([rng.integers(4, size=8), rng.integers(3, size=8)], axis=1).astype(np.int32),
    )
    state, losses = box_training.training_step(
        copied(state, mesh),
        spread(own_rows(batch), mesh),
        jnp.float32(1e-3),
        jax.random.key(1),
        kind="box-b",
        network=TINY,
        config=config,
    )
    kept = one_copy(state)
    leaves = jax.tree.leaves((kept.weights, kept.moments))
    values = {name: np.asarray(loss) for name, loss in losses.items()}
    return values | {f"leaf {number}": np.asarray(leaf) for number, leaf in enumerate(leaves)}


def random_map(shape: tuple[int, int, int]) -> DensityMap:
    """Noise."""
    data = np.random.default_rng(9).normal(size=shape).astype(np.float32)
    return DensityMap(data=data, step=np.ones(3), origin=np.zeros(3))


def random_crops() -> Example:
    """A batch of noise with random labels."""
    rng = np.random.default_rng(4)
    count, side = SCHEDULE.batch_size, SCHEDULE.crop
    voxels = (count, side, side, side)
    return Example(
        density=rng.normal(size=(*voxels, 2)).astype(np.float32),
        atoms=rng.uniform(size=(*voxels, 6)).astype(np.float16),
        known=rng.uniform(size=voxels) < 0.9,
        nearest=rng.integers(-1, 12, size=voxels).astype(np.int16),
        calpha=rng.uniform(0, side, (count, 512, 3)).astype(np.float32),
        directions=rng.normal(size=(count, 512, 6)).astype(np.float32),
        amino_acids=rng.integers(20, size=(count, 512)),
        states=rng.integers(3, size=(count, 512)),
    )


STEPS = {step.__name__: step for step in (whole_map_step, box_step)}
WORK = {work.__name__: work for work in (evidence, box_evidence, alignments)} | STEPS


if __name__ == "__main__":
    output, words = Path(sys.argv[1]), sys.argv[2:]
    if ":" in words[0]:
        address, process = words[0].split("/")
        start_distributed(address, 2, int(process))
        for name, step in STEPS.items():
            values = step(jax.devices())
            save_tree(output / name, values)
            np.savez(output / f"{name}-process-{process}.npz", **load_tree(output / name, values))
    else:
        jax.config.update("jax_num_cpu_devices", 8)
        for word in words:
            name, count = word.split("-")
            np.savez(output / f"{word}.npz", **WORK[name](jax.devices()[: int(count)]))
