"""What a training set must not be related to: sequences and folds of the chains that figures are reported on."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from deepmm_jax.errors import SequenceError
from deepmm_jax.sequence.fasta import read_fasta
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax.training.curation.sources import is_structure_file, read_structure_folder


FASTA = (".fasta", ".fa", ".faa", ".fas")


def read_excluded(paths: Iterable[Path]) -> dict[str, str]:
    """Letters, by name, of FASTA files, structures, and folders of them.

    Of a folder whose MANIFEST.csv tells splits only the chains that are not for training count.
    Raises SequenceError for a folder without either, and what `read_fasta` and `read_chains` raise.
    """
    out: dict[str, str] = {}
    for path in paths:
        if path.is_dir():
            out |= _of_folder(path)
        elif is_structure_file(path):
            out |= {f"{path.name} {chain.name}": chain.sequence for chain in read_chains(path)}
        else:
            out |= {f"{path.name} {record.name}": record.letters for record in read_fasta(path)}
    return out


def read_folds(folder: Path) -> dict[str, np.ndarray]:
    """Cα positions (Å) of every chain in the structures of a folder, those for training left out as above."""
    return {name: chain.calpha for name, chain in _reported(folder)}


def _of_folder(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.iterdir() if path.name.lower().removesuffix(".gz").endswith(FASTA))
    structures = [path for path in folder.iterdir() if is_structure_file(path)]
    if files:
        return read_excluded(files)
    if not structures:
        raise SequenceError(f"{folder} holds neither sequences nor structures; give FASTA, PDB or mmCIF files")
    return {name: chain.sequence for name, chain in _reported(folder)}


def _reported(folder: Path) -> Iterator[tuple[str, Chain]]:
    """Every chain of a folder that is not for training, with a name."""
    for source in read_structure_folder(folder):
        if source.split != "train":
            for chain in read_chains(source.structure):
                yield f"{source.name} {chain.name}", chain
