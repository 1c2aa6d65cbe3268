"""Sum over all alignments of a sequence to a path, and how often each part occurs in them; goes past section 2.4.

`exact` with sums of exponentials for maxima: a hidden Markov model whose hidden state is (point, residue). The forward
pass sums over all ways into a cell, the backward pass hands the probability of a cell back to the cells it came from.
Expected counts are the gradient of the logarithm of the sum, and their own derivative is symmetric, so that a forward
derivative of both passes serves as the backward one (Mensch & Blondel 2018). Ways into a cell, n m band in number,
are computed anew in each pass and never kept.

Scores of a point are kept less an integer near their maximum: differences along an alignment of a thousand residues
have then the precision of small numbers, and the integers add up without error.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float, Int

from deepmm_jax.alignment.exact import MARGIN, UNREACHABLE, falling_maximum
from deepmm_jax.alignment.skips import POINTS_LEAPT


UNROLLED = 4
"""Ways that are summed in one turn of a loop: 4 took a fifth off the time of the score, 8 no more."""


class Potentials(NamedTuple):
    """Scores of the parts of alignments, all in units of the temperature; or what the parts are expected to count."""

    sites: Float[Array, "m n"]
    """Residue at a point; UNREACHABLE where it cannot be."""
    deviations: Float[Array, "m band"]
    """|d - d_std| of the segment that ends at a point and spans so many; it costs `weights` times this."""
    weights: Float[Array, "n"]
    start: Float[Array, "n"]
    """The residue is the first one built."""
    finish: Float[Array, "n"]
    """It is the last one."""
    leap: Float[Array, "m o"] | None
    """The fewest unbuilt residues with which a leap lands at a point (`Leaps`); None without leaps."""
    extend: Float[Array, ""] | None
    """Every unbuilt residue more."""


class Sums(NamedTuple):
    """Logarithms of the sums over all alignments that come to a residue at a point, less the `offset` of the point."""

    arrived: Float[Array, "m n"]
    """Without the score of the residue at the point."""
    built: Float[Array, "m n"]
    """With it."""
    left: Float[Array, "m n"] | None
    """The residue is built there, or is one of those left unbuilt after the one there."""
    offset: Float[Array, "m"]


@jax.custom_vjp
def log_partition(potentials: Potentials, needed: Int[Array, "m o"] | None) -> tuple[Float[Array, ""], Potentials]:
    """Logarithm of the sum of exp(score) over all alignments, and the expected count of every part.

    `needed` are the fewest residues that a leap leaves unbuilt. The counts are the gradient of the first result, those
    of `sites` the probabilities that a residue stands at a point. Where there is no alignment, the first is below
    UNREACHABLE / 2 and the counts are 0.
    """
    return _both_passes(potentials, needed)


def _both_passes(potentials: Potentials, needed: Int[Array, "m o"] | None) -> tuple[Float[Array, ""], Potentials]:
    sums = forward(potentials, needed)
    top, rest = total(potentials, sums)
    return top + rest, backward(potentials, needed, sums, top, rest)


def _keep(potentials: Any, needed: Any) -> tuple:
    given, needed = jax.tree.map(lambda leaf: leaf.value, (potentials, needed))
    value, counts = log_partition(given, needed)
    return (value, counts), (given, needed, counts)


def _pull_back(kept: tuple, cotangents: tuple) -> tuple[Potentials, None]:
    """The counts' Jacobian is symmetric: it is applied to the cotangents as to a direction, and only if they matter."""
    potentials, needed, counts = kept
    of_value, of_counts = cotangents
    zero = jax.tree.map(jnp.zeros_like, potentials)
    result = zero
    if not isinstance(of_value, SymbolicZero):
        result = jax.tree.map(lambda count: of_value * count, counts)
    if not all(isinstance(leaf, SymbolicZero) for leaf in jax.tree.leaves(of_counts)):
        direction = jax.tree.map(lambda d, z: z if isinstance(d, SymbolicZero) else d, of_counts, zero)
        _, change = jax.jvp(lambda p: _both_passes(p, needed)[1], (potentials,), (direction,))
        result = jax.tree.map(jnp.add, result, change)
    return result, None


log_partition.defvjp(_keep, _pull_back, symbolic_zeros=True)


