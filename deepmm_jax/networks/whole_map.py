"""The whole-map network: one fully convolutional pass labels every voxel (the default in place of DenseNets A and B).

Most arithmetic happens at 2 Å: a space-to-depth stem, residual blocks at 2 Å around a few at 4 Å, and
heads that return to 1 Å by pixel shuffle. The other forms that a configuration can ask for are those of the
ablation in docs/network.md.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Float

from deepmm_jax.density.amplitudes import TAPER, standard_amplitudes
from deepmm_jax.errors import ConfigError
from deepmm_jax.networks.conv3d import conv3d


ATOM_CHANNELS = ("main chain", "N", "CA", "C", "O", "CB")
"""Order of the probability head (equation 1 for each kind of atom)."""

HEADS = {"atoms": 6, "offset": 3, "directions": 6, "amino_acids": 20, "secondary_structure": 3}
"""Channels of each head, in the order in which they leave the network."""

STRIDE = 4
"""The coarsest voxel, Å: map sides and tile offsets are multiples of it."""


@dataclass(frozen=True, kw_only=True)
class WholeMapConfig:
    """Form and sizes of the whole-map network."""

    inputs: Literal["density", "standard", "both"] = "density"
    """The scaled density, that with standard radial amplitudes, or both."""
    fine_voxel: Literal[1, 2] = 2
    """Å; the coarse blocks work at twice this."""
    block: Literal["residual", "dense"] = "residual"
    width: int = 64
    """Channels at the fine voxel."""
    coarse_width: int = 96
    """Channels at the coarse voxel."""
    fine_blocks: int = 2
    """Blocks at the fine voxel before, and again after, the coarse ones."""
    coarse_blocks: int = 3
    """Blocks at the coarse voxel."""
    head_width: int = 128
    """Channels of the layer that all heads share."""

    def __post_init__(self) -> None:
        if self.block == "dense" and min(self.width, self.coarse_width) < 3:
            raise ConfigError("width and coarse_width of dense blocks must be at least 3")

    def as_dict(self) -> dict[str, int | str]:
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


class DenseBlock(nnx.Module):
    """Four layers (1³ to twice the growth, then 3³ to the growth of a third of the width) that see all before them."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        growth, layers = width // 3, range(4)
        seen = [width + i * growth for i in (*layers, 4)]
        self.norms = nnx.List([nnx.LayerNorm(seen[i], rngs=rngs) for i in layers])
        self.narrow = nnx.List([nnx.Linear(seen[i], 2 * growth, rngs=rngs) for i in layers])
        self.grow = nnx.List(
            [nnx.Conv(2 * growth, growth, (3, 3, 3), conv_general_dilated=conv3d, rngs=rngs) for _ in layers]
        )
        self.out = nnx.Linear(seen[4], width, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        for norm, narrow, grow in zip(self.norms, self.narrow, self.grow, strict=True):
            x = jnp.concatenate([x, grow(nnx.relu(narrow(nnx.relu(norm(x)))))], axis=-1)
        return self.out(x)


BLOCKS = {"residual": ResidualBlock, "dense": DenseBlock}


INPUTS = {"density": slice(0, 1), "standard": slice(1, 2), "both": slice(0, 2)}
"""Channels of `network_input` that a network looks at."""


def network_input(density: Float[np.ndarray, "nx ny nz"]) -> Float[np.ndarray, "nx ny nz 2"]:
    """A scaled map with 1 Å voxels, and the same with standard radial amplitudes (`standard_amplitudes`).

    In the second one the outermost `TAPER` voxels are faded out: a margin that no network should be shown.
    """
    return np.stack([density, standard_amplitudes(density, TAPER)], axis=-1, dtype=np.float32)


class WholeMapNetwork(nnx.Module):
    """`network_input` (batch, x, y, z, 2) to raw head outputs (batch, x, y, z, 38); sides divide by 4."""

    def __init__(self, config: WholeMapConfig, *, rngs: nnx.Rngs):
        width, coarse, block = config.width, config.coarse_width, BLOCKS[config.block]
        self.cells = config.fine_voxel**3
        self.channels = INPUTS[config.inputs]

        def pointwise(n_in: int, n_out: int, **init: Any) -> nnx.Linear:
            return nnx.Linear(n_in, n_out, rngs=rngs, **init)

        n_in = self.cells * (self.channels.stop - self.channels.start)
        self.stem = nnx.Conv(n_in, width, (3, 3, 3), conv_general_dilated=conv3d, rngs=rngs)
        self.fine_before = nnx.List([block(width, rngs=rngs) for _ in range(config.fine_blocks)])
        self.down = pointwise(8 * width, coarse)
        self.coarse = nnx.List([block(coarse, rngs=rngs) for _ in range(config.coarse_blocks)])
        self.up = pointwise(coarse, 8 * width)
        self.fine_after = nnx.List([block(width, rngs=rngs) for _ in range(config.fine_blocks)])
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.shared = pointwise(width, config.head_width)
        self.heads = pointwise(config.head_width, self.cells * sum(HEADS.values()), bias_init=_prior_bias)

    def __call__(self, density: Array) -> Array:
        x = density[..., self.channels]
        x = self.stem(x if self.cells == 1 else _space_to_depth(x))
        for block in self.fine_before:
            x = block(x)
        y = self.down(_space_to_depth(x))
        for block in self.coarse:
            y = block(y)
        x = x + _depth_to_space(self.up(y))
        for block in self.fine_after:
            x = block(x)
        outputs = self.heads(nnx.relu(self.shared(self.norm(x))))
        return outputs if self.cells == 1 else _depth_to_space(outputs)


def _prior_bias(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32, **_: Any) -> Array:
    """Atom heads start at the share of such voxels in a map, so that the first steps are not spent on emptiness."""
    prior = np.zeros(sum(HEADS.values()), np.float32)
    prior[: HEADS["atoms"]] = np.log(np.array([0.05, 0.02, 0.02, 0.02, 0.02, 0.02]))
    return jnp.asarray(np.tile(prior, shape[0] // len(prior)), dtype)


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
    config: WholeMapConfig, parameters: dict[str, Any], density: Float[Array, "b x y z 2"]
) -> Float[Array, "b x y z 38"]:
    """Raw outputs of all heads: logits, offsets in Å, unnormalised directions. Pure; jit it where it is used."""
    graph, state = nnx.split(nnx.eval_shape(lambda: WholeMapNetwork(config, rngs=nnx.Rngs(0))))
    nnx.replace_by_pure_dict(state, parameters)
    return nnx.merge(graph, state)(density)


def split_heads(outputs: Array) -> dict[str, Array]:
    """Raw outputs by head: a dict of arrays (..., channels) with the keys of `HEADS`."""
    ends = np.cumsum(list(HEADS.values()))
    return dict(zip(HEADS, jnp.split(outputs, ends[:-1], axis=-1), strict=True))
