"""Deviation of the atoms of a model from those of the reference, in place, paired by residue and name (section 3.1)."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from deepmm_jax.assessment.correspondence import Correspondence
from deepmm_jax.structure.chain import BACKBONE, Chain


EQUIVALENT_ATOMS = {
    "D": ("OD1", "OD2"),
    "E": ("OE1", "OE2"),
    "F": ("CD1", "CD2", "CE1", "CE2"),
    "R": ("NH1", "NH2"),
    "Y": ("CD1", "CD2", "CE1", "CE2"),
}
"""Names that chemistry does not tell apart, in pairs: the naming that fits better is taken, residue by residue."""


def backbone_rmsd(model: Sequence[Chain], reference: Sequence[Chain], pairs: Correspondence) -> float | None:
    """RMSD in place over N, CA, C and O of the paired residues, Å; None if the model has only Cα there."""
    return _rmsd(model, reference, pairs, beyond=("CA",), backbone_only=True)


def all_atom_rmsd(model: Sequence[Chain], reference: Sequence[Chain], pairs: Correspondence) -> float | None:
    """RMSD in place over all heavy atoms that both have, Å; None if the model has no side chains there.

    Where the residue types differ, only the backbone is compared.
    """
    return _rmsd(model, reference, pairs, beyond=BACKBONE, backbone_only=False)


def _rmsd(
    model: Sequence[Chain],
    reference: Sequence[Chain],
    pairs: Correspondence,
    beyond: tuple[str, ...],
    backbone_only: bool,
) -> float | None:
    """RMSD over the shared atoms, None unless the model has atoms with names beyond the given ones."""
    squares: list[float] = []
    names: set[str] = set()
    for letters, ours, theirs in _paired_atoms(model, reference, pairs):
        same_type = letters[0] == letters[1]
        shared = [name for name in ours if name in theirs and (name in BACKBONE or (same_type and not backbone_only))]
        names.update(shared)
        squared = [_squared(ours[name], theirs[name]) for name in shared]
        other = _other_names(letters[0]) if same_type else {}
        if other:
            exchanged = [
                _squared(ours[other.get(name, name)], theirs[name]) for name in shared if other.get(name, name) in ours
            ]
            squared = min(squared, exchanged, key=sum) if len(exchanged) == len(squared) else squared
        squares += squared
    return float(np.sqrt(np.mean(squares))) if names - set(beyond) else None


def _paired_atoms(
    model: Sequence[Chain], reference: Sequence[Chain], pairs: Correspondence
) -> Iterator[tuple[str, dict[str, list[float]], dict[str, list[float]]]]:
    """The two letters and the atoms by name of every pair of residues."""
    ours, theirs = [_atoms_by_residue(chain) for chain in model], [_atoms_by_residue(chain) for chain in reference]
    rows = (pairs.model_chain, pairs.model_residue, pairs.reference_chain, pairs.reference_residue)
    for m, i, r, j in zip(*(row.tolist() for row in rows), strict=True):
        yield model[m].sequence[i] + reference[r].sequence[j], ours[m][i], theirs[r][j]


def _atoms_by_residue(chain: Chain) -> defaultdict[int, dict[str, list[float]]]:
    atoms: defaultdict[int, dict[str, list[float]]] = defaultdict(dict)
    for residue, name, xyz in zip(
        chain.residue_of_atom.tolist(), chain.atom_names, chain.positions.tolist(), strict=True
    ):
        atoms[residue][name] = xyz
    return atoms


def _other_names(letter: str) -> dict[str, str]:
    """Each equivalent atom of a residue type with the name it may be exchanged for."""
    names = EQUIVALENT_ATOMS.get(letter, ())
    couples = list(zip(names[::2], names[1::2], strict=True))
    return {a: b for one, two in couples for a, b in ((one, two), (two, one))}


def _squared(a: list[float], b: list[float]) -> float:
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))
