"""The paper's evidence: DenseNet A at every voxel above D₀, DenseNet B at points of the main chain (section 2.2)."""

import logging
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from deepmm_jax.constants import CLASS_OF_AMINO_ACID, UNKNOWN_CLASS
from deepmm_jax.density.map import DensityMap
from deepmm_jax.errors import MapError
from deepmm_jax.evidence.boxes import point_boxes, spans, voxel_boxes
from deepmm_jax.evidence.points import interpolate
from deepmm_jax.evidence.volumes import Evidence, TypedPoints
from deepmm_jax.networks.boxes import BoxNetwork, box_outputs, load_box_network


logger = logging.getLogger(__name__)

BATCH = 64
"""Boxes looked at together; the last batch is filled up, so that one program serves all maps."""


def predict_boxes(density: DensityMap, threshold: float, checkpoint: str | Path, *, batch: int = BATCH) -> Evidence:
    """Main-chain and Cα probability of voxels above `threshold` of a map with 1 Å voxels, by DenseNet A; 0 elsewhere.

    Labels run from 0 to 1 and the network has no sigmoid, so what it says beyond that is cut off. The density goes
    along, because `type_boxes` cuts boxes from it. Raises CheckpointError, or MapError if no voxel is above.
    """
    network = load_box_network(checkpoint, "box-a")
    voxels = np.argwhere(density.data > threshold)
    if not len(voxels):
        raise MapError(
            f"no voxel of the map is above {threshold:.4g}, its maximum is {density.data.max():.4g}; give --contour, "
            "of which half is the least density that is looked at"
        )
    volumes = np.zeros((2, *density.shape), np.float32)
    for rows in spans(len(voxels), batch):
        said = _padded_outputs(network, voxel_boxes(density.data, voxels[rows]), batch)
        for volume, head in zip(volumes, ("main_chain", "calpha"), strict=True):
            volume[tuple(voxels[rows].T)] = np.clip(said[head][:, 0], 0, 1)
        if rows.stop % (16 * batch) == 0:
            logger.info("%d of %d boxes", rows.stop, len(voxels))
    return Evidence(
        main_chain=volumes[0], calpha=volumes[1], step=density.step, origin=density.origin, density=density.data
    )


def type_boxes(
    evidence: Evidence, positions: Float[np.ndarray, "n 3"], checkpoint: str | Path, *, batch: int = BATCH
) -> TypedPoints:
    """What `evidence.points.type_points` says, by DenseNet B from the boxes around positions (Å) (section 2.4).

    A class's probability is shared evenly by its amino acids, so that the most probable class stays what it was. The
    Cα probability is that of the volume. Raises CheckpointError, or MapError for evidence without density.
    """
    if evidence.density is None:
        raise MapError("evidence of a whole-map network has no density to cut boxes from; use type_points")
    network = load_box_network(checkpoint, "box-b")
    grid = ((positions - evidence.origin) / evidence.step).astype(np.float32)
    parts = [
        _padded_outputs(network, point_boxes(evidence.density, grid[rows]), batch) for rows in spans(len(grid), batch)
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


def _padded_outputs(network: BoxNetwork, boxes: Float[np.ndarray, "b n n n"], batch: int) -> dict[str, np.ndarray]:
    """Outputs of a batch that may be short."""
    filled = np.pad(boxes, [(0, batch - len(boxes)), (0, 0), (0, 0), (0, 0)])
    outputs = box_outputs(network.config, network.weights, network.moments, jnp.asarray(filled))
    return {head: np.asarray(values)[: len(boxes)] for head, values in outputs.items()}


def _softmax(logits: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    likelihood = np.exp(logits - logits.max(axis=1, keepdims=True))
    return likelihood / likelihood.sum(axis=1, keepdims=True)
