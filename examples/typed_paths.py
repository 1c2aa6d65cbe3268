"""Chains as a noisy map shows them: main-chain paths and what the network says of each of their points.

What both other examples learn from. Every chain is simulated once as `simulated-experimental-v1` shows it, at a
resolution of its own, seen by the shipped network and traced; the longest path is turned to run from N to C.
"""

import os
import pickle
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial import KDTree

from deepmm_jax.config import PRESETS
from deepmm_jax.density.experimental.settings import load_simulator
from deepmm_jax.density.experimental.simulator import simulate_experimental
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mask import crop_to_density
from deepmm_jax.density.scaling import default_threshold, scale_map
from deepmm_jax.density.simulate import eman2_box
from deepmm_jax.evidence.points import interpolate, type_points
from deepmm_jax.evidence.volumes import TypedPoints
from deepmm_jax.networks.checkpoints import find_checkpoint
from deepmm_jax.networks.inference import CONTEXT, predict_volumes
from deepmm_jax.networks.secondary_structure import predict_secondary_structure
from deepmm_jax.pipeline import main_chain_graph
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax.tracing.paths import trace_paths
from deepmm_jax.training.chains import as_training_chain, split_names, training_names


CONFIG = PRESETS["experimental"]
SEARCH = replace(CONFIG.tracing, trajectories=2, rounds=(30,))
RESOLUTIONS = 3.0, 4.5
"""Å; better maps leave little doubt of the register."""


@dataclass(frozen=True, kw_only=True)
class TypedPath:
    """One chain; positions in Å from the first voxel of the scaled map.

    `votes` are the places, in voxels, where the points see their Cα, and from which their types are taken.
    """

    name: str
    resolution: float
    density: DensityMap
    profile: SequenceProfile
    points: TypedPoints
    votes: np.ndarray
    calpha: np.ndarray


def data_folder() -> Path:
    """The folder of structures: DEEPMM_JAX_DATA, else beside the repository."""
    return Path(os.environ.get("DEEPMM_JAX_DATA") or "../shared/data")


def chosen_names(data: Path, split: str, longest: int) -> Iterator[str]:
    """Chains of 40 to `longest` residues in a random order, from those to `train` on or those of `val`."""
    names = training_names() if split == "train" else split_names(data / "structures", split)
    for i in np.random.default_rng(0).permutation(len(names)):
        if 40 <= len(read_chains(data / "structures" / f"{names[i]}.pdb.gz")[0]) <= longest:
            yield names[i]


def kept_path(data: Path, name: str, cache: Path) -> TypedPath:
    """The path of a chain, from the folder `cache` where it has been traced before."""
    cache.mkdir(parents=True, exist_ok=True)
    kept = cache / f"{name}.pkl"
    if not kept.exists():
        kept.write_bytes(pickle.dumps(typed_path(read_chains(data / "structures" / f"{name}.pdb.gz")[0], name)))
    return pickle.loads(kept.read_bytes())


def typed_path(chain: Chain, name: str) -> TypedPath:
    """A chain from its simulated map to typed points on its longest path."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    resolution = float(rng.uniform(*RESOLUTIONS))
    shape, origin = eman2_box(chain.positions, 10.0, 1.0)
    molecule = as_training_chain(chain).molecule.moved(np.eye(3), -origin)
    data = simulate_experimental(molecule, shape, resolution, rng, load_simulator())
    density = DensityMap(data=data, step=np.ones(3), origin=origin)
    density = scale_map(crop_to_density(density, default_threshold(data, None), CONTEXT), len(chain))
    evidence = predict_volumes(density, find_checkpoint(CONFIG.network))
    here = replace(evidence, origin=np.zeros(3))
    paths = trace_paths(main_chain_graph(here, SEARCH), SEARCH, 0)
    route = max(paths.paths, key=len)
    calpha = (chain.calpha - evidence.origin).astype(np.float32)
    along = KDTree(calpha).query(paths.points.positions[route])[1]
    if np.corrcoef(np.arange(len(route)), along)[0, 1] < 0:
        route = route[::-1]
    positions = paths.points.positions[route]
    structure = predict_secondary_structure(chain.sequence)
    assert here.offset is not None, "the shipped network has this head"
    return TypedPath(
        name=name,
        resolution=resolution,
        density=density,
        profile=SequenceProfile(name=name, letters=chain.sequence, secondary_structure=structure),
        points=type_points(here, positions, CONFIG.typing.pool_radius, vote=CONFIG.typing.vote),
        votes=(positions + interpolate(here.offset, positions)).astype(np.float32),
        calpha=calpha,
    )
