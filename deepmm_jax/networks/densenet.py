"""Parts of a three-dimensional DenseNet: dense layers and blocks, transitions, ends of heads (section 2.2, Table S1).

Pure functions of weights and moments, nested dicts of arrays. Where `running` moments are given, BatchNorm uses them
(inference); without, those of the batch (training). Either way the moments that were used are returned, in one
structure with `running`, so that a caller can update its own.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Key

from deepmm_jax.networks.conv3d import conv3d


EPSILON = 1e-5
"""Added to a variance before it divides."""
TRUNCATED = 0.87962566
"""Standard deviation of a normal distribution cut off at two of its own, as that of fresh weights is."""

Tree = dict[str, Any]


def moments(x: Float[Array, "b x y z c"]) -> Tree:
    """Mean and variance of every channel over batch and voxels."""
    mean = _sums(x) / (x.size // x.shape[-1])
    return {"mean": mean, "variance": _sums(jnp.square(x - mean[None, None, None, None])) / (x.size // x.shape[-1])}


def normalise(weights: Tree, used: Tree, x: Float[Array, "b x y z c"]) -> Float[Array, "b x y z c"]:
    """BatchNorm with the moments `used`, then ReLU."""
    scale = weights["scale"] * jax.lax.rsqrt(used["variance"] + EPSILON)
    return _scaled_relu(x, scale, weights["bias"] - used["mean"] * scale)


@jax.custom_vjp
def _scaled_relu(
    x: Float[Array, "b x y z c"], scale: Float[Array, "c"], shift: Float[Array, "c"]
) -> Float[Array, "b x y z c"]:
    return jax.nn.relu(x * scale[None, None, None, None] + shift[None, None, None, None])


def _scaled_relu_forward(x: Array, scale: Array, shift: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    return _scaled_relu(x, scale, shift), (x, scale, shift)


def _scaled_relu_backward(kept: tuple[Array, Array, Array], change: Array) -> tuple[Array, Array, Array]:
    x, scale, shift = kept
    change = jnp.where(_scaled_relu(x, scale, shift) > 0, change, 0.0)
    return change * scale[None, None, None, None], _sums(change * x), _sums(change)


_scaled_relu.defvjp(_scaled_relu_forward, _scaled_relu_backward)


def _sums(x: Float[Array, "b x y z c"]) -> Float[Array, "c"]:
    """Sum of every channel over batch and voxels."""
    # As a product with ones: on CPUs XLA fuses what makes `x` into a plain sum, which then takes twenty times as long.
    rows = x.reshape(-1, x.shape[-1])
    return (jnp.ones((1, len(rows)), x.dtype) @ rows)[0]


def dense_block(
    weights: Tree,
    x: Float[Array, "b x y z c"],
    running: Tree | None = None,
    *,
    dropout: float = 0.0,
    key: Key[Array, ""] | None = None,
) -> tuple[Float[Array, "b x y z d"], Tree]:
    """Layers that each see all channels before them and add `growth` new ones; the moments used.

    A layer is BatchNorm, ReLU, 1³ convolution, BatchNorm, ReLU, 3³ convolution; with a `key` its new channels are
    dropped at the rate `dropout`.
    """
    used: Tree = {}
    # A channel's moments in the batch are the same for every layer that sees it, so each is measured once.
    seen: Tree = moments(x) if running is None else {}
    for name, layer, dice in _layers(weights, key):
        first = seen if running is None else running[name]["norm_1"]
        narrow = normalise(layer["norm_1"], first, x) @ layer["reduce"]
        second = moments(narrow) if running is None else running[name]["norm_2"]
        new = conv3d(normalise(layer["norm_2"], second, narrow), layer["grow"], (1, 1, 1), "SAME")
        if dice is not None:
            new = drop(new, dropout, dice)
        used[name] = {"norm_1": first, "norm_2": second}
        x = jnp.concatenate([x, new], axis=-1)
        if running is None:
            seen = jax.tree.map(lambda old, added: jnp.concatenate([old, added]), seen, moments(new))
    return x, used


def drop(x: Array, rate: float, key: Key[Array, ""]) -> Array:
    """Dropout: values vanish at a rate, and the others grow so that the mean stays."""
    # A hash of the value's number (the finaliser of MurmurHash3): JAX's generators take a third of a training step.
    bits = jax.lax.iota(jnp.uint32, x.size).reshape(x.shape) * jnp.uint32(0x9E3779B9) + jax.random.bits(key)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        bits = (bits ^ (bits >> shift)) * jnp.uint32(factor)
    kept = bits ^ (bits >> 16) >= jnp.uint32(round(rate * 2**32))
    return jnp.where(kept, x / (1 - rate), 0.0)


def transition(
    weights: Tree, x: Float[Array, "b x y z c"], running: Tree | None = None, *, pool: bool = False
) -> tuple[Float[Array, "b i j k d"], Tree]:
    """BatchNorm, ReLU and a 1³ convolution to fewer channels, with `pool` at half the side; the moments used."""
    used = {"norm": moments(x)} if running is None else running
    x = normalise(weights["norm"], used["norm"], x)
    # The mean of eight voxels and a 1³ convolution commute, and this order costs an eighth.
    return (halve(x) if pool else x) @ weights["reduce"], used


def halve(x: Float[Array, "b x y z c"]) -> Float[Array, "b i j k c"]:
    """Means of 2³ voxels; the last voxel of an odd side is left out."""
    batch, *sides, channels = x.shape
    i, j, k = (side // 2 for side in sides)
    pairs = x[:, : 2 * i, : 2 * j, : 2 * k].reshape(batch, i, 2, j, 2, k, 2, channels)
    return pairs.mean((2, 4, 6))


def head_end(
    weights: Tree, x: Float[Array, "b x y z c"], running: Tree | None = None
) -> tuple[Float[Array, "b n"], Tree]:
    """BatchNorm, ReLU, mean over the voxels and a linear layer; the moments used."""
    used = {"norm": moments(x)} if running is None else running
    pooled = normalise(weights["norm"], used["norm"], x).mean((1, 2, 3))
    return pooled @ weights["kernel"] + weights["bias"][None], used


def block_weights(rng: np.random.Generator, channels: int, *, layers: int, growth: int, bottleneck: int) -> Tree:
    """Fresh weights of a dense block that sees `channels` channels; 1³ convolutions give `bottleneck` × `growth`."""
    width, block = bottleneck * growth, {}
    for number in range(layers):
        seen = channels + number * growth
        block[f"layer_{number + 1}"] = {
            "norm_1": norm_weights(seen),
            "reduce": kernel(rng, (seen, width)),
            "norm_2": norm_weights(width),
            "grow": kernel(rng, (3, 3, 3, width, growth)),
        }
    return block


def transition_weights(rng: np.random.Generator, channels: int) -> Tree:
    """Fresh weights of a transition to half the channels."""
    return {"norm": norm_weights(channels), "reduce": kernel(rng, (channels, channels // 2))}


def end_weights(rng: np.random.Generator, channels: int, outputs: int) -> Tree:
    """Fresh weights of a head's end."""
    bound = channels**-0.5
    return {
        "norm": norm_weights(channels),
        "kernel": jnp.asarray(rng.uniform(-bound, bound, (channels, outputs)), jnp.float32),
        "bias": jnp.zeros(outputs),
    }


