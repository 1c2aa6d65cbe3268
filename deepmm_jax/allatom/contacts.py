"""What atoms that are not bonded cost each other: overlaps, hydrogen bonds, disulfides.

Every term is −log of a probability, as elsewhere where atoms are built.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from deepmm_jax.allatom.values import ATOMS, MOST_ATOMS
from deepmm_jax.structure.residue_atoms import LETTERS


KINDS = "CFDABSG"
"""Carbons that are tetrahedral (C) or flat (F), donors (D) and acceptors (A) of hydrogen bonds, atoms that may be both
(B), sulphurs of methionine (S) and cysteine (G)."""
NOTHING = len(KINDS)
"""The kind of a place without an atom."""
SULPHUR = KINDS.index("G")

_NEAREST = {
    "CC": 3.65, "CF": 3.6, "CD": 3.55, "CA": 3.2, "CB": 3.25, "CS": 3.6, "FF": 3.55, "FD": 3.4, "FA": 3.25,
    "FB": 3.25, "FS": 3.5, "DD": 3.5, "DA": 2.7, "DB": 2.75, "DS": 3.35, "AA": 3.2, "AB": 2.55, "AS": 3.3, "BB": 2.6,
    "BS": 3.2, "SS": 3.6,
}  # fmt: skip
"""Å. Of 120 training chains (X-ray, 1.6 Å or better, B below 30 Å²) were counted the pairs with a side-chain atom, two
residues or more apart: here they are a third as dense as at 4.2 to 5 Å. Found to 0.1 Å by
`benchmarks/contact_distances.py`, but for sulphur: its distances lie between those with and without cysteine."""
_BONDING = {"DA", "DB", "AB", "BB"}

_FLAT = {"D": "CG", "E": "CD", "N": "CG", "P": "N", "Q": "CD", "R": "CZ"} | dict.fromkeys(
    "FHWY", "CG CD1 CD2 CE1 CE2 CE3 CZ CZ2 CZ3 CH2"
)
_BOTH = {"H": "ND1 NE2", "S": "OG", "T": "OG1", "Y": "OH"}

HARDEST = 3.0
"""Widths of an overlap beyond which its cost grows no faster."""
HYDROGEN_BOND, BOND_LENGTH, BOND_REACH = 1.0, 2.9, 0.6
"""What a hydrogen bond gains, its length between heavy atoms, and how far off it may be, Å."""
DISULFIDE, DISULFIDE_CHORD, DISULFIDE_GAIN = 2.04, 3.05, 6.0
"""Å between bonded sulphurs and from a Cβ to the sulphur beyond (104°); what the bond gains."""


def atom_kind(letter: str, name: str) -> int:
    """Index in `KINDS` of an atom of a residue type."""
    if name in _BOTH.get(letter, "").split():
        kind = "B"
    elif name == "C" or name in _FLAT.get(letter, "").split():
        kind = "F"
    elif name == "SG":
        kind = "G"
    else:
        kind = {"N": "D", "O": "A"}.get(name[0], name[0])
    return KINDS.index(kind)


def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    kinds = np.full((len(LETTERS), MOST_ATOMS), NOTHING, np.int32)
    for row, letter in zip(kinds, LETTERS):
        row[: len(ATOMS[letter])] = [atom_kind(letter, name) for name in ATOMS[letter]]
    nearest, gain = np.zeros((2, NOTHING + 1, NOTHING + 1), np.float32)
    for i, one in enumerate(KINDS.replace("G", "S")):
        for j, other in enumerate(KINDS.replace("G", "S")):
            pair = one + other if one + other in _NEAREST else other + one
            nearest[i, j], gain[i, j] = _NEAREST[pair], HYDROGEN_BOND * (pair in _BONDING)
    return kinds, nearest, gain


ATOM_KINDS, NEAREST, GAIN = _tables()
"""Kind of every atom by residue type (as `LETTERS`) and place; Å at which two kinds touch; what they gain if bonded."""


def contact_costs(
    apart: Float[Array, "*s"], one: Int[Array, "*#s"], other: Int[Array, "*#s"], width: float
) -> Float[Array, "*s"]:
    """Cost of pairs of atoms of two kinds, `apart` Å from each other; overlaps are measured in widths (Å)."""
    overlap = jnp.maximum(jnp.asarray(NEAREST)[one, other] - apart, 0) / width
    soft = jnp.minimum(overlap, HARDEST)
    bond = jnp.maximum(1 - jnp.square((apart - BOND_LENGTH) / BOND_REACH), 0)
    return soft * (overlap - soft / 2) - jnp.asarray(GAIN)[one, other] * jnp.square(bond)


def disulfide_costs(
    apart: Float[Array, "*s"], chord: Float[Array, "*#s"], other_chord: Float[Array, "*#s"], width: float
) -> Float[Array, "*s"]:
    """Cost of two cysteines if they are bonded: sulphurs `apart` Å, and the chords from each Cβ to the other's sulphur.

    Widths are in Å.
    """
    off = jnp.square(apart - DISULFIDE)
    off += jnp.square(chord - DISULFIDE_CHORD) + jnp.square(other_chord - DISULFIDE_CHORD)
    return off / (2 * width**2) - DISULFIDE_GAIN
