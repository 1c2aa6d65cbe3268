"""Hydrogens whose places follow from the heavy atoms: those on carbon, amides, guanidinium and indole.

Left out are those that turn freely or may be absent (hydroxyl, thiol, amino groups, the imidazole of histidine, the
first residue's N): they point where there is room. Methyl groups are staggered. Bonds reach to the hydrogen's electron
cloud, as X-rays see it (Deis et al. 2013).
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from deepmm_jax.structure.engh_huber import BONDS
from deepmm_jax.structure.residue_atoms import LETTERS, SLOT, ResidueAtoms, before


ALIPHATIC, AROMATIC, POLAR = 0.97, 0.93, 0.86
"""Å: C–H, C–H of rings, N–H."""
_TETRAHEDRAL, _HALF_CH2, _TRIGONAL = np.radians([109.5, 54.0, 120.0])

_AROMATIC = {"F": "CD1 CD2 CE1 CE2 CZ", "Y": "CD1 CD2 CE1 CE2", "H": "CD2 CE1", "W": "CD1 CE3 CZ2 CZ3 CH2"}
_POLAR = {"R": "NE NH1 NH2", "N": "ND2", "Q": "NE2", "W": "NE1"}
_BARE_CARBONS = {
    "D": "CG", "E": "CD", "F": "CG", "H": "CG", "N": "CG", "Q": "CD", "R": "CZ", "W": "CG CD2 CE2", "Y": "CG CZ",
}  # fmt: skip
"""Side-chain carbons without hydrogen."""


class Bearer(NamedTuple):
    """A heavy atom with hydrogens: its `parent` name, its neighbours, and for an end `beyond`, next but one."""

    parent: str
    neighbours: tuple[str, ...]
    beyond: str
    length: float


@dataclass(frozen=True, kw_only=True)
class Hydrogens:
    """`positions` in Å, the residue and the atom (place in `SLOT`) that each is bonded to, and what kind it is."""

    positions: Float[np.ndarray, "h 3"]
    residue: Int[np.ndarray, "h"]
    parent: Int[np.ndarray, "h"]
    polar: Bool[np.ndarray, "h"]
    aromatic: Bool[np.ndarray, "h"]


@cache
def bearers(letter: str) -> tuple[Bearer, ...]:
    """Heavy atoms of a residue type whose hydrogens are placed, the main-chain N left out."""
    bonded: dict[str, list[str]] = {}
    for bond in BONDS[letter]:
        for one, other in (bond.atoms, bond.atoms[::-1]):
            bonded.setdefault(one, []).append(other)
    bare = ("C", *_BARE_CARBONS.get(letter, "").split())
    found = []
    for name, neighbours in bonded.items():
        polar = name in _POLAR.get(letter, "").split()
        if polar or (name.startswith("C") and name not in bare and letter != "X"):
            aromatic = name in _AROMATIC.get(letter, "").split()
            beyond = next((other for other in bonded[neighbours[0]] if other != name), name)
            length = POLAR if polar else AROMATIC if aromatic else ALIPHATIC
            found.append(Bearer(name, tuple(neighbours), beyond, length))
    return tuple(found)


def place_hydrogens(atoms: ResidueAtoms) -> Hydrogens:
    """The hydrogens of all residues whose atoms around them are there."""
    places, residues, parents, lengths = [], [], [], []

    def add(rows: np.ndarray, parent: str, length: float, positions: np.ndarray) -> None:
        known = np.isfinite(positions).all(axis=1)
        places.append(positions[known])
        residues.append(rows[known])
        parents.append(np.full(known.sum(), SLOT[parent]))
        lengths.append(np.full(known.sum(), length))

    amide = np.flatnonzero(atoms.joined & (atoms.letters != LETTERS.index("P")))
    n = atoms.atom("N")[amide]
    away = _sum_of_units(n, before(atoms.atom("C"))[amide], atoms.atom("CA")[amide])
    add(amide, "N", POLAR, n - POLAR * _unit(away))
    for letter in LETTERS:
        rows = atoms.of(letter)
        for parent, neighbours, beyond, length in bearers(letter) if len(rows) else ():
            around = [atoms.atom(name)[rows] for name in (parent, *neighbours)]
            for position in _places(around, atoms.atom(beyond)[rows], length):
                add(rows, parent, length, position)
    length = np.concatenate(lengths)
    return Hydrogens(
        positions=np.concatenate(places),
        residue=np.concatenate(residues),
        parent=np.concatenate(parents),
        polar=length == POLAR,
        aromatic=length == AROMATIC,
    )


def _places(around: list[np.ndarray], beyond: np.ndarray, length: float) -> list[np.ndarray]:
    """Hydrogens of an atom (the first of `around`) by how many neighbours it has."""
    parent, *neighbours = around
    if len(neighbours) == 1:  # NH2 in the plane, or CH3 staggered
        planar = length == POLAR
        turns = np.radians([0.0, 180.0] if planar else [60.0, 180.0, 300.0])
        angle = _TRIGONAL if planar else _TETRAHEDRAL
        return [_turned(parent, neighbours[0], beyond, length, angle, turn) for turn in turns]
    away = -_unit(_sum_of_units(parent, *neighbours))
    if len(neighbours) == 3 or length != ALIPHATIC:  # CH, or in a plane
        return [parent + length * away]
    across = _unit(np.cross(neighbours[0] - parent, neighbours[1] - parent))
    return [parent + length * (np.cos(_HALF_CH2) * away + s * np.sin(_HALF_CH2) * across) for s in (1.0, -1.0)]


def _turned(
    parent: np.ndarray, neighbour: np.ndarray, beyond: np.ndarray, length: float, angle: float, torsion: float
) -> np.ndarray:
    """The atom bonded to `parent` at an angle to `neighbour` and a torsion to `beyond` (radians)."""
    axis = _unit(parent - neighbour)
    normal = _unit(np.cross(neighbour - beyond, axis))
    cross = np.cross(normal, axis)
    out = np.cos(torsion) * cross + np.sin(torsion) * normal
    return parent + length * (-np.cos(angle) * axis + np.sin(angle) * out)


def _sum_of_units(origin: np.ndarray, *others: np.ndarray) -> np.ndarray:
    return np.sum([_unit(other - origin) for other in others], axis=0)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
