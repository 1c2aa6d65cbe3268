"""DenseNets A and B of the paper: a box of density to probabilities, or to types (section 2.2, figure 1b, Table S1).

A sees 11³ voxels around a voxel and says main-chain and Cα probability there; B sees 10³ voxels around a point of the
main chain and says its residue class and secondary structure. Neither has a sigmoid or softmax at its end.
"""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jax import Array
from jaxtyping import Float, Key

from deepmm_jax.errors import ConfigError
from deepmm_jax.networks.checkpoints import load_checkpoint, read_sizes, save_checkpoint
from deepmm_jax.networks.conv3d import conv3d
from deepmm_jax.networks.densenet import (
    Tree,
    block_weights,
    dense_block,
    end_weights,
    fresh_moments,
    head_end,
    kernel,
    transition,
    transition_weights,
)


BoxKind = Literal["box-a", "box-b"]

OUTPUTS = {
    "box-a": {"main_chain": 1, "calpha": 1},
    "box-b": {"residue_class": 4, "secondary_structure": 3},
}
"""Heads of either network and their outputs; classes and states as in `constants`."""
SIDES = {"box-a": 11, "box-b": 10}
"""Voxels along a box."""
SHARED_BLOCKS = {"box-a": 2, "box-b": 1}
"""Dense blocks, each with a transition, that both heads share; each head has two more."""


@dataclass(frozen=True, kw_only=True)
class BoxConfig:
    """Sizes of a box network; the defaults are the paper's."""

    stem: int = 32
    """Channels of the first convolution, 5³."""
    layers: int = 8
    """Dense layers a block."""
    growth: int = 12
    """Channels that a layer adds."""
    bottleneck: int = 4
    """Channels between the convolutions of a layer, in units of `growth`."""
    dropout: float = 0.2
    """Share of new channels' values dropped in training."""

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout:g} and must be 0 or more and below 1")

    def as_dict(self) -> dict[str, int | float]:
        """Plain dict for card.json."""
        return asdict(self)


class BoxNetwork(NamedTuple):
    """A box network as it is used: `weights` are trained, `moments` are running statistics of its BatchNorms."""

    kind: BoxKind
    config: BoxConfig
    weights: Tree
    moments: Tree


def initial_weights(kind: BoxKind, config: BoxConfig, seed: int = 0) -> Tree:
    """Fresh weights as a nested dict of arrays."""
    rng = np.random.default_rng(seed)
    sizes = {"layers": config.layers, "growth": config.growth, "bottleneck": config.bottleneck}
    added = config.layers * config.growth

    def block(channels: int) -> Tree:
        """A dense block and the transition after it."""
        return {
            "block": block_weights(rng, channels, **sizes),
            "transition": transition_weights(rng, channels + added),
        }

    weights: Tree = {"stem": kernel(rng, (5, 5, 5, 1, config.stem)), "shared": {}, "heads": {}}
    channels = config.stem
    for number in range(SHARED_BLOCKS[kind]):
        weights["shared"][f"block_{number + 1}"] = block(channels)
        channels = (channels + added) // 2
    pooled = (channels + added) // 2
    for head, outputs in OUTPUTS[kind].items():
        weights["heads"][head] = block(channels) | {
            "last": block_weights(rng, pooled, **sizes),
            "end": end_weights(rng, pooled + added, outputs),
        }
    return weights


def parameter_shapes(kind: BoxKind, config: BoxConfig) -> dict[str, Tree]:
    """Shapes of what a checkpoint holds, `weights` and `moments`, without computing any."""

    def fresh() -> dict[str, Tree]:
        weights = initial_weights(kind, config)
        return {"weights": weights, "moments": fresh_moments(weights)}

    return jax.eval_shape(fresh)


def apply_box_network(
    config: BoxConfig,
    weights: Tree,
    boxes: Float[Array, "b n n n"],
    running: Tree | None = None,
    key: Key[Array, ""] | None = None,
) -> tuple[dict[str, Float[Array, "b _"]], Tree]:
    """Outputs of every head for normalised boxes, and the moments that its BatchNorms used.

    With `running` moments this is inference; without, training on the moments of the batch, with dropout if there is a
    `key`. Pure; jit it where it is used.
    """

    def dense(part: Tree, x: Array, name: str, moments: Tree | None, number: int) -> tuple[Array, Tree]:
        """A dense block with a key of its own."""
        dice = None if key is None else jax.random.fold_in(key, number)
        inner = None if moments is None else moments[name]
        return dense_block(part[name], x, inner, dropout=config.dropout, key=dice)

    used: Tree = {"shared": {}, "heads": {}}
    x = conv3d(boxes[..., None], weights["stem"], (1, 1, 1), "SAME")
    for number in range(len(weights["shared"])):
        name = f"block_{number + 1}"
        part, given = weights["shared"][name], None if running is None else running["shared"][name]
        x, first = dense(part, x, "block", given, number)
        x, second = transition(part["transition"], x, None if given is None else given["transition"])
        used["shared"][name] = {"block": first, "transition": second}
    outputs = {}
    for number, (name, part) in enumerate(weights["heads"].items()):
        given = None if running is None else running["heads"][name]
        y, first = dense(part, x, "block", given, 10 + 2 * number)
        y, second = transition(part["transition"], y, None if given is None else given["transition"], pool=True)
        y, third = dense(part, y, "last", given, 11 + 2 * number)
        outputs[name], fourth = head_end(part["end"], y, None if given is None else given["end"])
        used["heads"][name] = {"block": first, "transition": second, "last": third, "end": fourth}
    return outputs, used


@partial(jax.jit, static_argnames="config")
def box_outputs(
    config: BoxConfig, weights: Tree, running: Tree, boxes: Float[Array, "b n n n"]
) -> dict[str, Float[Array, "b _"]]:
    """Outputs of every head at inference."""
    return apply_box_network(config, weights, boxes, running)[0]


def save_box_network(directory: Path, network: BoxNetwork, facts: dict[str, Any]) -> dict[str, Any]:
    """Write a checkpoint, weights and moments as float16; its card, which says what it is and then `facts`."""
    card = {"kind": network.kind, "network": network.config.as_dict()} | facts
    save_checkpoint(directory, {"weights": network.weights, "moments": network.moments}, card)
    return card


def load_box_network(checkpoint: str | Path, kind: BoxKind) -> BoxNetwork:
    """A box network by shipped name or folder. Raises CheckpointError, also for a network of another kind."""
    config = read_sizes(checkpoint, kind, BoxConfig(), f"a folder made by `deepmm-jax train {kind}`")
    stored, _ = load_checkpoint(checkpoint, parameter_shapes(kind, config))
    return BoxNetwork(kind, config, stored["weights"], stored["moments"])
