"""The paper's evidence: DenseNet A at every voxel above D₀, DenseNet B at points of the main chain (section 2.2)."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float

from deepmm_jax.constants import CLASS_OF_AMINO_ACID, UNKNOWN_CLASS
from deepmm_jax.density.map import DensityMap
from deepmm_jax.devices import Device, copied, plan_batches, spread
from deepmm_jax.errors import MapError
from deepmm_jax.evidence.boxes import point_boxes, spans, voxel_boxes
from deepmm_jax.evidence.points import interpolate
from deepmm_jax.evidence.volumes import Evidence, TypedPoints
from deepmm_jax.networks.boxes import BoxNetwork, box_outputs, load_box_network


logger = logging.getLogger(__name__)

BATCH = 64
"""Boxes that a CPU looks at together, another device at least; the last batch is filled up, so that one program
serves all maps."""
MOST_BOXES = 4096
"""That a device is given at a time."""
BYTES_A_BOX = 4_000_000
"""What a box takes on a device: 4.0 MB with DenseNet A, 3.6 MB with B, by XLA's count on a CPU."""


def predict_boxes(
    density: DensityMap,
    threshold: float,
    checkpoint: str | Path,
    *,
    batch: int = BATCH,
    devices: Sequence[Device] | None = None,
) -> Evidence:
    """Main-chain and Cα probability of voxels above `threshold` of a map with 1 Å voxels, by DenseNet A; 0 elsewhere.

    Labels run from 0 to 1 and the network has no sigmoid, so what it says beyond that is cut off. The density goes
    along, because `type_boxes` cuts boxes from it. Each of `devices` (all that there are) looks at `batch` boxes at a
    time, or at more if its memory allows. Raises CheckpointError, or MapError if no voxel is above.
    """
    network = load_box_network(checkpoint, "box-a")
    voxels = np.argwhere(density.data > threshold)
    if not len(voxels):
        raise MapError(
            f"no voxel of the map is above {threshold:.4g}, its maximum is {density.data.max():.4g}; give --contour, "
            "of which half is the least density that is looked at"
        )
    volumes = np.zeros((2, *density.shape), np.float32)
    network, mesh, size = _on_devices(network, len(voxels), batch, devices)
    for rows in spans(len(voxels), size):
        said = _padded_outputs(network, voxel_boxes(density.data, voxels[rows]), mesh, size)
        for volume, head in zip(volumes, ("main_chain", "calpha"), strict=True):
            volume[tuple(voxels[rows].T)] = np.clip(said[head][:, 0], 0, 1)
        if rows.stop % (16 * size) == 0:
            logger.info("%d of %d boxes", rows.stop, len(voxels))
    return Evidence(
        main_chain=volumes[0], calpha=volumes[1], step=density.step, origin=density.origin, density=density.data
    )


def type_boxes(
    evidence: Evidence,
    positions: Float[np.ndarray, "n 3"],
    checkpoint: str | Path,
    *,
    batch: int = BATCH,
    devices: Sequence[Device] | None = None,
) -> TypedPoints:
    """What `evidence.points.type_points` says, by DenseNet B from the boxes around positions (Å) (section 2.4).

    A class's probability is shared evenly by its amino acids, so that the most probable class stays what it was. The
    Cα probability is that of the volume. `batch` and `devices` as in `predict_boxes`. Raises CheckpointError, or
    MapError for evidence without density.
    """
    if evidence.density is None:
        raise MapError("evidence of a whole-map network has no density to cut boxes from; use type_points")
    network = load_box_network(checkpoint, "box-b")
    grid = ((positions - evidence.origin) / evidence.step).astype(np.float32)
    network, mesh, size = _on_devices(network, len(grid), batch, devices)
    parts = [
        _padded_outputs(network, point_boxes(evidence.density, grid[rows]), mesh, size)
        for rows in spans(len(grid), size)
    ]
    classes, states = (
        _softmax(np.concatenate([part[head] for part in parts])) for head in ("residue_class", "secondary_structure")
    )
    class_of = CLASS_OF_AMINO_ACID[:20]
    members = np.bincount(class_of, minlength=UNKNOWN_CLASS)
    return TypedPoints(
        positions=positions.astype(np.float32),
        calpha=np.clip(interpolate(evidence.calpha, grid), 0, 1),
        amino_acids=(classes / members)[:, class_of].astype(np.float32),
        secondary_structure=states,
    )


def _on_devices(
    network: BoxNetwork, count: int, batch: int, devices: Sequence[Device] | None
) -> tuple[BoxNetwork, Mesh, int]:
    """The network on every device that `count` boxes need, the mesh of these, and how many boxes they take together."""
    mesh, size = plan_batches(count, BYTES_A_BOX, least=batch, most=max(batch, MOST_BOXES), devices=devices)
    return network._replace(weights=copied(network.weights, mesh), moments=copied(network.moments, mesh)), mesh, size


def _padded_outputs(
    network: BoxNetwork, boxes: Float[np.ndarray, "b n n n"], mesh: Mesh, size: int
) -> dict[str, np.ndarray]:
    """Outputs of a batch that may be short."""
    outputs = box_outputs(network.config, network.weights, network.moments, spread(boxes, mesh, size))
    return {head: np.asarray(values)[: len(boxes)] for head, values in outputs.items()}


def _softmax(logits: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    likelihood = np.exp(logits - logits.max(axis=1, keepdims=True))
    return likelihood / likelihood.sum(axis=1, keepdims=True)
