"""Targets of a benchmark: a name stands for a map, its sequences and the true structure, read where it is measured."""

import csv
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.spatial import KDTree

from deepmm_jax.assessment.held_out import protein_of
from deepmm_jax.density.experimental.molecule import Molecule, bond_depth, carboxylate_oxygens
from deepmm_jax.density.experimental.settings import load_simulator
from deepmm_jax.density.experimental.simulator import simulate_experimental
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc import read_map
from deepmm_jax.density.simulate import eman2_box, simulate_map
from deepmm_jax.errors import ConfigError
from deepmm_jax.files import example_path
from deepmm_jax.networks.secondary_structure import predict_secondary_structure
from deepmm_jax.sequence.fasta import profiles_from_fasta
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains


SIMULATED_RESOLUTION = 5.0
"""Å; of the paper's simulated maps."""
MANIFEST = "MANIFEST.csv"
"""Table of the maps or structures in a folder."""
ZONE = 4.0
"""Å around the atoms of a chain that a zoned copy keeps."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is measured as one.

    `simulated`: a chain at 5 Å, "1abc_A"; `example`: the same of the example that ships with the program;
    `as-measured`: a chain as `simulated-experimental-v1` shows it at a resolution (Å) of a range, "1abc_A 2.5-3.0";
    `real`: a real map, or with ":A" the density around one chain of it.
    """

    name: str
    kind: Literal["simulated", "example", "as-measured", "real"]

    @property
    def protein(self) -> str:
        """What counts once in means."""
        return protein_of(self.name) if self.kind == "real" else self.name.split()[0]

    @property
    def resolutions(self) -> str | None:
        """Range of resolutions, as "2.5-3.0"."""
        return self.name.split()[1] if self.kind == "as-measured" else None

    def sources(self, data: Path) -> list[Path]:
        """The files that it is made of, in the data folder or the program's own."""
        if self.kind == "example":
            return [example_path(f"{self.name}.pdb.gz")]
        if self.kind == "real":
            stem = self.name.partition(":")[0]
            return [data / "maps" / name for name in (f"{stem}.mrc.gz", f"{stem}.fasta", f"{stem}.pdb", MANIFEST)]
        return [data / "structures" / f"{self.name.split()[0]}.pdb.gz"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A target as it was read: the map with its resolution (Å), the sequences with predicted secondary structure, the
    true chains.
    """

    density: DensityMap
    resolution: float
    profiles: list[SequenceProfile]
    reference: list[Chain]


def read_target(target: Target, data: Path) -> Case:
    """Read a target from the data folder and simulate its map if it has none.

    Raises MapError, SequenceError, StructureError or ConfigError for files that are missing or damaged.
    """
    if target.kind == "real":
        return _real(target, data)
    (path,) = target.sources(data)
    (chain,) = read_chains(path)
    if target.resolutions is None:
        resolution = SIMULATED_RESOLUTION
        density = simulate_map(chain.positions, chain.atomic_numbers, resolution)
    else:
        low, high = map(float, target.resolutions.split("-"))
        density, resolution = as_measured(chain, target.protein, low, high)
    states = predict_secondary_structure(chain.sequence)
    profile = SequenceProfile(name=target.protein, letters=chain.sequence, secondary_structure=states)
    return Case(density=density, resolution=resolution, profiles=[profile], reference=[chain])


def as_measured(chain: Chain, name: str, low: float, high: float, seed: int = 0) -> tuple[DensityMap, float]:
    """A chain as `simulated-experimental-v1` shows it at a resolution between `low` and `high`, which comes with it; Å.

    It is alone in its box: no neighbour, whose truth were unknown, and no residuals, which only data can lend. The
    same name, range and seed give the same map.
    """
    rng = np.random.default_rng((seed, zlib.crc32(f"{name} {low}".encode())))
    resolution = rng.uniform(low, high)
    shape, origin = eman2_box(chain.positions, 10.0, 1.0)
    names = chain.atom_names
    molecule = Molecule(
        positions=chain.positions.astype(np.float32),
        atomic_numbers=chain.atomic_numbers,
        depth=bond_depth(names),
        acidic=carboxylate_oxygens(names, [chain.sequence[r] for r in chain.residue_of_atom]),
        residue_of_atom=chain.residue_of_atom.astype(np.int32),
        calpha=chain.calpha.astype(np.float32),
    )
    data = simulate_experimental(molecule.moved(np.eye(3), -origin), shape, resolution, rng, load_simulator())
    return DensityMap(data=data, step=np.ones(3), origin=origin), resolution


def manifest_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table of maps or structures. Raises ConfigError if it cannot be read."""
    try:
        with path.open(encoding="utf-8") as stream:
            return list(csv.DictReader(stream))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); check --data") from error


def _real(target: Target, data: Path) -> Case:
    volume, fasta, model, manifest = target.sources(data)
    stem = volume.name.removesuffix(".mrc.gz")
    resolution = next((float(row["resolution"]) for row in manifest_rows(manifest) if row["name"] == stem), None)
    if resolution is None:
        raise ConfigError(f"{manifest} has no row for {stem}, whose resolution is needed; add it")
    profiles, _ = profiles_from_fasta(fasta, predict_secondary_structure)
    density, reference = read_map(volume), read_chains(model)
    copy = target.name.partition(":")[2]
    if copy:
        names = ", ".join(chain.name for chain in reference)
        reference = [chain for chain in reference if chain.name == copy]
        if not reference:
            raise ConfigError(f"{model} has no chain {copy}, which --only {target.name} names; it has {names}")
        density = zoned(density, reference[0])
    return Case(density=density, resolution=resolution, profiles=profiles, reference=reference)


def zoned(density: DensityMap, chain: Chain) -> DensityMap:
    """The density within ZONE of the atoms of a chain."""
    voxels = density.to_xyz(np.argwhere(np.ones(density.shape, bool)))
    away, _ = KDTree(chain.positions).query(voxels, distance_upper_bound=ZONE)
    return density.with_data(np.where(np.isfinite(away).reshape(density.shape), density.data, 0.0).astype(np.float32))
