"""ThreadCA, the sequence alignment of MAINMAST, for comparison: residue sizes against the density along a path.

MAINMAST (Terashi & Kihara 2018) knows nothing of a point but how much density is around it. A residue is expected to
have as much as its type and predicted secondary structure say; both sides are compared as z-scores, in the same
recurrence that DeepMM has. Where the published description leaves the kernel open, the Gaussian's width is its standard
deviation and the smoothed value a weighted sum. A mean would depend on how near the vertices are to each other: seven
validation chains were 2.5 Å off with the sum and 3.6 Å with the mean.
"""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from deepmm_jax.alignment.greedy import align_greedy
from deepmm_jax.alignment.ranking import POINT_BLOCK, RESIDUE_BLOCK, directed_routes, distinct, padded
from deepmm_jax.alignment.segments import segment_diameters
from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.constants import UNKNOWN_AMINO_ACID
from deepmm_jax.errors import NothingBuiltError
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.tracing.values import MainChainPaths


RESIDUE_DENSITY = np.array(
    [
        176.0, 422.9, 403.1, 425.6, 518.6, 115.3, 504.1, 312.3, 322.2, 300.2,
        440.6, 386.0, 317.6, 398.3, 477.4, 257.2, 315.3, 276.3, 748.1, 598.9,
    ],
    dtype=np.float32,
)  # fmt: skip
"""Density that a residue is expected to have, in the order of `AMINO_ACIDS` (MAINMAST's table 20AA.param)."""

STATE_WEIGHTS = np.array([(h, e, 1.0) for h, e in product((1.0, 1.1, 1.2, 1.3), (0.7, 0.8, 0.9, 1.0))], np.float32)
"""The sixteen combinations of factors of helix, sheet and coil that are tried."""

BOND_WEIGHT, BOND_LENGTH = 0.9, 3.5
"""What an Å of deviation from this distance of neighbours costs, and the distance by default."""

SMOOTHING_WIDTH, SMOOTHING_REACH = 1.0, 6.0
"""Standard deviation and reach of the Gaussian along the path, Å of segment diameter."""

VOXELS_AT_ONCE = 1024


def thread_paths(
    paths: MainChainPaths,
    voxels: Float[np.ndarray, "v 3"],
    density: Float[np.ndarray, "v"],
    profile: SequenceProfile,
    *,
    models: int,
    apart: float,
    bond_length: float = BOND_LENGTH,
) -> CalphaModels:
    """Align a sequence to all paths, in both directions, with all state weights; ranked Cα models of all residues.

    Neighbours should be `bond_length` Å apart. `voxels` are the positions (Å) of the density, whose unit does not
    matter. At most `models` models that differ by `apart` Å are kept. There is no Cα probability, so the support is 0.
    Raises NothingBuiltError if no path has a point for every residue.
    """
    n = len(profile)
    points = paths.points
    routes, lengths = directed_routes(paths)
    if not (lengths >= n).any():
        raise NothingBuiltError(
            f"{profile.name}: none of {len(routes)} directed main-chain paths (the longest has "
            f"{lengths.max(initial=0)} points) holds {n} residues; lower the tracing threshold"
        )
    expected = residue_scores(jnp.asarray(profile.amino_acids), jnp.asarray(profile.states), jnp.asarray(STATE_WEIGHTS))
    scores, aligned = thread_routes(
        padded(np.asarray(expected).T, RESIDUE_BLOCK).T,
        padded(voxels, VOXELS_AT_ONCE),
        padded(density, VOXELS_AT_ONCE),
        padded(points.positions, POINT_BLOCK),
        jnp.asarray(routes),
        jnp.asarray(lengths),
        jnp.asarray(n),
        jnp.asarray(bond_length),
    )
    scores, aligned = np.asarray(scores).ravel(), np.asarray(aligned)[..., :n].reshape(-1, n)
    order = np.argsort(-scores, kind="stable")
    order = order[(aligned[order] >= 0).all(axis=1)]
    positions = points.positions[aligned[order]].astype(np.float32)
    kept = distinct(positions, apart, models)
    return CalphaModels(
        positions=positions[kept],
        built=np.ones((len(kept), n), bool),
        scores=scores[order][kept].astype(np.float32),
        mscores=(scores[order][kept] / n).astype(np.float32),
        support=np.zeros((len(kept), n), np.float32),
    )