def forward(potentials: Potentials, needed: Int[Array, "m o"] | None) -> Sums:
    """Point by point, as in `exact`, the sums over all ways into each cell."""
    m, n = potentials.sites.shape
    band = potentials.deviations.shape[1]
    before = band if needed is None else max(band, *POINTS_LEAPT)
    dtype = potentials.sites.dtype
    empty = jnp.full((before + m, MARGIN + n), UNREACHABLE, dtype)
    nothing = jnp.full(n, UNREACHABLE, dtype)
    first = (empty, None if needed is None else empty, jnp.zeros(before + m, dtype))
    last = (nothing, None if needed is None else nothing, jnp.zeros((), dtype))
    offsets = jnp.array(POINTS_LEAPT)

    def next_point(carry: tuple, point: tuple) -> tuple[tuple, Array]:
        row, site, deviation, leap, fewest = point
        built, left, offset = _keep_row(carry, row - 1)
        here = offset[row - 1]
        bond_shift = offset[row - 1 - jnp.arange(band)] - here

        def bond(k: Array) -> Array:
            moved = lax.dynamic_slice(built, (row - 1 - k, MARGIN - 1), (1, n))[0]
            return moved + (bond_shift[k] - potentials.weights * deviation[k])

        ways = [(band, bond)]
        if left is not None:
            origins, before_gap = row - offsets, MARGIN - 1 - fewest.astype(int)
            leap_scores = leap + (offset[origins] - here)

            def jump(k: Array) -> Array:
                return lax.dynamic_slice(left, (origins[k], before_gap[k]), (1, n))[0] + leap_scores[k]

            ways.append((len(POINTS_LEAPT), jump))
        arrived = _log_sum(potentials.start - here, ways)
        values = jnp.maximum(arrived + site, UNREACHABLE)
        # An integer, so that differences of offsets are exact; a point where nothing can be keeps the last one.
        highest = lax.stop_gradient(values.max())
        step = jnp.where(highest > UNREACHABLE / 2, jnp.round(highest), 0.0)
        arrived, values = (jnp.maximum(x - step, UNREACHABLE) for x in (arrived, values))
        unbuilt = None if potentials.extend is None else falling_sum(values, potentials.extend)
        return ((built, left, offset), (values, unbuilt, here + step)), arrived

    rows = before + jnp.arange(m)
    points = (rows, potentials.sites, potentials.deviations, potentials.leap, needed)
    carry, arrived = lax.scan(next_point, (first, last), points)
    built, left, offset = _keep_row(carry, before + m - 1)
    left = None if left is None else left[before:, MARGIN:]
    return Sums(arrived, built[before:, MARGIN:], left, offset[before:])


def _keep_row(carry: tuple, row: Any) -> Any:
    """Matrices with the row put in that the step before has found, MARGIN residues after the edge.

    A step that writes before it reads gives XLA no reason to copy whole matrices.
    """

    def put(matrix: Array, value: Array) -> Array:
        place = (row,) if matrix.ndim == 1 else (row, MARGIN)
        return lax.dynamic_update_slice(matrix, value[None], place)

    return jax.tree.map(put, *carry)


def _log_sum(first: Float[Array, "n"], ways: list[tuple[int, Callable[[Array], Array]]]) -> Float[Array, "n"]:
    """Logarithm of the sum of exponentials of a row and of so many rows by each function."""
    top = lax.stop_gradient(first)
    for count, row in ways:
        top = lax.fori_loop(
            0, count, lambda k, top, row=row: jnp.maximum(top, lax.stop_gradient(row(k))), top, unroll=UNROLLED
        )
    total = jnp.exp(first - top)
    for count, row in ways:
        total = lax.fori_loop(0, count, lambda k, total, row=row: total + jnp.exp(row(k) - top), total, unroll=UNROLLED)
    return top + jnp.log(total)


def falling_sum(values: Float[Array, "n"], step: Float[Array, ""]) -> Float[Array, "n"]:
    """Entry i: logarithm of the sum over k >= 0 of exp(values[i - k] + k step)."""
    top = lax.stop_gradient(falling_maximum(values, step))
    before = jnp.concatenate([jnp.full(1, UNREACHABLE, values.dtype), top[:-1]])
    return top + jnp.log(recurrence(jnp.exp(before + step - top), jnp.exp(values - top)))


def recurrence(factors: Float[Array, "n"], terms: Float[Array, "n"]) -> Float[Array, "n"]:
    """y[i] = terms[i] + factors[i] y[i - 1], by doubling."""
    n = len(terms)
    before = jnp.zeros(n, terms.dtype)

    def double(s: Array, both: tuple[Array, Array]) -> tuple[Array, Array]:
        """From sums over the 2^s latest terms to those over the 2^(s + 1) latest."""
        factors, terms = both
        earlier_factors, earlier_terms = (
            lax.dynamic_slice_in_dim(jnp.concatenate([before, values]), n - (1 << s), n) for values in both
        )
        return factors * earlier_factors, terms + factors * earlier_terms

    return lax.fori_loop(0, (n - 1).bit_length(), double, (factors, terms))[1]


