"""The distance d of equation 3: the diameter of the path segment between two points; section 2.4.

The paper calls d "the distance between LDP L_j and the last aligned LDP". It is the largest pairwise distance
among all points of the path from one to the other, both included: it never shrinks along the path, so
residues cannot jump across a loop whose ends meet.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int


def segment_diameters(positions: Float[Array, "m 3"], band: int) -> Float[Array, "{band} m"]:
    """Diameters in Å of the segments that end at each point: entry [k - 1, j] spans the points j - k ... j.

    `positions` in Å in path order. Segments that would begin before the path are cut at its first point. Every
    pair in j - k ... j except the two ends lies in j - k ... j - 1 or in j - k + 1 ... j, hence O(m band) in all.
    """
    padded = jnp.concatenate([jnp.broadcast_to(positions[0], (band, 3)), positions]).T
    points = positions.T
    m = positions.shape[0]

    def lengthen(shorter: Array, k: Array) -> tuple[Array, Array]:
        start = lax.dynamic_slice_in_dim(padded, band - k, m, axis=1)
        ends = jnp.sum((points - start) ** 2, axis=0)
        without_last = jnp.concatenate([shorter[:1], shorter[:-1]])
        squared = jnp.maximum(jnp.maximum(without_last, shorter), ends)
        return squared, squared

    _, squared = lax.scan(lengthen, jnp.zeros(m, positions.dtype), jnp.arange(1, band + 1))
    return jnp.sqrt(jnp.maximum(squared, 1e-12))  # keeps the gradient finite where points coincide


def aligned_distances(points: Int[Array, "n"], diameters: Float[Array, "band m"]) -> Float[Array, "n"]:
    """d in Å between each built residue and the residue before it; NaN where either of them is unbuilt.

    `points` holds the path index of each residue (-1 unbuilt), `diameters` comes from `segment_diameters`.
    """
    previous = jnp.concatenate([jnp.full(1, -1, points.dtype), points[:-1]])
    bonded = (points >= 0) & (previous >= 0)
    return jnp.where(bonded, diameters[points - previous - 1, points], jnp.nan)
