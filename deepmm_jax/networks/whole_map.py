"""The whole-map network: one fully convolutional pass labels every voxel (the default in place of DenseNets A and B).

Most arithmetic happens at 2 Å: a space-to-depth stem, residual blocks at 2 Å around a few at 4 Å, and
heads that return to 1 Å by pixel shuffle.
"""

from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Float

from deepmm_jax.networks.conv3d import conv3d


ATOM_CHANNELS = ("main chain", "N", "CA", "C", "O", "CB")
"""Order of the probability head (equation 1 for each kind of atom)."""

HEADS = {"atoms": 6, "offset": 3, "directions": 6, "amino_acids": 20, "secondary_structure": 3}
"""Channels of each head, in the order in which they leave the network."""

STRIDE = 4
"""The coarsest voxel, Å: map sides and tile offsets are multiples of it."""


@dataclass(frozen=True, kw_only=True)
class WholeMapConfig:
    """Sizes of the whole-map network."""

    width: int = 64
    """Channels at 2 Å."""
    coarse_width: int = 96
    """Channels at 4 Å."""
    fine_blocks: int = 2
    """Residual blocks (two 3³ convolutions each) at 2 Å before, and again after, the coarse ones."""
    coarse_blocks: int = 3
    """Residual blocks at 4 Å."""
    head_width: int = 128
    """Channels of the layer that all heads share."""

    def as_dict(self) -> dict[str, int]:
        """Plain dict for card.json."""
        return asdict(self)


class ResidualBlock(nnx.Module):
    """LayerNorm over channels, 3³ convolution, ReLU, 3³ convolution, added to the input."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.first = nnx.Conv(width, width, (3, 3, 3), conv_general_dilated=conv3d, rngs=rngs)
        self.second = nnx.Conv(
            width, width, (3, 3, 3), kernel_init=nnx.initializers.zeros, conv_general_dilated=conv3d, rngs=rngs
        )

    def __call__(self, x: Array) -> Array:
        return x + self.second(nnx.relu(self.first(self.norm(x))))


class WholeMapNetwork(nnx.Module):
    """Density (batch, x, y, z) on a 1 Å grid to raw head outputs (batch, x, y, z, 38); sides divide by 4."""

    def __init__(self, config: WholeMapConfig, *, rngs: nnx.Rngs):
        width, coarse = config.width, config.coarse_width

        def pointwise(n_in: int, n_out: int, **init: Any) -> nnx.Linear:
            return nnx.Linear(n_in, n_out, rngs=rngs, **init)

        self.stem = nnx.Conv(8, width, (3, 3, 3), conv_general_dilated=conv3d, rngs=rngs)
        self.fine_before = nnx.List([ResidualBlock(width, rngs=rngs) for _ in range(config.fine_blocks)])
        self.down = pointwise(8 * width, coarse)
        self.coarse = nnx.List([ResidualBlock(coarse, rngs=rngs) for _ in range(config.coarse_blocks)])
        self.up = pointwise(coarse, 8 * width)
        self.fine_after = nnx.List([ResidualBlock(width, rngs=rngs) for _ in range(config.fine_blocks)])
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.shared = pointwise(width, config.head_width)
        self.heads = pointwise(config.head_width, 8 * sum(HEADS.values()), bias_init=_prior_bias)

    def __call__(self, density: Array) -> Array:
        x = self.stem(_space_to_depth(density[..., None]))
        for block in self.fine_before:
            x = block(x)
        y = self.down(_space_to_depth(x))
        for block in self.coarse:
            y = block(y)
        x = x + _depth_to_space(self.up(y))
        for block in self.fine_after:
            x = block(x)
        return _depth_to_space(self.heads(nnx.relu(self.shared(self.norm(x)))))


def _prior_bias(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32, **_: Any) -> Array:
    """Atom heads start at the share of such voxels in a map, so that the first steps are not spent on emptiness."""
    prior = np.zeros(sum(HEADS.values()), np.float32)
    prior[: HEADS["atoms"]] = np.log(np.array([0.05, 0.02, 0.02, 0.02, 0.02, 0.02]))
    return jnp.asarray(np.tile(prior, 8), dtype)


def _space_to_depth(x: Array) -> Array:
    b, nx, ny, nz, c = x.shape
    x = x.reshape(b, nx // 2, 2, ny // 2, 2, nz // 2, 2, c)
    return x.transpose(0, 1, 3, 5, 2, 4, 6, 7).reshape(b, nx // 2, ny // 2, nz // 2, 8 * c)


def _depth_to_space(x: Array) -> Array:
    b, nx, ny, nz, c = x.shape
    x = x.reshape(b, nx, ny, nz, 2, 2, 2, c // 8)
    return x.transpose(0, 1, 4, 2, 5, 3, 6, 7).reshape(b, 2 * nx, 2 * ny, 2 * nz, c // 8)


def initial_parameters(config: WholeMapConfig, seed: int = 0) -> dict[str, Any]:
    """Fresh weights as a nested dict of arrays."""
    _, state = nnx.split(WholeMapNetwork(config, rngs=nnx.Rngs(seed)))
    return nnx.to_pure_dict(state)


def parameter_shapes(config: WholeMapConfig) -> dict[str, Any]:
    """Shapes of the weights, without computing any."""
    return jax.eval_shape(lambda: initial_parameters(config))


def apply_network(
    config: WholeMapConfig, parameters: dict[str, Any], density: Float[Array, "b x y z"]
) -> Float[Array, "b x y z 38"]:
    """Raw outputs of all heads: logits, offsets in Å, unnormalised directions. Pure; jit it where it is used."""
    graph, state = nnx.split(nnx.eval_shape(lambda: WholeMapNetwork(config, rngs=nnx.Rngs(0))))
    nnx.replace_by_pure_dict(state, parameters)
    return nnx.merge(graph, state)(density)


def split_heads(outputs: Array) -> dict[str, Array]:
    """Raw outputs by head: a dict of arrays (..., channels) with the keys of `HEADS`."""
    ends = np.cumsum(list(HEADS.values()))
    return dict(zip(HEADS, jnp.split(outputs, ends[:-1], axis=-1), strict=True))
