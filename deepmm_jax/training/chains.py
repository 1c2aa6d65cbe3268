"""Training chains: everything an example is cut from, as arrays, read once."""

import csv
import gzip
import hashlib
import os
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from deepmm_jax.constants import SECONDARY_STRUCTURES
from deepmm_jax.density.experimental.molecule import Molecule, bond_depth, carboxylate_oxygens
from deepmm_jax.errors import StructureError
from deepmm_jax.evidence.ideal import ATOM_KINDS
from deepmm_jax.files import atomic_path
from deepmm_jax.sequence.profile import encode_letters
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.secondary_structure import assign_secondary_structure


LONGEST_CHAIN = 512
"""Residue slots of a training example."""


@dataclass(frozen=True, kw_only=True)
class TrainingChain:
    """Arrays of one chain. `kind` is the index in `ATOM_KINDS` (-1 for other atoms), `depth` the bonds from the
    main chain, `acidic` marks carboxylate oxygens (weak in real maps); positions in Å."""

    name: str
    positions: np.ndarray
    atomic_numbers: np.ndarray
    kind: np.ndarray
    depth: np.ndarray
    acidic: np.ndarray
    residue_of_atom: np.ndarray
    calpha: np.ndarray
    amino_acids: np.ndarray
    states: np.ndarray

    @property
    def molecule(self) -> Molecule:
        """The atoms as the simulator wants them, in a frame whose origin is voxel 0."""
        return Molecule(
            positions=self.positions,
            atomic_numbers=self.atomic_numbers,
            depth=self.depth,
            acidic=self.acidic,
            residue_of_atom=self.residue_of_atom,
            calpha=self.calpha,
        )


def as_training_chain(chain: Chain) -> TrainingChain:
    """The arrays of a chain."""
    names = chain.atom_names
    letters = [chain.sequence[r] for r in chain.residue_of_atom]
    return TrainingChain(
        name=chain.name,
        positions=chain.positions.astype(np.float32),
        atomic_numbers=chain.atomic_numbers,
        kind=np.array([ATOM_KINDS.index(n) if n in ATOM_KINDS else -1 for n in names], np.int8),
        depth=bond_depth(names),
        acidic=carboxylate_oxygens(names, letters),
        residue_of_atom=chain.residue_of_atom.astype(np.int32),
        calpha=chain.calpha.astype(np.float32),
        amino_acids=encode_letters(chain.sequence),
        states=np.array([SECONDARY_STRUCTURES.index(s) for s in assign_secondary_structure(chain)], np.int32),
    )


def _load(path: Path) -> TrainingChain:
    return as_training_chain(read_chains(path)[0])


def load_training_chains(structures: Path, names: list[str]) -> list[TrainingChain]:
    """Chains `NAME.pdb.gz` of a folder, in the given order; parsed once, then kept in the user's cache directory.

    Parsing starts processes, so that a script that calls this needs `if __name__ == "__main__":`.
    """
    paths = [structures.resolve() / f"{name}.pdb.gz" for name in names]
    for path in paths:
        if not path.is_file():
            raise StructureError(f"{path} does not exist; check --data and the list of training chains")
    # The name of the cache changes with the files and with what is kept of them.
    contents = [f"{path} {path.stat().st_mtime_ns}" for path in paths] + [f.name for f in fields(TrainingChain)]
    digest = hashlib.sha256("\n".join(contents).encode()).hexdigest()[:16]
    root = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    cache = root / "deepmm-jax" / f"chains-{digest}.pickle.gz"
    if cache.is_file():
        with gzip.open(cache, "rb") as stream:
            return pickle.load(stream)
    # Not forked: JAX has threads, and a lock that one of them holds would stay shut in the child.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        chains = list(pool.map(_load, paths, chunksize=16))
    for chain, path in zip(chains, paths, strict=True):
        if len(chain.calpha) > LONGEST_CHAIN:
            raise StructureError(
                f"{path} has {len(chain.calpha)} residues; an example holds {LONGEST_CHAIN}, leave it out of the list"
            )
    cache.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(cache) as partial, gzip.open(partial, "wb", compresslevel=1) as stream:
        pickle.dump(chains, stream)
    return chains


def training_names(structures: Path | None = None) -> list[str]:
    """Chains to learn from: those of the folder's own `train.txt` if it has one, else of the package's list.

    A name and the SHA-256 of its file a line.
    """
    own = own_list(structures)
    package = files("deepmm_jax.training").joinpath("lists", "train.txt")
    text = package.read_text() if own is None else own.read_text()
    return [line.split()[0] for line in text.splitlines()]


def own_list(structures: Path | None) -> Path | None:
    """The folder's own list of chains to learn from, None without one."""
    own = None if structures is None else structures / "train.txt"
    return own if own is not None and own.is_file() else None


def source_of_names(structures: Path, given: list[str] | None) -> str:
    """What a card says of where the training chains are listed, if the caller has `given` some or none."""
    if given is not None:
        return "given by the caller"
    return "deepmm_jax/training/lists/train.txt" if own_list(structures) is None else "train.txt of the data folder"


def split_names(structures: Path, split: str) -> list[str]:
    """Names in one split (`train`, `val`, `test`) of the folder's MANIFEST.csv, in its order."""
    manifest = structures / "MANIFEST.csv"
    if not manifest.is_file():
        raise StructureError(f"{manifest} does not exist; set DEEPMM_JAX_DATA to the folder that holds structures/")
    with manifest.open() as stream:
        names = [row["name"] for row in csv.DictReader(stream) if row["split"] == split]
    if not names:
        raise StructureError(
            f"{manifest} has no chain of the split {split}; make the set of more chains, or with --validation above 0"
        )
    return names
