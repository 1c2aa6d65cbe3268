"""From a map and sequences to ranked models: Figure 1a, one call a box."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial import KDTree

from deepmm_jax.alignment.ranking import align_paths
from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.config import BuildConfig, TracingConfig
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mask import crop_to_density
from deepmm_jax.density.resample import resample_map
from deepmm_jax.density.scaling import default_threshold, scale_map
from deepmm_jax.errors import NothingBuiltError
from deepmm_jax.evidence.points import type_points
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.networks.checkpoints import find_checkpoint
from deepmm_jax.networks.inference import CONTEXT, predict_volumes
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.stages import StageRunner
from deepmm_jax.threading.gaps import close_gaps
from deepmm_jax.threading.models import thread_models
from deepmm_jax.threading.refinement import refine_models
from deepmm_jax.tracing.graph import PointGraph, build_graph
from deepmm_jax.tracing.paths import trace_paths
from deepmm_jax.tracing.points import find_local_dense_points


log = logging.getLogger(__name__)

OCCUPIED_RADIUS = 3.0
"""Å around a built Cα that later chains may not use."""


def build_model(
    density: DensityMap,
    chains: Sequence[SequenceProfile],
    config: BuildConfig,
    *,
    seed: int = 0,
    run: StageRunner = StageRunner(),
) -> list[CalphaModels]:
    """Ranked Cα models of every chain of a map.

    The same input, configuration and seed give the same models. Raises MapError, CheckpointError or
    NothingBuiltError.
    """
    evidence = map_evidence(density, sum(len(chain) for chain in chains), config, run=run)
    return build_chains(evidence, chains, config, seed=seed, run=run)


def map_evidence(
    density: DensityMap, n_residues: int, config: BuildConfig, *, run: StageRunner = StageRunner()
) -> Evidence:
    """Standard grid and scale, then the whole-map network (sections 2.1 and 2.2).

    The map is resampled to 1 Å, cropped to where it has density, and divided by the mean density of `n_residues`
    residues. With a contour level, voxels below half of it are no main chain. Raises MapError or CheckpointError.
    """
    network = find_checkpoint(config.network)
    resampled = run("resample", resample_map, density, 1.0, config.resampling)
    cropped = crop_to_density(resampled, default_threshold(resampled.data, config.contour), CONTEXT)
    evidence = run("evidence", predict_volumes, scale_map(cropped, n_residues), network, rotations=config.rotations)
    if config.contour is None:
        return evidence
    above = cropped.data > config.contour / 2
    return replace(evidence, main_chain=evidence.main_chain * above, calpha=evidence.calpha * above)


def build_chains(
    evidence: Evidence,
    chains: Sequence[SequenceProfile],
    config: BuildConfig,
    *,
    seed: int = 0,
    run: StageRunner = StageRunner(),
) -> list[CalphaModels]:
    """Models of each chain in the order given; each takes the main chain that the best models before it left.

    A chain that cannot be built has one model without a residue, and the log says why. Raises NothingBuiltError if
    none of them can.
    """
    models: list[CalphaModels] = []
    failures: list[str] = []
    for number, profile in enumerate(chains):
        label = "" if len(chains) == 1 else f" {number + 1}"
        free = without_occupied(evidence, models)
        try:
            models.append(trace_calpha(free, profile, config, seed=seed, run=run, label=label))
        except NothingBuiltError as reason:
            if len(chains) == 1:
                raise
            models.append(unbuilt(len(profile)))
            failures.append(f"chain{label} of {len(chains)}, {profile.name}, is not built: {reason}")
            log.warning("%s", failures[-1])
    if failures and len(failures) == len(chains):
        raise NothingBuiltError(f"none of the {len(chains)} chains can be built; {failures[0]}")
    return models


def unbuilt(n_residues: int) -> CalphaModels:
    """One model of a chain that has no residue."""
    return CalphaModels(
        positions=np.full((1, n_residues, 3), np.nan, np.float32),
        built=np.zeros((1, n_residues), bool),
        scores=np.zeros(1, np.float32),
        mscores=np.zeros(1, np.float32),
        support=np.zeros((1, n_residues), np.float32),
    )


def trace_calpha(
    evidence: Evidence, profile: SequenceProfile, config: BuildConfig, *, seed: int, run: StageRunner, label: str = ""
) -> CalphaModels:
    """Ranked Cα models of one chain, by the tracer that the settings name, and moved off the grid.

    All of it happens around the first voxel: the place of a map must not decide how positions are rounded.
    """
    here = replace(evidence, origin=np.zeros(3))
    traced = None
    if config.tracer != "threading":
        traced = tabu_then_align(here, profile, config, seed=seed, run=run, label=label)
    if traced is None or config.tracer == "both":
        settings = (config.threading, config.alignment, seed, traced)
        threaded = run(f"threading{label}", thread_models, here, profile, *settings)
        traced = run(f"gaps{label}", close_gaps, here, threaded)
    models = run(f"refinement{label}", refine_models, here, traced, profile, config.refinement)
    return replace(models, positions=(models.positions + evidence.origin).astype(np.float32))


def tabu_then_align(
    evidence: Evidence, profile: SequenceProfile, config: BuildConfig, *, seed: int, run: StageRunner, label: str = ""
) -> CalphaModels:
    """Trace the main chain, say what each of its points is, and align the sequence to it (sections 2.3 and 2.4)."""
    graph = run(f"points{label}", main_chain_graph, evidence, config.tracing)
    paths = run(f"tracing{label}", trace_paths, graph, config.tracing, seed)
    points = type_points(evidence, paths.points.positions, config.typing.pool_radius, vote=config.typing.vote)
    return run(f"alignment{label}", align_paths, paths, points, profile, config.alignment)


def main_chain_graph(evidence: Evidence, config: TracingConfig) -> PointGraph:
    """Local dense points of the main-chain probability, joined where their voxels touch."""
    place = (evidence.main_chain, evidence.step, evidence.origin)
    points = find_local_dense_points(*place, config)
    return build_graph(points, *place, bandwidth=config.bandwidth)


def without_occupied(evidence: Evidence, models: Sequence[CalphaModels]) -> Evidence:
    """The evidence with neither main chain nor Cα near the best models so far."""
    if not models:
        return evidence
    main_chain, calpha = evidence.main_chain.copy(), evidence.calpha.copy()
    ijk = np.argwhere((main_chain > 0) | (calpha > 0))
    built = np.concatenate([model.positions[0][model.built[0]] for model in models])
    xyz = evidence.origin + ijk * evidence.step
    distance, _ = KDTree(built).query(xyz, distance_upper_bound=OCCUPIED_RADIUS)  # infinite beyond
    taken = tuple(ijk[np.isfinite(distance)].T)
    main_chain[taken] = calpha[taken] = 0.0
    return replace(evidence, main_chain=main_chain, calpha=calpha)
