"""The authors' recurrence for equation 3 (parity mode); section 2.4.

F(i, j) is the best of a match, F(i-1, j-1) + site(i, j) - w_i |d - d_std|; an unbuilt residue, F(i-1, j) - 10000;
and an unused point, F(i, j-1). F(0, j) = 0: unused points are free everywhere. d is measured from the last point
aligned on the best path into (i-1, j-1), one path per cell, so the optimum of the distance term can be missed
(`exact` does not miss it). The first aligned residue has no distance term. Ties prefer the match, then the
unbuilt residue. Rows depend only on the row before, and free unused points make a row a running maximum.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int


GAP = -10000.0
"""Score of an unbuilt residue, which "forbids skipped residues" (section 2.4)."""


class Row(NamedTuple):
    """One row of the dynamic-programming matrix; column c stands before point c, column 0 before the path."""

    score: Float[Array, "columns"]
    last_point: Int[Array, "columns"]


def align_greedy(
    sites: Float[Array, "n m"],
    diameters: Float[Array, "m m"],
    weights: Float[Array, "n"],
    standard_distance: Float[Array, ""],
    n_residues: Int[Array, ""],
    n_points: Int[Array, ""],
) -> tuple[Float[Array, ""], Int[Array, "n"]]:
    """Align residues to the points of a path as the published program does.

    `sites` are the scores M + w_Cα P_Cα, `diameters` the full `segment_diameters(positions, m)`, `weights` w_Cα–Cα
    by residue, `standard_distance` d_std in Å; residues from `n_residues` and points from `n_points` on are padding.
    Returns F(n, m) and the point of each residue (-1: none, which cost `GAP`).
    """
    n, m = sites.shape
    columns = jnp.arange(m + 1)

    def next_row(row: Row, residue: tuple[Array, Array, Array]) -> tuple[Row, tuple[Array, Array]]:
        site, weight, real = residue
        last = row.last_point[:-1]
        span = diameters[jnp.maximum(columns[:-1] - last - 1, 0), columns[:-1]]
        penalty = jnp.where(last >= 0, weight * jnp.abs(span - standard_distance), 0.0)
        match = jnp.concatenate([jnp.full(1, -jnp.inf), row.score[:-1] + site - penalty])
        unbuilt = row.score + GAP
        matched = match >= unbuilt
        entered = jnp.maximum(match, unbuilt)
        score = lax.cummax(entered)
        # Where each cell's best path last moved otherwise than by leaving a point unused.
        origin = lax.cummax(jnp.where(entered >= score, columns, 0))
        last_point = jnp.where(matched[origin], origin - 1, row.last_point[origin])
        following = Row(jnp.where(real, score, row.score), jnp.where(real, last_point, row.last_point))
        return following, (origin, matched)

    real = jnp.arange(n) < n_residues
    before = Row(jnp.zeros(m + 1, sites.dtype), jnp.full(m + 1, -1))
    final, (origins, matches) = lax.scan(next_row, before, (sites, weights, real))

    def previous_residue(column: Array, row: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        origin, matched, real = row
        entered = origin[column]
        built = real & matched[entered]
        column = jnp.where(real, entered - built, column)
        return column, jnp.where(built, column, -1)

    _, points = lax.scan(previous_residue, n_points, (origins, matches, real), reverse=True)
    return final.score[n_points], points
