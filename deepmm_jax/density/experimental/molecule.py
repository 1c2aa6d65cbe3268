"""What is simulated: atoms in the box of a map, and where a neighbouring molecule may lie."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation


BACKBONE_DEPTH = {"N": 0, "CA": 0, "C": 0, "O": 1, "CB": 1, "OXT": 1}
"""Bonds from the main chain; later side-chain atoms follow by the letter of their name (γ 2, δ 3, ε 4, ζ 5, η 6)."""


@dataclass(frozen=True, kw_only=True)
class Molecule:
    """Atoms of one molecule; positions in voxels of 1 Å, the centre of the box's first voxel being the origin.

    `depth` counts bonds from the main chain, `acidic` marks carboxylate oxygens, and `residue_of_atom` is the row
    of `calpha`. Atoms may lie outside the box.
    """

    positions: Float[np.ndarray, "n 3"]
    atomic_numbers: Num[np.ndarray, "n"]
    depth: Num[np.ndarray, "n"]
    acidic: Bool[np.ndarray, "n"]
    residue_of_atom: Int[np.ndarray, "n"]
    calpha: Float[np.ndarray, "m 3"]

    def moved(self, turn: Float[np.ndarray, "3 3"], shift: Float[np.ndarray, "3"]) -> "Molecule":
        """The molecule with every x at turn·x + shift."""
        return replace(
            self,
            positions=(self.positions @ turn.T + shift).astype(np.float32),
            calpha=(self.calpha @ turn.T + shift).astype(np.float32),
        )


def bond_depth(atom_names: Sequence[str]) -> Float[np.ndarray, "n"]:
    """Bonds between the main chain and atoms of these PDB names."""
    depth = [BACKBONE_DEPTH.get(name, 1 + max(0, "BGDEZH".find(name[1:2]))) for name in atom_names]
    return np.array(depth, np.float32)


def carboxylate_oxygens(atom_names: Sequence[str], letters: Sequence[str]) -> Bool[np.ndarray, "n"]:
    """Which atoms of these PDB names, in residues of these one-letter codes, are oxygens of Asp or Glu."""
    return np.array([name[:2] in ("OD", "OE") and letter in "DE" for name, letter in zip(atom_names, letters)], bool)


def place_beside(molecule: Molecule, other: Molecule, rng: np.random.Generator, contact: float = 6.0) -> Molecule:
    """`other`, turned at random and moved along a random line until its nearest Cα is `contact` Å from the molecule's.

    Chains in a complex touch like this, though not with these faces. The distance is met to 0.1 Å.
    """
    turn = Rotation.random(rng=rng).as_matrix()
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    mine = KDTree(molecule.calpha)
    theirs = (other.calpha - other.calpha.mean(axis=0)) @ turn.T + molecule.calpha.mean(axis=0)

    def gap(length: float) -> float:
        return float(mine.query(theirs + length * direction)[0].min())

    # Walking in from afar by the gap itself never passes a first contact.
    length = float(np.ptp(molecule.calpha, axis=0).sum() + np.ptp(other.calpha, axis=0).sum()) + contact
    while (excess := gap(length) - contact) > 0.1:
        length -= excess
        if length < 0:  # passed through a ring without touching it
            return place_beside(molecule, other, rng, contact)
    shift = molecule.calpha.mean(axis=0) + length * direction - turn @ other.calpha.mean(axis=0)
    return other.moved(turn, shift)
