"""A map as a function of place: cubic B-splines through its values.

Their coefficients are one flat array whatever the shape of the map, so that compiled functions see few sizes.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy.ndimage import spline_filter

from deepmm_jax.allatom.splines import spline_taps
from deepmm_jax.density.map import DensityMap


class SplinedMap(NamedTuple):
    """Coefficients on a grid of `shape`, flat and padded to a power of two; the grid's first point and step in Å."""

    coefficients: Float[Array, "v"]
    shape: Int[Array, "3"]
    origin: Float[Array, "3"]
    step: Float[Array, "3"]


def splined_map(density: DensityMap, positions: Float[np.ndarray, "n 3"], margin: float) -> SplinedMap:
    """The part of a map up to `margin` Å around positions (Å); beyond the map its edge values count."""
    low = np.floor(density.to_grid(positions.min(axis=0) - margin)).astype(int)
    high = np.ceil(density.to_grid(positions.max(axis=0) + margin)).astype(int)
    rows = [np.clip(np.arange(a, b + 1), 0, size - 1) for a, b, size in zip(low, high, density.shape)]
    part = spline_filter(density.data[np.ix_(*rows)].astype(np.float64))
    flat = np.zeros(1 << (part.size - 1).bit_length(), np.float32)
    flat[: part.size] = part.ravel()
    return SplinedMap(
        jnp.asarray(flat),
        jnp.asarray(part.shape, jnp.int32),
        jnp.asarray(density.to_xyz(low), jnp.float32),
        jnp.asarray(density.step, jnp.float32),
    )


def map_values(density: SplinedMap, positions: Float[Array, "*s 3"]) -> Float[Array, "*s"]:
    """The map at positions (Å)."""
    place = (positions.reshape(-1, 3) - density.origin[None]) / density.step[None]
    rows, weights = spline_taps(jnp.clip(place, 1, density.shape[None] - 2.001))
    x, y, z = rows[:, 0, :, None, None], rows[:, 1, None, :, None], rows[:, 2, None, None, :]
    values = density.coefficients[(x * density.shape[1] + y) * density.shape[2] + z]
    taken = jnp.einsum("nxyz,nx,ny,nz->n", values, weights[:, 0], weights[:, 1], weights[:, 2])
    return taken.reshape(positions.shape[:-1])


def standardised(density: SplinedMap, positions: Float[Array, "*s 3"], counted: Bool[Array, "*s"]) -> SplinedMap:
    """The map less its mean at the positions that count, over its standard deviation there."""
    values = map_values(density, positions)
    n = jnp.maximum(counted.sum(), 1)
    mean = jnp.where(counted, values, 0).sum() / n
    deviation = jnp.sqrt(jnp.where(counted, jnp.square(values - mean), 0).sum() / n)
    return density._replace(coefficients=(density.coefficients - mean) / (deviation + 1e-9))
