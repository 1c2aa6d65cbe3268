"""From a map and sequences to ranked all-atom models: Figure 1a, one call a box."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from deepmm_jax.alignment.ranking import align_paths
from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.allatom.backbone import place_backbone
from deepmm_jax.allatom.completion import (
    CA,
    calpha_only,
    complete_residues,
    given_atoms,
    lacks_atoms,
    lacks_backbone,
    with_residues,
)
from deepmm_jax.allatom.minimisation import minimise
from deepmm_jax.allatom.side_chains import place_side_chains
from deepmm_jax.allatom.values import AllAtomModel
from deepmm_jax.complexes.occupied import without_occupied
from deepmm_jax.confidence.doubts import doubts
from deepmm_jax.confidence.features import RIVALS
from deepmm_jax.config import BuildConfig, TracingConfig
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mask import crop_to_density
from deepmm_jax.density.resample import resample_map
from deepmm_jax.density.scaling import default_threshold, scale_map
from deepmm_jax.errors import NothingBuiltError
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.networks.box_inference import predict_boxes
from deepmm_jax.networks.checkpoints import find_checkpoint
from deepmm_jax.networks.inference import CONTEXT, predict_volumes
from deepmm_jax.rating import rate_models, typed, typing_of
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.stages import StageRunner
from deepmm_jax.structure.chain import Chain
from deepmm_jax.threading.gaps import close_gaps
from deepmm_jax.threading.models import thread_models
from deepmm_jax.threading.refinement import refine_models
from deepmm_jax.tracing.graph import PointGraph, build_graph
from deepmm_jax.tracing.paths import trace_paths
from deepmm_jax.tracing.points import find_local_dense_points


log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ChainModels(CalphaModels):
    """Ranked models of one chain: Cα as they were traced, and in the same order `atoms`, all heavy atoms.

    The first of `atoms` is minimised. Without the all-atom stage, or where it failed, they hold Cα alone.
    """

    atoms: tuple[AllAtomModel, ...]


def build_model(
    density: DensityMap,
    chains: Sequence[SequenceProfile],
    config: BuildConfig,
    *,
    seed: int = 0,
    run: StageRunner = StageRunner(),
) -> list[ChainModels]:
    """Ranked models of every chain of a map.

    The same input, configuration and seed give the same models on one machine. Raises MapError, CheckpointError or
    NothingBuiltError.
    """
    evidence = map_evidence(density, sum(len(chain) for chain in chains), config, run=run)
    traced = build_chains(evidence, chains, config, seed=seed, run=run)
    placed = build_atoms(density, evidence, chains, traced, config, run=run)
    atoms = minimise_best(density, placed, config, run=run)
    return [ChainModels(**vars(models), atoms=tuple(whole)) for models, whole in zip(traced, atoms, strict=True)]


def map_evidence(
    density: DensityMap, n_residues: int, config: BuildConfig, *, run: StageRunner = StageRunner()
) -> Evidence:
    """Standard grid and scale, then the whole-map network or DenseNet A (sections 2.1 and 2.2).

    The map is resampled to 1 Å, cropped to where it has density, and divided by the mean density of `n_residues`
    residues. With a contour level, voxels below half of it are no main chain. DenseNet A looks at the density as it is,
    at voxels above D₀. Raises MapError or CheckpointError.
    """
    network, *_ = [find_checkpoint(name) for name in config.networks]
    resampled = run("resample", resample_map, density, 1.0, config.resampling)
    threshold = default_threshold(resampled.data, config.contour)
    if config.evidence == "boxes":
        if config.contour is None and config.box_density is not None:
            threshold = config.box_density
        return run("evidence", predict_boxes, crop_to_density(resampled, threshold, CONTEXT), threshold, network)
    cropped = crop_to_density(resampled, threshold, CONTEXT)
    scaled = scale_map(cropped, n_residues)
    evidence = run("evidence", predict_volumes, scaled, network, rotations=config.rotations)
    evidence = replace(evidence, density=scaled.data)
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
    for label, profile in zip(chain_labels(len(chains)), chains, strict=True):
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


def chain_labels(n_chains: int) -> list[str]:
    """What ends the names of a chain's stages: its number, unless there is but one."""
    return [""] if n_chains == 1 else [f" {number + 1}" for number in range(n_chains)]


def unbuilt(n_residues: int) -> CalphaModels:
    """One model of a chain that has no residue."""
    return CalphaModels(
        positions=np.full((1, n_residues, 3), np.nan, np.float32),
        built=np.zeros((1, n_residues), bool),
        scores=np.zeros(1, np.float32),
        mscores=np.zeros(1, np.float32),
        support=np.zeros((1, n_residues), np.float32),
        confidence=np.zeros((1, n_residues), np.float32),
    )


