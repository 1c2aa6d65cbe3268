"""Optimal alignment of the sequence to a main-chain path: equation 3 as a banded (max, +) chain; section 2.4.

G(i, j) = site(i, j) + max over j - band <= j' < j of G(i-1, j') - w_i |d(j', j) - d_std|, the best score that
puts residue i at point j. Goes past the paper, whose recurrence keeps one path per cell (`greedy`): here
every pair of points of successive residues competes, up to `band` points apart. Inner residues are never
skipped; residues at either end may stay unbuilt at `end_gap` each.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int


UNREACHABLE = -1e30
"""Score of what cannot be; totals below half of it mean that no alignment exists."""


def align_exact(
    sites: Float[Array, "n m"],
    diameters: Float[Array, "band m"],
    weights: Float[Array, "n"],
    standard_distance: Float[Array, ""],
    n_residues: Int[Array, ""],
    n_points: Int[Array, ""],
    *,
    end_gap: float | None,
) -> tuple[Float[Array, ""], Int[Array, "n"]]:
    """Best score and the point of each residue (-1: unbuilt).

    `sites` are the scores M + w_Cα P_Cα, `diameters` come from `segment_diameters(positions, band)`, `weights` are
    w_Cα–Cα by residue, `standard_distance` is d_std in Å; residues from `n_residues` and points from `n_points` on
    are padding. `end_gap` None forces every residue: if the path is too short, the
    score is below `UNREACHABLE` / 2 and all points are -1. At least one residue is always built.
    """
    n, m = sites.shape
    sites = jnp.where(jnp.arange(m) < n_points, sites, UNREACHABLE)
    residues = jnp.arange(n)
    after = n_residues - 1 - residues
    if end_gap is None:
        start = jnp.where(residues == 0, 0.0, UNREACHABLE)
        finish = jnp.where(after == 0, 0.0, UNREACHABLE)
    else:
        start = end_gap * residues
        finish = jnp.where(after >= 0, end_gap * after, UNREACHABLE)
    deviations = jnp.abs(diameters - standard_distance)
    scores = forward(sites, deviations, weights, start)
    totals = scores + finish[:, None]
    best = jnp.argmax(totals)
    points = trace_back(scores, deviations, weights, start, jnp.stack(jnp.unravel_index(best, totals.shape)))
    score = totals.ravel()[best]
    return score, jnp.where(score > UNREACHABLE / 2, points, -1)


def forward(
    sites: Float[Array, "n m"],
    deviations: Float[Array, "band m"],
    weights: Float[Array, "n"],
    start: Float[Array, "n"],
) -> Float[Array, "n m"]:
    """G(i, j); `deviations` are |d - d_std| and `start` the score of making residue i the first one built."""
    band, m = deviations.shape
    before = jnp.full(band, UNREACHABLE, sites.dtype)

    def next_residue(previous: Array, residue: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        site, weight, begin = residue
        padded = jnp.concatenate([before, previous])

        def one_offset(k: Array, best: Array) -> Array:
            moved = lax.dynamic_slice_in_dim(padded, band - 1 - k, m)
            return jnp.maximum(best, moved - weight * deviations[k])

        score = site + lax.fori_loop(0, band, one_offset, jnp.full(m, begin))
        return score, score

    _, scores = lax.scan(next_residue, jnp.full(m, UNREACHABLE, sites.dtype), (sites, weights, start))
    return scores


def trace_back(
    scores: Float[Array, "n m"],
    deviations: Float[Array, "band m"],
    weights: Float[Array, "n"],
    start: Float[Array, "n"],
    end: Int[Array, "2"],
) -> Int[Array, "n"]:
    """Points of the best alignment whose last built residue and its point are `end`.

    Keeping G and maximising over one band per residue again costs less than keeping back-pointers.
    """
    n = scores.shape[0]
    band = deviations.shape[0]
    last_residue, last_point = end
    padded = jnp.pad(scores, ((0, 0), (band, 0)), constant_values=UNREACHABLE)

    def previous_residue(point: Array, i: Array) -> tuple[Array, Array]:
        """From the point of residue i + 1 (-1: unbuilt) to the point of residue i."""
        column = jnp.maximum(point, 0)
        following = jnp.minimum(i + 1, n - 1)
        window = lax.dynamic_slice(padded, (i, column), (1, band))[0, ::-1]
        arrivals = window - weights[following] * deviations[:, column]
        k = jnp.argmax(arrivals)
        begins = (point < 0) | (start[following] >= arrivals[k])
        inner = jnp.where(begins, -1, point - 1 - k)
        here = jnp.where(i == last_residue, last_point, jnp.where(i < last_residue, inner, -1))
        return here, here

    _, points = lax.scan(previous_residue, jnp.asarray(-1, last_point.dtype), jnp.arange(n), reverse=True)
    return points
