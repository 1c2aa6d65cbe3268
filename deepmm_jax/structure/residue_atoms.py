"""All atoms of chains in one array with a place for every atom name, and the torsion angles read from it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from deepmm_jax.constants import AMINO_ACIDS
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.engh_huber import BONDS
from deepmm_jax.structure.secondary_structure import PEPTIDE_LENGTH
from deepmm_jax.structure.torsions import torsion


LETTERS = AMINO_ACIDS + "X"

KNOWN_ATOMS = {
    letter: tuple(dict.fromkeys([name for bond in BONDS[letter] for name in bond.atoms] + ["OXT"]))
    for letter in LETTERS
}
"""Atom names of each residue."""

ATOM_NAMES = tuple(dict.fromkeys(name for letter in LETTERS for name in KNOWN_ATOMS[letter]))
SLOT = {name: slot for slot, name in enumerate(ATOM_NAMES)}
"""Place of every atom name in an array of residues."""

CHI_ATOMS = {
    letter: ("N", "CA", "CB", *beyond.split())
    for letter, beyond in {
        "C": "SG", "D": "CG OD1", "E": "CG CD OE1", "F": "CG CD1", "H": "CG ND1", "I": "CG1 CD1", "K": "CG CD CE NZ",
        "L": "CG CD1", "M": "CG SD CE", "N": "CG OD1", "P": "CG CD", "Q": "CG CD OE1", "R": "CG CD NE CZ", "S": "OG",
        "T": "OG1", "V": "CG1", "W": "CG CD1", "Y": "CG CD1",
    }.items()
}  # fmt: skip
"""Atoms along the side chain; four in a row make a χ angle."""

CHI_COUNT = np.array([len(CHI_ATOMS.get(letter, "   ")) - 3 for letter in LETTERS])
MOST_CHI = 4

DISULFIDE_LENGTH = 2.5
"""Å between the sulphurs of two cysteines that are bonded, at most."""

SYMMETRIC_CHI = {"D": 1, "E": 2, "F": 1, "Y": 1}
"""χ (from 0) that looks the same after half a turn."""


@dataclass(frozen=True, kw_only=True)
class ResidueAtoms:
    """Residues of all chains one after the other: `letters` index `LETTERS`, `positions` (Å) are NaN where missing.

    `joined[i]` tells that residue i is bonded to the one before. Atoms that a residue of its type does not have are
    left out.
    """

    letters: Int[np.ndarray, "n"]
    positions: Float[np.ndarray, "n m 3"]
    joined: Bool[np.ndarray, "n"]

    def atom(self, name: str) -> Float[np.ndarray, "n 3"]:
        """Positions of one atom of every residue."""
        return self.positions[:, SLOT[name]]

    def of(self, letter: str) -> Int[np.ndarray, "k"]:
        """Residues of one type."""
        return np.flatnonzero(self.letters == LETTERS.index(letter))


def residue_atoms(chains: Sequence[Chain]) -> ResidueAtoms:
    """The atoms of chains. Residues in a row are joined where C and N are within 2.5 Å."""
    parts, letters, first = [], [], []
    for chain in chains:
        places = [
            SLOT[name] if name in KNOWN_ATOMS[chain.sequence[r]] else -1
            for name, r in zip(chain.atom_names, chain.residue_of_atom.tolist())
        ]
        slots = np.array(places, int).reshape(-1)
        kept = slots >= 0
        part = np.full((len(chain), len(SLOT), 3), np.nan)
        part[chain.residue_of_atom[kept], slots[kept]] = chain.positions[kept]
        parts.append(part)
        letters += [LETTERS.index(letter) for letter in chain.sequence]
        first += [i == 0 for i in range(len(chain))]
    positions = np.concatenate([np.empty((0, len(SLOT), 3)), *parts])
    gap = np.linalg.norm(positions[:, SLOT["N"]] - before(positions[:, SLOT["C"]]), axis=-1)
    joined = (gap <= PEPTIDE_LENGTH) & ~np.array(first, bool)
    return ResidueAtoms(letters=np.array(letters, int), positions=positions, joined=joined)


def before(values: np.ndarray) -> np.ndarray:
    """The value of the residue before each; the first has that of the last, which it is not joined to."""
    return np.roll(values, 1, axis=0)


def after(values: np.ndarray) -> np.ndarray:
    """The value of the residue after each; the last has that of the first."""
    return np.roll(values, -1, axis=0)


def dihedral(
    a: Float[np.ndarray, "*n 3"],
    b: Float[np.ndarray, "*n 3"],
    c: Float[np.ndarray, "*n 3"],
    d: Float[np.ndarray, "*n 3"],
) -> Float[np.ndarray, "*n"]:
    """Torsion angle about b–c in degrees, in [-180, 180]; positive if d is clockwise of a as seen from b (IUPAC)."""
    return np.degrees(torsion(a, b, c, d))


def backbone_torsions(atoms: ResidueAtoms) -> Float[np.ndarray, "n 3"]:
    """φ, ψ and ω of every residue in degrees, NaN where an atom or a neighbour is missing.

    ω of a residue is that of the peptide before it (CA, C, N, CA).
    """
    n, ca, c = (atoms.atom(name) for name in ("N", "CA", "C"))
    joined = atoms.joined
    phi = np.where(joined, dihedral(before(c), n, ca, c), np.nan)
    psi = np.where(after(joined), dihedral(n, ca, c, after(n)), np.nan)
    omega = np.where(joined, dihedral(before(ca), before(c), n, ca), np.nan)
    return np.stack([phi, psi, omega], axis=1)


def side_chain_torsions(atoms: ResidueAtoms) -> Float[np.ndarray, "n 4"]:
    """χ1 to χ4 of every residue in degrees, NaN where there is none or an atom is missing."""
    chi = np.full((len(atoms.letters), MOST_CHI), np.nan)
    for letter, names in CHI_ATOMS.items():
        rows = atoms.of(letter)
        path = [atoms.atom(name)[rows] for name in names]
        for k in range(len(path) - 3):
            chi[rows, k] = dihedral(path[k], path[k + 1], path[k + 2], path[k + 3])
    return chi