def trace_calpha(
    evidence: Evidence, profile: SequenceProfile, config: BuildConfig, *, seed: int, run: StageRunner, label: str = ""
) -> CalphaModels:
    """Ranked Cα models of one chain, by the tracer that the settings name, moved off the grid and rated.

    All of it happens around the first voxel: the place of a map must not decide how positions are rounded.
    """
    here = replace(evidence, origin=np.zeros(3))
    wanted, traced = config.alignment.models, None
    # How far a model can be believed must not depend on how many are asked for.
    config = replace(config, alignment=replace(config.alignment, models=max(wanted, RIVALS)))
    if config.tracer != "threading":
        traced = tabu_then_align(here, profile, config, seed=seed, run=run, label=label)
    if traced is None or config.tracer == "both":
        settings = (config.threading, config.alignment, seed, traced)
        threaded = run(f"threading{label}", thread_models, here, profile, *settings)
        traced = run(f"gaps{label}", close_gaps, here, threaded)
    models = run(f"refinement{label}", refine_models, here, traced, profile, config.refinement)
    models = run(f"confidence{label}", rate_models, here, models, profile, config.alignment, *typing_of(config))
    models = first_models(models, wanted)
    for doubt in doubts(models):
        log.warning("%s: of the best model: %s", profile.name, doubt)
    return replace(models, positions=(models.positions + evidence.origin).astype(np.float32))


def first_models(models: CalphaModels, count: int) -> CalphaModels:
    """The best `count` models."""
    names = [field.name for field in fields(models)]
    return replace(models, **{name: rows[:count] for name in names if (rows := getattr(models, name)) is not None})


def tabu_then_align(
    evidence: Evidence, profile: SequenceProfile, config: BuildConfig, *, seed: int, run: StageRunner, label: str = ""
) -> CalphaModels:
    """Trace the main chain, say what each of its points is, and align the sequence to it (sections 2.3 and 2.4)."""
    graph = run(f"points{label}", main_chain_graph, evidence, config.tracing)
    paths = run(f"tracing{label}", trace_paths, graph, config.tracing, seed)
    points = run(f"types{label}", typed, evidence, paths.points.positions, *typing_of(config))
    return run(f"alignment{label}", align_paths, paths, points, profile, config.alignment)


def main_chain_graph(evidence: Evidence, config: TracingConfig) -> PointGraph:
    """Local dense points of the main-chain probability, joined where their voxels touch."""
    place = (evidence.main_chain, evidence.step, evidence.origin)
    points = find_local_dense_points(*place, config)
    return build_graph(points, *place, bandwidth=config.bandwidth)


def build_atoms(
    density: DensityMap,
    evidence: Evidence,
    chains: Sequence[SequenceProfile],
    models: Sequence[CalphaModels],
    config: BuildConfig,
    *,
    run: StageRunner = StageRunner(),
) -> list[list[AllAtomModel]]:
    """All heavy atoms of the models of each chain, in their order; `density` is the map as it was read.

    A chain whose atoms cannot be placed keeps its Cα, and the log says why.
    """
    atoms = [calpha_only(ranked, profile.letters) for ranked, profile in zip(models, chains, strict=True)]
    if config.until != "allatom":
        return atoms
    for number, label in enumerate(chain_labels(len(chains))):
        if not models[number].built.any():
            continue
        try:
            atoms[number] = place_atoms(density, evidence, chains[number], models[number], run=run, label=label)
        except Exception as reason:  # whatever it is, it must not cost the Cα model
            log.warning("chain%s keeps its Cα alone, other atoms cannot be placed: %r", label, reason, exc_info=True)
    return atoms


def place_atoms(
    density: DensityMap,
    evidence: Evidence,
    profile: SequenceProfile,
    models: CalphaModels,
    *,
    run: StageRunner,
    label: str = "",
) -> list[AllAtomModel]:
    """Backbone and side chains of every model of one chain (section 2.5, where ctrip does it)."""
    traces = (models.positions, models.built, profile.letters)
    backbones = run(f"backbone{label}", place_backbone, *traces, evidence, density)
    return run(f"side chains{label}", place_side_chains, backbones, density)


def minimise_best(
    density: DensityMap,
    atoms: Sequence[Sequence[AllAtomModel]],
    config: BuildConfig,
    *,
    run: StageRunner = StageRunner(),
) -> list[list[AllAtomModel]]:
    """The same models, the best of all chains minimised together in the density (section 2.5, where Amber does it).

    Chains that hold Cα alone stay as they are, and so do all if it fails; the log says why.
    """
    whole = [number for number, ranked in enumerate(atoms) if complete_residues(ranked[0]).any()]
    out = [list(ranked) for ranked in atoms]
    if not whole or not config.minimisation.enabled:
        return out
    try:
        best = run("minimisation", minimise, [atoms[number][0] for number in whole], density, config.minimisation)
    except Exception as reason:
        log.warning("the best model is not minimised: %r", reason, exc_info=True)
        return out
    for number, model in zip(whole, best, strict=True):
        out[number][0] = model
    return out


def complete_atoms(
    density: DensityMap, chains: Sequence[Chain], *, run: StageRunner = StageRunner()
) -> list[AllAtomModel]:
    """The chains of a known model with all heavy atoms; `completion.as_given` makes chains of them again.

    Residues that are complete keep their atoms; the others get a backbone where theirs is not, and a side chain. The
    map is the only evidence.
    """
    models = []
    for label, chain in zip(chain_labels(len(chains)), chains, strict=True):
        model = given_atoms(chain)
        if lacks_backbone(model).any():
            calpha = (model.positions[None, :, CA], model.mask[None, :, CA])
            (placed,) = run(f"backbone{label}", place_backbone, *calpha, model.letters, None, density)
            model = with_residues(model, placed, lacks_backbone(model))
        if lacks_atoms(model).any():
            (placed,) = run(f"side chains{label}", place_side_chains, [model], density)
            model = with_residues(model, placed, lacks_atoms(model))
        models.append(model)
    return models
