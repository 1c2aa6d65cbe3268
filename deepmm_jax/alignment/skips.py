"""Residues without density inside the chain: where a path may go on after a gap; goes past section 2.4.

Of two residues with k unbuilt ones between them the Cα atoms are at most 3.8 (k + 1) Å apart, in a straight line: a
loop without density may have no points at all, or a detour of the path may take its place.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


CALPHA_BOND = 3.8
"""Å between the Cα atoms of neighbouring residues."""
CLOSEST_CALPHA = 3.0
"""Å; the Cα atoms of other residues are no nearer (3.3 less what the points are off)."""
LONGEST_LEAP = 24
"""A leap needs at most so many unbuilt residues (95 Å); it may leave out any number."""
POINTS_LEAPT = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 24, 28, 33, 40, 48, 57, 68, 80, 96)
"""Points from the residue before a gap to the one after it. Beyond two residues' worth of points they grow by a fifth:
the time goes with their number, and a point more or less is 0.8 Å."""
FORBIDDEN = -1e30
"""Score of what cannot be."""


class Leaps(NamedTuple):
    """Ways across a gap: column o comes from the point `points[o]` before the one where it lands."""

    points: Int[Array, "o"]
    residues: Int[Array, "m o"]
    """Fewest residues that must stay unbuilt to get so far, 1 to LONGEST_LEAP."""
    score: Float[Array, "m o"]
    """What these fewest cost (at most 0; FORBIDDEN where there is no way)."""
    extend: Float[Array, ""]
    """Score of every unbuilt residue more."""


def path_leaps(positions: Float[Array, "m 3"], skip_open: Float[Array, ""], skip_extend: Float[Array, ""]) -> Leaps:
    """Leaps along a path, `positions` in Å in path order: k unbuilt residues score `skip_open` + k `skip_extend`."""
    points = jnp.array(POINTS_LEAPT, jnp.int32)
    start = jnp.arange(len(positions))[:, None] - points[None]
    distance = jnp.linalg.norm(positions[:, None] - positions[jnp.maximum(start, 0)], axis=-1)
    fewest = jnp.maximum(jnp.ceil(distance / CALPHA_BOND).astype(jnp.int32) - 1, 1)
    possible = (start >= 0) & (distance >= CLOSEST_CALPHA) & (fewest <= LONGEST_LEAP)
    residues = jnp.minimum(fewest, LONGEST_LEAP)
    score = jnp.where(possible, skip_open + skip_extend * residues, FORBIDDEN)
    return Leaps(points, residues, score, skip_extend)
