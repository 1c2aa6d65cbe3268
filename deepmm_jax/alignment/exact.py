"""Optimal alignment of the sequence to a main-chain path: equation 3 as a banded (max, +) chain; section 2.4.

G(i, j) = site(i, j) + max over j - band <= j' < j of G(i-1, j') - w_i |d(j', j) - d_std|, the best score that
puts residue i at point j. Goes past the paper, whose recurrence keeps one path per cell (`greedy`): here
every pair of points of successive residues competes, up to `band` points apart. Residues at either end may
stay unbuilt at `end_gap` each. With `leaps` those inside may, too: G(i-1-k, j - o) and the score of k unbuilt
residues compete as well, for every leap of o points and every k that reaches so far.

The matrix is filled point by point: how many residues a leap needs depends on the points alone, so that the whole
column of residues moves as one slice.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from deepmm_jax.alignment.skips import FORBIDDEN, LONGEST_LEAP, POINTS_LEAPT, Leaps


UNREACHABLE = FORBIDDEN
"""Totals below half of it mean that no alignment exists."""

WAYS_AT_ONCE = 11
"""Most bonds or leaps into a point that one step of a loop weighs."""

MARGIN = LONGEST_LEAP + 1
"""Residues before the first that are never reached."""


class Scores(NamedTuple):
    """Best scores by point and residue, after some points and MARGIN residues that cannot be reached."""

    built: Float[Array, "points residues"]
    """G: the residue stands at the point."""
    left: Float[Array, "points residues"] | None
    """The residue stands at the point, or is one of those left unbuilt after the one there."""


def align_exact(
    sites: Float[Array, "n m"],
    diameters: Float[Array, "band m"],
    weights: Float[Array, "n"],
    standard_distance: Float[Array, ""],
    n_residues: Int[Array, ""],
    n_points: Int[Array, ""],
    leaps: Leaps | None = None,
    *,
    end_gap: float | None,
) -> tuple[Float[Array, ""], Int[Array, "n"]]:
    """Best score and the point of each residue (-1: unbuilt).

    `sites` are the scores M + w_Cα P_Cα, `diameters` come from `segment_diameters(positions, band)`, `weights` are
    w_Cα–Cα by residue, `standard_distance` is d_std in Å; residues from `n_residues` and points from `n_points` on
    are padding. `leaps` come from `path_leaps`; None builds every residue between the first and the last one built.
    `end_gap` None makes these the ends of the sequence: if the path is too short, the score is below
    `UNREACHABLE` / 2 and all points are -1. At least one residue is always built.
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
    scores = forward(sites, deviations, weights, start, leaps)
    totals = scores.built[-m:, MARGIN:] + finish[None]
    point = jnp.argmax(totals.max(axis=1))  # of rows first: a maximum is faster than its place
    residue = jnp.argmax(totals[point])
    points = trace_back(scores, deviations, weights, start, leaps, jnp.stack([point, residue]))
    score = totals[point, residue]
    return score, jnp.where(score > UNREACHABLE / 2, points, -1)


