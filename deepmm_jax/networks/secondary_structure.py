"""Secondary structure from the sequence alone: a dilated residual convolution; it stands in for SPIDER2 (section 2.4).

Deviation from the paper: SPIDER2 reads a PSI-BLAST profile (82 % of residues right by its authors); this network
sees one sequence and is some ten points worse. A profile-based prediction can be handed in instead
(`deepmm_jax.sequence.predictions`). The states enter equation 2 through M_SS and the choice of w_Cα–Cα.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from deepmm_jax.constants import SECONDARY_STRUCTURES
from deepmm_jax.errors import CheckpointError
from deepmm_jax.networks.checkpoints import load_checkpoint, read_card
from deepmm_jax.sequence.profile import encode_letters


Parameters = Mapping[str, Any]
"""Nested dict of arrays, as Orbax stores it."""

PADDING = 21
"""Row of the embedding for positions behind the end of a chain (0–20 are amino acids and X)."""

EIGHT_STATES = "HGIEBTSC"
"""States of DSSP in the order of the auxiliary head."""


@dataclass(frozen=True, kw_only=True)
class SecondaryStructureConfig:
    """Sizes of the network; the defaults have 432 thousand weights and see 135 residues to either side."""

    embedding: int = 24
    width: int = 96
    stem: int = 15
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 1)
    head: int = 64
    dropout: float = 0.15


class ResidualBlock(nnx.Module):
    """LayerNorm, dilated convolution, GELU, pointwise convolution, added to the input."""

    def __init__(self, config: SecondaryStructureConfig, dilation: int, *, rngs: nnx.Rngs) -> None:
        width = config.width
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.wide = nnx.Conv(width, width, (config.kernel,), kernel_dilation=(dilation,), rngs=rngs)
        self.point = nnx.Linear(width, width, rngs=rngs)
        self.dropout = nnx.Dropout(config.dropout)

    def __call__(self, x: Array, mask: Array, rngs: nnx.Rngs | None) -> Array:
        """Add the block to `x`, (batch, length, width); `mask`, (batch, length, 1), is 0 behind the chain's end."""
        # Zeros behind the end are what a convolution's own border is made of: padding cannot be told from the end.
        y = self.point(nnx.gelu(self.wide(self.norm(x) * mask)))
        return x + (y if rngs is None else self.dropout(y, deterministic=False, rngs=rngs))


class SecondaryStructureNetwork(nnx.Module):
    """Letters in, logits of three and of eight states out."""

    def __init__(self, config: SecondaryStructureConfig, *, rngs: nnx.Rngs) -> None:
        self.embedding = nnx.Embed(PADDING + 1, config.embedding, rngs=rngs)
        self.stem = nnx.Conv(config.embedding, config.width, (config.stem,), rngs=rngs)
        for i, dilation in enumerate(config.dilations):
            setattr(self, f"block_{i}", ResidualBlock(config, dilation, rngs=rngs))
        self.norm = nnx.LayerNorm(config.width, rngs=rngs)
        self.head = nnx.Linear(config.width, config.head, rngs=rngs)
        self.three = nnx.Linear(config.head, len(SECONDARY_STRUCTURES), rngs=rngs)
        self.eight = nnx.Linear(config.head, len(EIGHT_STATES), rngs=rngs)
        self.depth = len(config.dilations)

    def __call__(self, letters: Array, rngs: nnx.Rngs | None = None) -> tuple[Array, Array]:
        """Logits (batch, length, 3) and (batch, length, 8); dropout is on where `rngs` are given."""
        mask = (letters != PADDING)[..., None].astype(jnp.float32)
        x = self.stem(self.embedding(letters) * mask)
        for i in range(self.depth):
            x = getattr(self, f"block_{i}")(x, mask, rngs)
        x = nnx.gelu(self.head(self.norm(x)))
        return self.three(x), self.eight(x)


def initial_parameters(config: SecondaryStructureConfig, *, seed: int = 0) -> dict[str, Any]:
    """Fresh weights as a nested dict of arrays."""
    return nnx.to_pure_dict(nnx.state(SecondaryStructureNetwork(config, rngs=nnx.Rngs(seed)), nnx.Param))


