"""Real maps to learn from: on the standard grid and scale, with the arrays of their models, read once.

The committed list `lists/real-maps.txt` says which; no map of a protein that is held out may be among them.
"""

import gzip
import hashlib
import os
import pickle
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import scipy.fft
from jaxtyping import Bool, Int
from scipy.ndimage import binary_dilation

from deepmm_jax.assessment.held_out import HELD_OUT
from deepmm_jax.density.experimental.atoms import atom_density
from deepmm_jax.density.experimental.masks import distance_to_atoms
from deepmm_jax.density.experimental.molecule import Molecule
from deepmm_jax.density.experimental.noise import Noise, coloured_noise, signal_to_noise
from deepmm_jax.density.experimental.residuals import continued, radial_rms, residual
from deepmm_jax.density.experimental.spectrum import TABLE, PostProcessing, post_processing_gain, radial, to_map
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc import read_map
from deepmm_jax.density.resample import resample_map
from deepmm_jax.density.scaling import contour_level, top_volume_scale
from deepmm_jax.errors import MapError
from deepmm_jax.structure.read import read_chains
from deepmm_jax.training.chains import TrainingChain, as_training_chain


NOT_LEARNT_FROM = frozenset({"related", "misfit"})
"""Notes of maps that are never learnt from, though they may be validated on or lend their noise."""

MODEL_B = 75.0
"""Å²; B of all atoms before the radial fit to a map: just wide enough for a grid of 1 Å."""

LONGEST_BOND = 4.5
"""Å; Cα further apart than this are not neighbours in the chain."""

CACHE_VERSION = 2
"""To be raised when `_load` changes what it makes of the same files."""


@dataclass(frozen=True, kw_only=True)
class ListedMap:
    """A line of the committed list; maps of one `group` hold one protein or its relatives."""

    name: str
    group: str
    resolution: float
    notes: frozenset[str]
    map_digest: str
    model_digest: str


@dataclass(frozen=True, kw_only=True)
class RealMap:
    """A real map on a grid of 1 Å, protein about 1, with its model.

    `chain` holds the atoms of all protein chains, in Å; `chain_of_residue` numbers stretches without a break.
    `support` marks voxels that the source did not set to zero, `labelled` those where the model tells the truth:
    elsewhere the map shows molecules that the model lacks, and nothing is to be learned. `notes`: weak (part of the
    model has hardly any density), docked (not the deposited model), interpolated (most voxels follow from others),
    unmodelled (see `labelled`), related (to a test chain), misfit (of a docked model), deposited (none of these).
    """

    name: str
    group: str
    resolution: float
    notes: frozenset[str]
    density: DensityMap
    chain: TrainingChain
    chain_of_residue: Int[np.ndarray, "m"]
    support: Bool[np.ndarray, "nx ny nz"]
    labelled: Bool[np.ndarray, "nx ny nz"]

    @property
    def molecule(self) -> Molecule:
        """The model's atoms in voxels of the map."""
        return self.chain.molecule.moved(np.eye(3), -self.density.origin)


def listed_maps(folder: Path | None = None) -> list[ListedMap]:
    """Real maps to learn from: those of the folder's own `real-maps.txt` if it has one, else of the committed list."""
    own = None if folder is None else folder / "real-maps.txt"
    package = files("deepmm_jax.training").joinpath("lists", "real-maps.txt")
    lines = (own.read_text() if own is not None and own.is_file() else package.read_text()).splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    return [
        ListedMap(
            name=name, group=group, resolution=float(resolution), notes=frozenset(notes.split(",")),
            map_digest=map_digest, model_digest=model_digest,
        )
        for name, group, resolution, notes, map_digest, model_digest in rows
    ]  # fmt: skip


def load_real_maps(data: Path, names: Iterable[str] | None = None) -> list[RealMap]:
    """Listed maps of the folder `data`/maps (all, or those named, in that order), kept in the user's cache directory.

    Raises MapError for a map that is held out or not listed, and for a file that is missing or not the listed one.
    """
    listed = {row.name: row for row in listed_maps(data / "maps")}
    rows = []
    for name in listed if names is None else names:
        if name.startswith(HELD_OUT):
            raise MapError(f"{name} is held out for reporting; never train on it, choose from {', '.join(listed)}")
        if name not in listed:
            raise MapError(f"{name} is not in the list of real maps; choose from {', '.join(listed)}")
        rows.append(listed[name])
    contents = [row.map_digest + row.model_digest for row in rows]
    contents += [f"{kind.__name__} {f.name}" for kind in (RealMap, TrainingChain) for f in fields(kind)]
    digest = hashlib.sha256("\n".join([str(CACHE_VERSION), *contents]).encode()).hexdigest()[:16]
    root = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    cache = root / "deepmm-jax" / f"real-maps-{digest}.pickle.gz"
    if cache.is_file():
        with gzip.open(cache, "rb") as stream:
            return pickle.load(stream)
    maps = [_load(data / "maps", row) for row in rows]
    cache.parent.mkdir(parents=True, exist_ok=True)
    partial = cache.with_suffix(f".{os.getpid()}")
    with gzip.open(partial, "wb", compresslevel=1) as stream:
        pickle.dump(maps, stream)
    partial.replace(cache)
    return maps


