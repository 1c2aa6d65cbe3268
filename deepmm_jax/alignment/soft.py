"""Soft alignment of a sequence to points in space: all alignments, weighted by exp(score / temperature).

The model is that of `exact`: site scores, the distance term |d - d_std| with d the diameter of a path segment, free
unused points, unbuilt ends, and leaps over residues without density. Everything here is differentiable.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from deepmm_jax.alignment.exact import UNREACHABLE
from deepmm_jax.alignment.marginals import Potentials, log_partition
from deepmm_jax.alignment.segments import segment_diameters
from deepmm_jax.alignment.skips import path_leaps


class SoftAlignment(NamedTuple):
    """What all alignments of a sequence to a path say together.

    A residue that no alignment builds has marginals and covariance 0 and stands at the mean of the points.
    """

    score: Float[Array, ""]
    """T log of the sum of exp(score / T): the best score as T → 0. Below `UNREACHABLE` / 2 there is no alignment."""
    marginals: Float[Array, "n m"]
    """Probability that a residue stands at a point; what a row lacks to 1 is that of being unbuilt."""
    built: Float[Array, "n"]
    """Probability of being built: the sums of the rows."""
    positions: Float[Array, "n 3"]
    """Expected Cα of a residue, given that it is built, Å."""
    covariance: Float[Array, "n 3 3"]
    """And its covariance, Å²."""
    register_entropy: Float[Array, "n"]
    """Entropy of a row of `marginals` and of being unbuilt, nats: how uncertain the place of a residue is."""


def soft_align(
    scores: Float[Array, "n m"],
    positions: Float[Array, "m 3"],
    weights: Float[Array, "n"],
    standard_distance: Float[Array, ""],
    temperature: Float[Array, ""],
    *,
    end_gap: Float[Array, ""] | None,
    skip: Float[Array, "2"] | None = None,
    n_residues: Int[Array, ""] | None = None,
    n_points: Int[Array, ""] | None = None,
    allowed: Bool[Array, "n m"] | None = None,
    band: int = 40,
) -> SoftAlignment:
    """Every alignment of n residues to the m points of a path, weighted by exp(score / `temperature`).

    `scores` are M + w_Cα P_Cα (equations 2 and 3), `positions` the points in Å in path order, `weights` w_Cα–Cα by
    residue, `standard_distance` d_std in Å. `end_gap` is the score of an unbuilt residue at either end (None builds
    all of them), `skip` those of opening and extending a gap inside (None forbids it); successive residues are at most
    `band` points apart. Residues from `n_residues` and points from `n_points` on are padding; `allowed` says which
    residue may stand where. All results have gradients in all floating-point arguments, and memory grows with n m.
    """
    n, m = scores.shape
    n_residues = jnp.asarray(n if n_residues is None else n_residues)
    n_points = jnp.asarray(m if n_points is None else n_points)
    residues, real = jnp.arange(n), jnp.arange(m) < n_points
    after = n_residues - 1 - residues
    possible = (after >= 0)[:, None] & real[None]
    if allowed is not None:
        possible = possible & allowed
    if end_gap is None:
        start, finish = (jnp.where(left == 0, 0.0, UNREACHABLE) for left in (residues, after))
    else:
        start = end_gap / temperature * residues
        finish = jnp.where(after >= 0, end_gap / temperature * after, UNREACHABLE)
    leaps = None if skip is None else path_leaps(positions, skip[0], skip[1])
    leap = None if leaps is None else jnp.where(leaps.score > UNREACHABLE / 2, leaps.score / temperature, UNREACHABLE)
    potentials = Potentials(
        sites=jnp.where(possible, scores / temperature, UNREACHABLE).T,
        deviations=jnp.abs(segment_diameters(positions, min(band, m)) - standard_distance).T,
        weights=weights / temperature,
        start=start.astype(scores.dtype),
        finish=finish.astype(scores.dtype),
        leap=leap,
        extend=None if leaps is None else leaps.extend / temperature,
    )
    value, counts = log_partition(potentials, None if leaps is None else leaps.residues)
    marginals = counts.sites.T
    built = marginals.sum(axis=1)
    mean, covariance = _moments(marginals, built, positions, real)
    score = jnp.where(value > UNREACHABLE / 2, temperature * value, UNREACHABLE)
    return SoftAlignment(score, marginals, built, mean, covariance, register_entropy(marginals))


def register_entropy(marginals: Float[Array, "n m"]) -> Float[Array, "n"]:
    """Entropy of each residue's place, being unbuilt included, in nats.

    0 where the place is certain; about log 4 where a residue may stand at any of the four or five points that a
    residue has; log 2 more where two registers are as likely as each other.
    """
    unbuilt = 1.0 - marginals.sum(axis=1, keepdims=True)
    places = jnp.maximum(jnp.concatenate([marginals, unbuilt], axis=1), 0.0)
    return -(places * jnp.log(jnp.maximum(places, 1e-30))).sum(axis=1)


def _moments(
    marginals: Float[Array, "n m"], built: Float[Array, "n"], positions: Float[Array, "m 3"], real: Bool[Array, "m"]
) -> tuple[Float[Array, "n 3"], Float[Array, "n 3 3"]]:
    """Mean and covariance of the places of each residue that is built."""
    centre = jnp.where(real[:, None], positions, 0.0).sum(axis=0) / jnp.maximum(real.sum(), 1)
    places = positions - centre[None]  # small numbers keep their digits
    share = marginals / jnp.maximum(built, 1e-6)[:, None]
    mean = share @ places
    second = jnp.einsum("nm,ma,mb->nab", share, places, places)
    covariance = second - mean[:, :, None] * mean[:, None, :] * share.sum(axis=1)[:, None, None]
    return centre[None] + mean, covariance