@cache
def _graph(config: SecondaryStructureConfig) -> tuple[Any, Any]:
    network = nnx.eval_shape(lambda: SecondaryStructureNetwork(config, rngs=nnx.Rngs(0)))
    return nnx.split(network)


def parameter_shapes(config: SecondaryStructureConfig) -> dict[str, Any]:
    """Nested dict of `jax.ShapeDtypeStruct`: what a checkpoint of this network must hold."""
    return nnx.to_pure_dict(_graph(config)[1])


def apply(
    parameters: Parameters,
    letters: Int[Array, "batch length"],
    *,
    config: SecondaryStructureConfig,
    key: Key[Array, ""] | None = None,
) -> tuple[Float[Array, "batch length 3"], Float[Array, "batch length 8"]]:
    """Logits of Helix, Sheet, Coil and of `EIGHT_STATES` per residue.

    `letters` holds indices into `AMINO_ACIDS`, 20 for X and `PADDING` behind the end of a chain;
    logits there mean nothing. With a `key`, dropout is on. Pure; trace it under `jax.jit`.
    """
    graph, state = _graph(config)
    state = jax.tree.map(lambda x: x, state)
    nnx.replace_by_pure_dict(state, dict(parameters))
    return nnx.merge(graph, state)(letters, None if key is None else nnx.Rngs(dropout=key))


def padded_length(length: int) -> int:
    """Length of the smallest bucket that holds a chain: 128, 256, 512, then multiples of 1,024."""
    return next((size for size in (128, 256, 512) if length <= size), -(-length // 1024) * 1024)


@partial(jax.jit, static_argnames="config")
def _probabilities(
    parameters: Parameters, letters: Int[Array, "batch length"], config: SecondaryStructureConfig
) -> Float[Array, "batch length 3"]:
    return jax.nn.softmax(apply(parameters, letters, config=config)[0])


def state_probabilities(
    parameters: Parameters,
    sequences: Sequence[str],
    *,
    config: SecondaryStructureConfig,
    batch_residues: int = 8192,
) -> list[Float[np.ndarray, "n 3"]]:
    """P(Helix, Sheet, Coil) of every residue of every sequence, each of shape (n, 3), in the order given.

    Chains of similar length share a batch of about `batch_residues`, so that few shapes are compiled.
    """
    buckets: dict[int, list[int]] = {}
    for i, sequence in enumerate(sequences):
        buckets.setdefault(padded_length(len(sequence)), []).append(i)
    result: list[np.ndarray] = [np.zeros((0, 3), np.float32)] * len(sequences)
    for size, members in buckets.items():
        rows = min(len(members), max(1, batch_residues // size))
        for start in range(0, len(members), rows):
            chosen = members[start : start + rows]
            letters = np.full((rows, size), PADDING, np.int32)
            for row, i in enumerate(chosen):
                letters[row, : len(sequences[i])] = encode_letters(sequences[i])
            p = np.asarray(_probabilities(parameters, jnp.asarray(letters), config))
            for row, i in enumerate(chosen):
                result[i] = p[row, : len(sequences[i])]
    return result


@cache
def load_secondary_structure(
    checkpoint: str | Path = "secondary-structure",
) -> tuple[Parameters, SecondaryStructureConfig]:
    """Weights and sizes of a trained network, shipped (by name) or in a folder. Raises CheckpointError."""
    sizes = read_card(checkpoint).get("network", {})
    try:
        config = SecondaryStructureConfig(**sizes | {"dilations": tuple(sizes["dilations"])})
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"checkpoint {str(checkpoint)!r} is not one of secondary structure ({error})") from error
    return load_checkpoint(checkpoint, parameter_shapes(config))[0], config


def predict_secondary_structure(
    letters: str, checkpoint: str | Path = "secondary-structure"
) -> Float[np.ndarray, "n 3"]:
    """P(Helix, Sheet, Coil) of every residue, shape (n, 3), from one-letter codes (X where unknown).

    About 72 % of residues are right on chains unlike those of the training; card.json has the figures.
    Raises CheckpointError.
    """
    parameters, config = load_secondary_structure(checkpoint)
    return state_probabilities(parameters, [letters], config=config)[0]