def total(potentials: Potentials, sums: Sums) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Logarithm of the sum over all alignments as an integer and a rest."""
    ends = sums.built + potentials.finish[None]
    highest = ends.max(axis=1)
    top = lax.stop_gradient(sums.offset[jnp.argmax(highest + sums.offset)])
    ends = ends + (sums.offset - top)[:, None]
    return top, jax.nn.logsumexp(ends)


def backward(
    potentials: Potentials, needed: Int[Array, "m o"] | None, sums: Sums, top: Float[Array, ""], rest: Float[Array, ""]
) -> Potentials:
    """Expected counts, from the last point to the first: what comes back to a cell from all those it leads to."""
    m, n = potentials.sites.shape
    band = potentials.deviations.shape[1]
    after = band if needed is None else max(band, *POINTS_LEAPT)
    dtype = potentials.sites.dtype
    # Beyond the last point and residue nothing arrives, whatever it costs to get there.
    arrived = jnp.pad(sums.arrived, ((0, after), (0, MARGIN)), constant_values=-UNREACHABLE)
    offset = jnp.pad(sums.offset, (0, after), mode="edge")
    weights = jnp.append(potentials.weights[1:], 0.0)  # of the residue after
    possible = rest > UNREACHABLE / 2
    offsets = jnp.array(POINTS_LEAPT)

    def next_point(carry: tuple, point: tuple) -> tuple[tuple, tuple]:
        probability, later, of_weights, of_finish, of_extend = carry
        row, built, left, deviation, leap, fewest = point
        probability = lax.dynamic_update_slice(probability, later[None], (row + 1, 0))
        change = offset[row] - offset
        window = (row + 1, 1), (band, n)
        shift = lax.dynamic_slice(change, (row + 1,), (band,))
        cost = shift[:, None] - weights[None] * deviation[:, None]
        bonds = jnp.exp(built[None] + cost - lax.dynamic_slice(arrived, *window))
        bonds = bonds * lax.dynamic_slice(probability, *window)
        last = jnp.where(possible, jnp.exp(built + potentials.finish + (offset[row] - top) - rest), 0.0)
        here = last + bonds.sum(axis=0)
        of_leap = None
        if left is not None:
            landings, after_gap = row + offsets, 1 + fewest.astype(int)
            leap_scores = leap + change[landings]

            def by_leap(o: Array, found: tuple[Array, Array]) -> tuple[Array, Array]:
                leaps, counts = found
                window = (landings[o], after_gap[o]), (1, n)
                way = jnp.exp(left + leap_scores[o] - lax.dynamic_slice(arrived, *window)[0])
                way = way * lax.dynamic_slice(probability, *window)[0]
                return leaps + way, lax.dynamic_update_slice(counts, way.sum()[None], (o,))

            nothing = jnp.zeros(n, dtype), jnp.zeros(len(POINTS_LEAPT), dtype)
            leaps, of_leap = lax.fori_loop(0, len(POINTS_LEAPT), by_leap, nothing)
            # Back through `falling_sum`: of those unbuilt here the rest are unbuilt before.
            share = jnp.exp(left[:-1] + potentials.extend - left[1:])
            passed = recurrence(jnp.append(share, 0.0)[::-1], leaps[::-1])[::-1]
            here = here + passed * jnp.exp(built - left)
            of_extend = of_extend + (share * passed[1:]).sum()
        carry = (
            probability,
            here,
            of_weights - (bonds * deviation[:, None]).sum(axis=0),
            of_finish + last,
            of_extend,
        )
        return carry, (-(bonds * weights[None]).sum(axis=1), of_leap)

    rows = jnp.arange(m)
    ahead = (
        _ahead(potentials.deviations, 1 + jnp.arange(band)),
        None if potentials.leap is None else _ahead(potentials.leap, offsets),
        None if needed is None else _ahead(needed, offsets),
    )
    first = (
        jnp.zeros((m + after, n + MARGIN), dtype),
        jnp.zeros(n, dtype),
        jnp.zeros(n, dtype),
        jnp.zeros(n, dtype),
        None if needed is None else jnp.zeros((), dtype),
    )
    points = (rows, sums.built, sums.left, *ahead)
    carry, (of_deviations, of_leap) = lax.scan(next_point, first, points, reverse=True)
    probability, first_row, of_weights, of_finish, of_extend = carry
    probability = probability[:m, :n].at[0].set(first_row)
    begun = probability * jnp.exp(potentials.start[None] - sums.offset[:, None] - sums.arrived)
    return Potentials(
        sites=probability,
        deviations=_behind(of_deviations, 1 + jnp.arange(band)),
        weights=jnp.roll(of_weights, 1),
        start=begun.sum(axis=0),
        finish=of_finish,
        leap=None if needed is None else _behind(of_leap, offsets),
        extend=of_extend,
    )


def _ahead(values: Array, points: Int[Array, "k"]) -> Array:
    """Column k of each row from so many rows further on; those beyond the last row are never used."""
    rows = jnp.minimum(jnp.arange(len(values))[:, None] + points[None], len(values) - 1)
    return jnp.take_along_axis(values, rows, axis=0)


def _behind(values: Array, points: Int[Array, "k"]) -> Array:
    """The inverse of `_ahead`, 0 where there is no such row."""
    rows = jnp.arange(len(values))[:, None] - points[None]
    return jnp.where(rows >= 0, jnp.take_along_axis(values, jnp.maximum(rows, 0), axis=0), 0.0)
