"""MAINMAST, for comparison: mean shift and tabu search on the density itself, then ThreadCA.

What its tutorial sets for a map simulated at 5 Å is taken for such maps, elsewhere its defaults, with half the contour
level as threshold. A Cα model is all that it makes. It knows one chain.
"""

from dataclasses import replace

import numpy as np

from deepmm_jax.alignment.thread_ca import BOND_LENGTH, thread_paths
from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.benchmark.targets import Case
from deepmm_jax.config import TracingConfig
from deepmm_jax.density.resample import resample_map
from deepmm_jax.density.scaling import default_threshold
from deepmm_jax.errors import NothingBuiltError
from deepmm_jax.stages import StageRunner
from deepmm_jax.tracing.paths import trace_main_chain


SIMULATED_THRESHOLD = 9.0
"""Seeds are denser than this, in EMAN2's units, in which `simulate_map` works."""

SIMULATED_TRACING = TracingConfig(
    bandwidth=2.0,
    min_relative_density=0.3,
    keep_length=(1.0,),
    local_radius=(5.0,),
    rounds=(50,),
    tabu_length=10,
)
DEFAULT_TRACING = TracingConfig(bandwidth=2.0, min_relative_density=0.1, rounds=(5000,))

SIMULATED_BOND_LENGTH = 3.4
"""Å between neighbours; the tutorials have 3.3 and 3.4, and eight validation chains are no nearer with one of them."""

MODELS, APART = 10, 5.0
"""Models that are kept, and the Å by which they differ, as of the models that they are compared with."""


def mainmast_models(case: Case, *, simulated: bool, run: StageRunner) -> list[CalphaModels]:
    """Ranked Cα models of the one chain of a map; `simulated` says that it has EMAN2's units and 5 Å.

    Raises NothingBuiltError for several chains, and for a map without a path of a point for every residue.
    """
    if len(case.profiles) != 1:
        raise NothingBuiltError(f"MAINMAST builds one chain, and this target has {len(case.profiles)}")
    (profile,) = case.profiles
    density = run("resample", resample_map, case.density, 1.0, "trilinear")
    threshold = SIMULATED_THRESHOLD if simulated else default_threshold(density.data)
    # The tracer's threshold is a share; nothing else depends on the unit.
    volume = (np.maximum(density.data, 0.0) / density.data.max()).astype(np.float32)
    settings = SIMULATED_TRACING if simulated else DEFAULT_TRACING
    config = replace(settings, threshold=float(threshold / density.data.max()))
    paths = run("tracing", trace_main_chain, volume, density.step, density.origin, config)
    voxels = paths.points.voxels
    place = density.to_xyz(voxels).astype(np.float32)
    values = volume[tuple(voxels.T)]
    bond_length = SIMULATED_BOND_LENGTH if simulated else BOND_LENGTH
    options = {"models": MODELS, "apart": APART, "bond_length": bond_length}
    return [run("alignment", thread_paths, paths, place, values, profile, **options)]