def forward(
    sites: Float[Array, "n m"],
    deviations: Float[Array, "band m"],
    weights: Float[Array, "n"],
    start: Float[Array, "n"],
    leaps: Leaps | None,
) -> Scores:
    """G(i, j); `deviations` are |d - d_std| and `start` the score of making residue i the first one built."""
    n, m = sites.shape
    band = len(deviations)
    before = band if leaps is None else max(band, *POINTS_LEAPT)
    empty = jnp.full((before + m, MARGIN + n), UNREACHABLE, sites.dtype)

    def next_point(scores: Scores, point: tuple) -> tuple[Scores, None]:
        row, site, deviation, leap = point

        def by_bond(k: Array, best: Array) -> Array:
            moved = lax.dynamic_slice(scores.built, (row - 1 - k, MARGIN - 1), (1, n))[0]
            return jnp.maximum(best, moved - weights * deviation[k])

        def by_leap(o: Array, best: Array) -> Array:
            assert leaps is not None and scores.left is not None
            residues, score = (values[o] for values in leap)
            place = row - leaps.points[o], MARGIN - 1 - residues
            return jnp.maximum(best, lax.dynamic_slice(scores.left, place, (1, n))[0] + score)

        best = lax.fori_loop(0, band, by_bond, start, unroll=at_once(band))
        if leaps is not None:
            best = lax.fori_loop(0, len(leaps.points), by_leap, best, unroll=at_once(len(leaps.points)))
        built = site + best
        kept = lax.dynamic_update_slice(scores.built, built[None], (row, MARGIN))
        if leaps is None or scores.left is None:
            return Scores(kept, None), None
        left = falling_maximum(built, leaps.extend)
        return Scores(kept, lax.dynamic_update_slice(scores.left, left[None], (row, MARGIN))), None

    ways = None if leaps is None else (leaps.residues, leaps.score)
    first = Scores(empty, None if leaps is None else empty)
    scores, _ = lax.scan(next_point, first, (before + jnp.arange(m), sites.T, deviations.T, ways))
    return scores


def at_once(ways: int) -> int:
    """How many ways to weigh in one step. A divisor, since a rest is slow: XLA fuses it with what comes after."""
    return max(count for count in range(1, WAYS_AT_ONCE + 1) if ways % count == 0)


def falling_maximum(values: Float[Array, "n"], step: Float[Array, ""]) -> Float[Array, "n"]:
    """Entry i: max over k >= 0 of values[i - k] + k step."""
    n = len(values)
    before = jnp.full(n, UNREACHABLE, values.dtype)

    def double(s: Array, best: Array) -> Array:
        """From the maximum over k < 2^s to that over k < 2^(s + 1)."""
        k = 1 << s
        earlier = lax.dynamic_slice_in_dim(jnp.concatenate([before, best]), n - k, n)
        return jnp.maximum(best, earlier + k * step)

    return lax.fori_loop(0, (n - 1).bit_length(), double, values)


def trace_back(
    scores: Scores,
    deviations: Float[Array, "band m"],
    weights: Float[Array, "n"],
    start: Float[Array, "n"],
    leaps: Leaps | None,
    end: Int[Array, "2"],
) -> Int[Array, "n"]:
    """Points of the best alignment that ends at `end`, a point and the residue there.

    Keeping G and maximising over the ways into one cell per residue again costs less than keeping back-pointers.
    """
    n, (band, m) = len(weights), deviations.shape
    before = len(scores.built) - m

    def step_back(place: Array, i: Array) -> tuple[Array, Array]:
        """`place` is the point (-1: the chain has begun) of the next residue to build, and that residue, up to i."""
        point, residue = place
        j = jnp.maximum(point, 0)
        window = lax.dynamic_slice(scores.built, (before + j - band, MARGIN + i - 1), (band, 1))[::-1, 0]
        arrivals = window - weights[i] * deviations[:, j]
        k = jnp.argmax(arrivals)
        best, previous = arrivals[k], jnp.stack([j - 1 - k, i - 1])
        if leaps is not None and scores.left is not None:
            needed = leaps.residues[j]
            arrivals = scores.left[before + j - leaps.points, MARGIN + i - 1 - needed] + leaps.score[j]
            o = jnp.argmax(arrivals)
            origin = j - leaps.points[o]
            unbuilt = i - 1 - jnp.arange(n)
            built = lax.dynamic_slice(scores.built, (before + origin, MARGIN), (1, n))[0]
            left = jnp.argmax(jnp.where(unbuilt >= needed[o], built + unbuilt * leaps.extend, -jnp.inf))
            previous = jnp.where(arrivals[o] > best, jnp.stack([origin, left]), previous)
            best = jnp.maximum(best, arrivals[o])
        previous = jnp.where(start[i] >= best, -1, previous).astype(place.dtype)
        here = residue == i
        return jnp.where(here, previous, place), jnp.where(here, point, -1)

    _, points = lax.scan(step_back, end, jnp.arange(n), reverse=True)
    return points