def residuals_of(real_maps: Sequence[RealMap]) -> list[np.ndarray]:
    """Residuals (1 Å grid, unit variance) of maps against their models, continued beyond the maps' supports.

    Maps whose voxels were interpolated or that show what the model lacks are left out: theirs is not noise.
    """
    out = []
    for real in real_maps:
        if real.notes & {"interpolated", "unmodelled"}:
            continue
        molecule = real.molecule
        # Radiation and motion weaken side chains, and carboxylates most of all.
        side = (molecule.depth >= 2) & ~molecule.acidic
        b = np.full(len(side), MODEL_B, np.float32)
        parts = [
            atom_density(molecule, part.astype(np.float32), b, real.density.shape)
            for part in (~side & ~molecule.acidic, side, molecule.acidic)
        ]
        difference = residual(real.density.data, np.stack(parts), real.support)
        out.append(continued(difference, real.support, np.random.default_rng(0)))
    return out


def blurred(real: RealMap, rng: np.random.Generator, coarsest: float = 5.0) -> RealMap:
    """The map as a worse reconstruction might show it, at a random resolution between its own and `coarsest` (Å).

    The low-pass takes amplitudes down to exp(-1.5) at most of what they were at the new resolution, and coloured noise
    brings the model-map FSC to about 0.5 there. Zoned maps stay zoned.
    """
    resolution = float(rng.uniform(min(real.resolution + 0.2, coarsest), coarsest))
    post = PostProcessing(fall_off=rng.uniform(0.0, 1.5), edge=rng.uniform(0.03, 0.1))
    shape = real.density.shape
    gain = post_processing_gain(TABLE, post, resolution, np.ones_like(TABLE), 0.0)
    signal = to_map(np.asarray(scipy.fft.rfftn(real.density.data)) * radial(gain, shape), shape)
    noise = Noise(strength=1.0, half=rng.uniform(0.9, 1.15), slope=rng.uniform(3.0, 7.0))
    ssnr = signal_to_noise(TABLE, noise, resolution)
    # The signal's power is that of the support; spread evenly over the box, noise needs more of it.
    level = radial_rms(signal) / np.sqrt(ssnr * real.support.mean() * signal.size)
    data = np.where(real.support, signal + coloured_noise(shape, level, rng), 0).astype(np.float32)
    data /= np.float32(top_volume_scale(data, 1.0, _residues(real.notes, len(real.chain.calpha))))
    return replace(real, density=real.density.with_data(data), resolution=resolution)


def merge_chains(chains: Sequence[TrainingChain], name: str) -> tuple[TrainingChain, Int[np.ndarray, "m"]]:
    """All atoms of several chains as one, and the number of the unbroken stretch that each residue belongs to."""
    starts = np.cumsum([0, *(len(chain.calpha) for chain in chains)])
    merged = {
        field.name: np.concatenate([getattr(chain, field.name) for chain in chains])
        for field in fields(TrainingChain)
        if field.name not in ("name", "residue_of_atom")
    }
    merged["residue_of_atom"] = np.concatenate(
        [chain.residue_of_atom + start for chain, start in zip(chains, starts.tolist())]
    ).astype(np.int32)
    whole = TrainingChain(name=name, **merged)
    broken = np.linalg.norm(np.diff(whole.calpha, axis=0), axis=1) > LONGEST_BOND
    broken[starts[1:-1] - 1] = True
    return whole, np.concatenate([[0], np.cumsum(broken)]).astype(np.int32)


def labelled_voxels(
    data: np.ndarray, distance: np.ndarray, contour: float, near: float = 3.0, reach: int = 2
) -> Bool[np.ndarray, "nx ny nz"]:
    """Where a model that lacks part of the map still tells the truth.

    Not within `reach` voxels of density above half the `contour` that lies beyond `near` Å of the model, unless nearer
    than that to the model. `distance` (Å) is from the nearest atom.
    """
    foreign = (data > contour / 2) & (distance > near)
    return (distance <= near) | ~np.asarray(binary_dilation(foreign, iterations=reach), bool)


def _load(folder: Path, row: ListedMap) -> RealMap:
    for path, digest in (
        (folder / f"{row.name}.mrc.gz", row.map_digest),
        (folder / f"{row.name}.pdb", row.model_digest),
    ):
        if not path.is_file():
            raise MapError(f"{path} does not exist; set DEEPMM_JAX_DATA to the folder that holds maps/")
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise MapError(f"{path} is not the file that the list of real maps names; fetch the data again")
    source = read_map(folder / f"{row.name}.mrc.gz")
    chains = [as_training_chain(chain) for chain in read_chains(folder / f"{row.name}.pdb")]
    chain, chain_of_residue = merge_chains(chains, row.name)
    density = resample_map(source)
    scale = top_volume_scale(density.data, 1.0, _residues(row.notes, len(chain.calpha)))
    density = density.with_data((density.data / scale).astype(np.float32))
    nearest = [np.rint(np.arange(n) / step).astype(int) for n, step in zip(density.shape, source.step)]
    labelled = np.ones(density.shape, bool)
    if "unmodelled" in row.notes:
        distance = distance_to_atoms(density.to_grid(chain.positions).astype(np.float32), density.shape, 9.0)
        labelled = labelled_voxels(density.data, distance, contour_level(density.data))
    return RealMap(
        name=row.name,
        group=row.group,
        resolution=row.resolution,
        notes=row.notes,
        density=density,
        chain=chain,
        chain_of_residue=chain_of_residue,
        support=(source.data != 0)[np.ix_(*nearest)],
        labelled=labelled,
    )


def _residues(notes: frozenset[str], modelled: int) -> int | None:
    """Residues to scale by; unknown where a map shows more than its model."""
    return None if "unmodelled" in notes else modelled