def norm_weights(channels: int) -> Tree:
    """Fresh weights of a BatchNorm."""
    return {"scale": jnp.ones(channels), "bias": jnp.zeros(channels)}


def kernel(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Fresh weights of a convolution, its outputs last (He et al. 2015). By NumPy: JAX would compile every shape."""
    from scipy.stats import truncnorm  # half a second to load, for which a refusal of bad input should not wait

    spread = np.sqrt(2.0 / np.prod(shape[:-1])) / TRUNCATED
    return jnp.asarray(spread * truncnorm.rvs(-2, 2, size=shape, random_state=rng), jnp.float32)


def fresh_moments(weights: Tree) -> Tree:
    """Running moments of every BatchNorm among some weights before the first batch: mean 0, variance 1."""
    out: Tree = {}
    for name, part in weights.items():
        if isinstance(part, dict) and "scale" in part:
            out[name] = {"mean": jnp.zeros_like(part["scale"]), "variance": jnp.ones_like(part["scale"])}
        elif isinstance(part, dict) and (inner := fresh_moments(part)):
            out[name] = inner
    return out


def _layers(weights: Tree, key: Key[Array, ""] | None) -> Iterator[tuple[str, Tree, Key[Array, ""] | None]]:
    """Name and weights of every layer in their order, and its own key."""
    for number in range(len(weights)):
        name = f"layer_{number + 1}"
        yield name, weights[name], None if key is None else jax.random.fold_in(key, number)
