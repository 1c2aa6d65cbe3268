"""Losses and accuracies of the whole-map network's heads."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float

from deepmm_jax.constants import CLASS_OF_AMINO_ACID
from deepmm_jax.networks.whole_map import ATOM_CHANNELS, split_heads
from deepmm_jax.training.examples import Example


TYPE_RADIUS = 1.5
"""Types are learnt with weight exp(-d²/TYPE_RADIUS²) to the nearest Cα, Å."""
ATOM_WEIGHTS = (2.0, 1.0, 2.0, 1.0, 1.0, 1.0)
"""Main chain and Cα decide the trace, so they count twice."""
WEIGHTS = {"atoms": 1.5, "amino_acids": 0.4, "secondary_structure": 0.3, "offset": 0.15, "directions": 0.3}


class Targets(NamedTuple):
    """Labels of every voxel, looked up from an example's residue tables."""

    atoms: Array
    known: Array
    offset: Array
    directions: Array
    amino_acids: Array
    states: Array
    weight: Array


def voxel_targets(batch: Example) -> Targets:
    """Per-voxel targets of a batch."""
    _, atoms, known, nearest, calpha, directions, amino_acids, states = (jnp.asarray(field) for field in batch)
    side = nearest.shape[1]
    voxels = jnp.stack(jnp.meshgrid(*(jnp.arange(side, dtype=jnp.float32),) * 3, indexing="ij"), axis=-1)
    row = jnp.maximum(nearest, 0).astype(jnp.int32)

    def look_up(table: Array) -> Array:
        return jax.vmap(lambda rows, values: values[rows])(row, table)

    offset = look_up(calpha) - voxels[None]
    near = nearest >= 0
    return Targets(
        atoms=atoms.astype(jnp.float32),
        known=known,
        offset=offset,
        directions=look_up(directions),
        amino_acids=look_up(amino_acids),
        states=look_up(states),
        weight=jnp.where(near, jnp.exp(-jnp.sum(offset**2, axis=-1) / TYPE_RADIUS**2), 0.0),
    )


def whole_map_loss(
    outputs: Float[Array, "b x y z 38"], targets: Targets, *, absolute: bool = False, auxiliary: bool = True
) -> tuple[Array, dict[str, Array]]:
    """Weighted sum of the heads' losses, and each of them.

    Probabilities: binary cross-entropy against the soft labels of equation 1, summed over all voxels and divided by the
    total Cα weight, so that emptiness around the protein does not dilute it (the paper's mean
    absolute error predicts the median, under which weak Cα evidence vanishes). Types: cross-entropy without class
    weights, which would break calibration. Offsets: distance in Å. Directions: 1 - cosine.
    For the ablation in docs/network.md: `absolute` takes the paper's mean absolute error for the probabilities; without
    `auxiliary` heads nothing but main chain, Cα and types is learnt.
    """
    heads = split_heads(outputs)
    total = jnp.maximum(targets.weight.sum(), 1.0)

    def mean(values: Array) -> Array:
        return jnp.sum(targets.weight * values) / total

    if absolute:
        atoms = jnp.abs(jax.nn.sigmoid(heads["atoms"]) - targets.atoms)
    else:
        atoms = optax.sigmoid_binary_cross_entropy(heads["atoms"], targets.atoms)
    amino_acids = optax.softmax_cross_entropy_with_integer_labels(
        heads["amino_acids"], jnp.minimum(targets.amino_acids, 19)
    )
    known = targets.amino_acids < 20
    states = optax.softmax_cross_entropy_with_integer_labels(heads["secondary_structure"], targets.states)
    offset = jnp.sqrt(jnp.sum((heads["offset"] - targets.offset) ** 2, axis=-1) + 1e-4)
    cosine = direction_cosines(heads["directions"], targets.directions)
    atom_weights = np.array(ATOM_WEIGHTS) * (1 if auxiliary else np.isin(ATOM_CHANNELS, ("main chain", "CA")))
    weighted = targets.known[..., None] * atoms * jnp.broadcast_to(jnp.asarray(atom_weights), atoms.shape)
    losses = {
        "atoms": jnp.sum(weighted) / (total * atom_weights.sum()),
        "amino_acids": mean(jnp.where(known, amino_acids, 0.0)),
        "secondary_structure": mean(states),
        "offset": mean(offset),
        "directions": mean(1 - cosine),
    }
    learnt = [name for name in losses if auxiliary or name not in ("offset", "directions")]
    return sum((WEIGHTS[name] * losses[name] for name in learnt), jnp.zeros(())), losses


def direction_cosines(predicted: Array, true: Array) -> Array:
    """Mean cosine of the two predicted directions with the true ones (unit vectors, or zero where there is none)."""
    pairs = predicted.reshape(*predicted.shape[:-1], 2, 3)
    unit = pairs / jnp.sqrt(jnp.sum(pairs**2, axis=-1, keepdims=True) + 1e-6)
    return jnp.mean(jnp.sum(unit * true.reshape(pairs.shape), axis=-1), axis=-1)


def type_accuracies(outputs: Float[Array, "b x y z 38"], targets: Targets) -> dict[str, Array]:
    """Share of right types among the voxels within 0.9 Å of a Cα: 20 types, 4 classes, 3 states."""
    heads = split_heads(outputs)
    near = targets.weight > jnp.exp(-((0.9 / TYPE_RADIUS) ** 2))
    classes = jnp.asarray(CLASS_OF_AMINO_ACID)
    one_hot = jax.nn.one_hot(classes[:20], 4)
    predicted_class = jnp.argmax(jax.nn.softmax(heads["amino_acids"]) @ one_hot, axis=-1)

    def share(right: Array) -> Array:
        return jnp.sum(near & right) / jnp.maximum(jnp.sum(near), 1)

    return {
        "accuracy_20": share(jnp.argmax(heads["amino_acids"], axis=-1) == targets.amino_acids),
        "accuracy_4": share(predicted_class == classes[targets.amino_acids]),
        "accuracy_ss": share(jnp.argmax(heads["secondary_structure"], axis=-1) == targets.states),
    }