@jax.jit
def residue_scores(
    amino_acids: Int[Array, "n"], states: Int[Array, "n"], weights: Float[Array, "w 3"]
) -> Float[Array, "w n"]:
    """Expected density of each residue, as z-scores over the sequence, with each row of state weights.

    X has the mean of all types, an unknown state the weight of coil.
    """
    table = jnp.append(RESIDUE_DENSITY, RESIDUE_DENSITY.mean())
    factors = jnp.append(weights, weights[:, -1:], axis=1)
    values = table[jnp.minimum(amino_acids, UNKNOWN_AMINO_ACID)][None, :] * factors[:, states]
    return jax.vmap(_z_scores, in_axes=(0, None))(values, jnp.ones(len(amino_acids), bool))


@jax.jit
def thread_routes(
    expected: Float[Array, "w n"],
    voxels: Float[Array, "v 3"],
    density: Float[Array, "v"],
    positions: Float[Array, "points 3"],
    routes: Int[Array, "r m"],
    lengths: Int[Array, "r"],
    n_residues: Int[Array, ""],
    bond_length: Float[Array, ""],
) -> tuple[Float[Array, "r w"], Int[Array, "r w n"]]:
    """Scores F and points (-1: unbuilt) of every route with every row of `expected` z-scores.

    `voxels` are positions in Å; those of density 0 are padding, as are points of a route beyond its length and residues
    from `n_residues` on.
    """

    def one_route(route: Array, length: Array) -> tuple[Array, Array]:
        here = positions[route]
        diameters = segment_diameters(here, here.shape[0])
        found = vertex_scores(voxels, density, here, diameters, length)

        def one_weight(residues: Array) -> tuple[Array, Array]:
            sites = 1.0 - jnp.abs(residues[:, None] - found[None, :])
            bonds = jnp.full(len(residues), BOND_WEIGHT, sites.dtype)
            score, steps = align_greedy(sites, diameters, bonds, bond_length, n_residues, length)
            return score, jnp.where(steps >= 0, route[steps], -1)

        return lax.map(one_weight, expected)

    return lax.map(lambda route: one_route(*route), (routes, lengths))


def vertex_scores(
    voxels: Float[Array, "v 3"],
    density: Float[Array, "v"],
    path: Float[Array, "m 3"],
    diameters: Float[Array, "m m"],
    length: Int[Array, ""],
) -> Float[Array, "m"]:
    """Density around each vertex of a path as a z-score along it; 0 from `length` on.

    The density of every voxel (positions in Å) goes to the nearest vertex; it is then summed along the path with a
    Gaussian of the segment diameter, as `segment_diameters(path, m)` has it, up to SMOOTHING_REACH.
    """
    number = jnp.arange(len(path))
    real = number < length
    weight = jnp.zeros(len(path)).at[nearest_vertices(voxels, path, real)].add(density)
    weight = weight / jnp.max(weight)
    apart = jnp.abs(number[:, None] - number[None, :])
    later = jnp.maximum(number[:, None], number[None, :])
    distance = jnp.where(apart == 0, 0.0, diameters[jnp.maximum(apart - 1, 0), later])
    kernel = jnp.exp(-0.5 * (distance / SMOOTHING_WIDTH) ** 2) * (distance <= SMOOTHING_REACH) * real[None, :]
    return _z_scores(kernel @ weight, real)


def nearest_vertices(voxels: Float[Array, "v 3"], path: Float[Array, "m 3"], real: Array) -> Int[Array, "v"]:
    """Number of the vertex that is nearest to each voxel, the first of equals, among those that are `real`."""

    def nearest(voxel: Array) -> Array:
        squared = jnp.sum((path - voxel[None, :]) ** 2, axis=1)
        return jnp.argmin(jnp.where(real, squared, jnp.inf))

    return lax.map(nearest, voxels, batch_size=VOXELS_AT_ONCE)


def _z_scores(values: Array, real: Array) -> Array:
    """Deviations from the mean in standard deviations, of those that are `real`; 0 of others, or if all agree."""
    count = jnp.sum(real)
    mean = jnp.sum(jnp.where(real, values, 0.0)) / count
    deviation = jnp.where(real, values - mean, 0.0)
    spread = jnp.sqrt(jnp.sum(deviation**2) / count)
    return deviation / jnp.where(spread > 0, spread, 1.0)
