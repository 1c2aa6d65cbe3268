"""Cubic B-splines: values on a grid as a function with continuous second derivatives, a little smoother than they."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def spline_taps(place: Float[Array, "*n"]) -> tuple[Int[Array, "*n 4"], Float[Array, "*n 4"]]:
    """The four grid points around a place on an axis, and their weights."""
    low = jnp.floor(place)
    t, s = place - low, 1 - (place - low)
    weights = jnp.stack([s**3, 4 - 6 * t**2 + 3 * t**3, 4 - 6 * s**2 + 3 * s**3, t**3], axis=-1) / 6
    first = low.astype(jnp.int32)
    return jnp.stack([first - 1, first, first + 1, first + 2], axis=-1), weights
