"""Cα models: every path, both directions and all d_std aligned, ranked, deduplicated; sections 2.4 and 2.5."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int

from deepmm_jax.alignment.exact import align_exact
from deepmm_jax.alignment.greedy import align_greedy
from deepmm_jax.alignment.match import distance_weights, match_scores
from deepmm_jax.alignment.mscore import paper_mscore
from deepmm_jax.alignment.segments import aligned_distances, segment_diameters
from deepmm_jax.alignment.skips import path_leaps
from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.config import AlignmentConfig
from deepmm_jax.devices import AXIS, Device, plan_batches, spread
from deepmm_jax.errors import ConfigError, NothingBuiltError
from deepmm_jax.evidence.volumes import TypedPoints
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.structure.superposition import superposed_rmsd
from deepmm_jax.tracing.values import MainChainPaths


FEWEST_RESIDUES = 10
"""A model with fewer built residues (or fewer than a shorter sequence has) is no model; so many are also needed
in common for two models to be compared."""

RESIDUE_BLOCK, POINT_BLOCK = 64, 256
"""Sequences, paths and point sets are padded to multiples of these, so that few shapes are compiled."""

MATRIX_CELLS = 32_000_000
"""Residues × points × values of d_std that one route fills side by side: 8 bytes each."""


def align_paths(
    paths: MainChainPaths,
    points: TypedPoints,
    profile: SequenceProfile,
    config: AlignmentConfig,
    *,
    devices: Sequence[Device] | None = None,
) -> CalphaModels:
    """Align a sequence to all main-chain paths and rank the Cα models by alignment score F.

    `points` describes all local dense points, in the order of `paths.points`. Residue i of a model stands at
    the point it is aligned to (positions in Å). Of two models within `config.redundancy_rmsd` the one with the
    lower score is dropped; `config.models` are kept. A model that leaves residues unbuilt where that is
    forbidden (`greedy`, or `end_gap` None) is discarded, as is one with fewer than 10 built residues. Paths are spread
    over `devices`, all that there are unless some are given.

    Raises NothingBuiltError if no model is left, ConfigError for an unknown recurrence or match mode.
    """
    if config.recurrence not in ("exact", "greedy"):
        raise ConfigError(f"alignment recurrence is {config.recurrence!r}; use 'exact' or 'greedy'")
    n = len(profile)
    routes, lengths = directed_routes(paths)
    if len(routes) == 0 or n == 0:
        raise NothingBuiltError(
            f"{profile.name}: {n} residues and {len(routes)} main-chain paths leave nothing to align"
        )

    sites = np.asarray(match_scores(profile, points, config)) + config.weight_calpha * points.calpha
    m = routes.shape[1]
    # One route at a time on a CPU; the matrices of eight d_std go side by side, if they are not too large.
    mesh, batch = plan_batches(len(routes), 4 * len(config.distances) * m * max(n, m), devices=devices)
    filled = -(-len(routes) // mesh.size) * mesh.size
    outcome = align_routes(
        padded(sites, RESIDUE_BLOCK, POINT_BLOCK),
        padded(points.positions, POINT_BLOCK),
        spread(routes, mesh, filled),
        spread(lengths, mesh, filled),
        padded(distance_weights(profile, config), RESIDUE_BLOCK),
        jnp.asarray(config.distances, jnp.float32),
        jnp.asarray(n),
        None if config.skip is None else jnp.asarray(config.skip, jnp.float32),
        recurrence=config.recurrence,
        band=config.band,
        end_gap=config.end_gap,
        batch=batch // mesh.size,
        mesh=mesh,
    )
    scores, aligned, distances = (np.asarray(values)[: len(routes)] for values in outcome)
    scores = scores.ravel()
    aligned, distances = (values[..., :n].reshape(-1, n) for values in (aligned, distances))
    standard = np.tile(config.distances, len(routes))

    built = aligned >= 0
    full_length = config.recurrence == "greedy" or config.end_gap is None
    sound = built.sum(axis=1) >= (n if full_length else min(n, FEWEST_RESIDUES))
    order = np.argsort(-scores, kind="stable")
    order = order[sound[order]]
    if len(order) == 0:
        raise NothingBuiltError(
            f"{profile.name}: none of {len(routes)} directed main-chain paths (the longest has {lengths.max()} points) "
            f"holds {n if full_length else min(n, FEWEST_RESIDUES)} of {n} residues; "
            "lower the contour level, or allow unbuilt ends"
        )
    positions = np.where(built[..., None], points.positions[aligned], np.nan).astype(np.float32)
    order = order[distinct(positions[order], config.redundancy_rmsd, config.models)]
    mscores = [
        paper_mscore(profile, _at_residues(points, aligned[a]), built[a], distances[a], float(standard[a]))
        for a in order
    ]
    return CalphaModels(
        positions=positions[order],
        built=built[order],
        scores=scores[order].astype(np.float32),
        mscores=np.array(mscores, np.float32),
        support=np.where(built, points.calpha[aligned], 0.0)[order].astype(np.float32),
    )


def directed_routes(paths: MainChainPaths) -> tuple[Int[np.ndarray, "r m"], Int[np.ndarray, "r"]]:
    """Every path forwards, then every path backwards, padded with its last point; and how many points are real."""
    both = [path for path in paths.paths if len(path)]
    both += [path[::-1] for path in both]
    lengths = np.array([len(path) for path in both], np.int32)
    width = -(-max(lengths, default=0) // POINT_BLOCK) * POINT_BLOCK
    routes = [np.pad(path, (0, width - len(path)), mode="edge") for path in both]
    return np.array(routes, np.int32).reshape(len(both), width), lengths


@partial(jax.jit, static_argnames=("recurrence", "band", "end_gap", "batch", "mesh"))
def align_routes(
    sites: Float[Array, "n points"],
    positions: Float[Array, "points 3"],
    routes: Int[Array, "r m"],
    lengths: Int[Array, "r"],
    weights: Float[Array, "n"],
    standard_distances: Float[Array, "d"],
    n_residues: Int[Array, ""],
    skip: Float[Array, "2"] | None,
    *,
    recurrence: str,
    band: int,
    end_gap: float | None,
    batch: int,
    mesh: Mesh | None = None,
) -> tuple[Float[Array, "r d"], Int[Array, "r d n"], Float[Array, "r d n"]]:
    """Align along every route with every d_std: scores F, points (-1: unbuilt) and distances d to the residue before.

    `sites` are M + w_Cα P_Cα by residue and point, `routes` index the points and are padded beyond `lengths`,
    `weights` are w_Cα–Cα by residue; lengths in Å. `recurrence`, `band`, `end_gap` and `skip` are those of
    AlignmentConfig, `batch` routes at a time are vectorised. With a mesh, of which the number of routes is a multiple,
    each of its devices aligns a share of them.
    """
    n, m = len(sites), routes.shape[1]
    greedy = recurrence == "greedy"
    batch_distances = min(len(standard_distances), max(1, MATRIX_CELLS // (n * m)))

    def one_route(route: Array, length: Array) -> tuple[Array, Array, Array]:
        here = sites[:, route]
        diameters = segment_diameters(positions[route], m if greedy else min(band, m))
        leaps = None if skip is None else path_leaps(positions[route], skip[0], skip[1])

        def one_distance(standard: Array) -> tuple[Array, Array, Array]:
            problem = (here, diameters, weights, standard, n_residues, length)
            score, steps = align_greedy(*problem) if greedy else align_exact(*problem, leaps, end_gap=end_gap)
            return score, jnp.where(steps >= 0, route[steps], -1), aligned_distances(steps, diameters)

        return lax.map(one_distance, standard_distances, batch_size=batch_distances)

    def share(routes: Array, lengths: Array) -> tuple[Array, Array, Array]:
        return lax.map(lambda route: one_route(*route), (routes, lengths), batch_size=None if batch == 1 else batch)

    if mesh is None or mesh.size == 1:
        return share(routes, lengths)
    rows = PartitionSpec(AXIS)
    # A loop is no batch that the compiler could split: every device runs its own.
    return jax.shard_map(share, mesh=mesh, in_specs=(rows, rows), out_specs=rows, check_vma=False)(routes, lengths)


def distinct(models: Float[np.ndarray, "k n 3"], cutoff: float, limit: int) -> list[int]:
    """Indices of at most `limit` models, best first, that lie no closer than `cutoff` Å to a better one kept.

    Models come best first, unbuilt residues NaN. Closeness is the superposed Cα RMSD over the residues built
    in both; models that share fewer than 10 residues (or the sequence's length) are taken as distinct.
    """
    kept: list[int] = []
    built = ~np.isnan(models[..., 0])
    least = min(FEWEST_RESIDUES, models.shape[1])
    candidates = np.arange(len(models))
    while len(candidates) and len(kept) < limit:
        best, candidates = candidates[0], candidates[1:]
        kept.append(int(best))
        if len(candidates):
            better = np.broadcast_to(models[best], (len(candidates), *models[best].shape))
            comparable = (built[candidates] & built[best]).sum(axis=1) >= least
            near = np.asarray(superposed_rmsd(models[candidates], better)) < cutoff
            candidates = candidates[~(comparable & near)]
    return kept


def _at_residues(points: TypedPoints, aligned: Int[np.ndarray, "n"]) -> TypedPoints:
    """The point of each residue (any point where it is unbuilt)."""
    return TypedPoints(
        positions=points.positions[aligned],
        calpha=points.calpha[aligned],
        amino_acids=points.amino_acids[aligned],
        secondary_structure=points.secondary_structure[aligned],
    )


def padded(values: np.ndarray, *blocks: int) -> Array:
    """Zeros appended to every leading axis up to a multiple of its block."""
    after = [(0, -size % block) for size, block in zip(values.shape, blocks)]
    return jnp.asarray(np.pad(values, after + [(0, 0)] * (values.ndim - len(after))), jnp.float32)
