"""Side-chain atoms from χ angles, with the bonds and angles of Engh & Huber (2001).

Each atom hangs on three others: a bond to the last, an angle at it and a torsion about the bond between the last two.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from deepmm_jax.allatom.values import ATOMS, CB, MOST_ATOMS
from deepmm_jax.structure.engh_huber import BONDS, ideal_angle, ideal_bond
from deepmm_jax.structure.residue_atoms import CHI_ATOMS, LETTERS, MOST_CHI
from deepmm_jax.structure.torsions import unit


FIRST = CB + 1
"""Place of the first atom beyond Cβ."""
MOST_BEYOND = MOST_ATOMS - FIRST

_BESIDE = {
    "D": "OD2 OD1 =", "E": "OE2 OE1 =", "F": "CD2 CD1 =", "H": "CD2 ND1 =", "I": "CG2 CG1 -", "L": "CD2 CD1 +",
    "N": "ND2 OD1 =", "Q": "NE2 OE1 =", "T": "CG2 OG1 -", "V": "CG2 CG1 +", "W": "CD2 CD1 =", "Y": "CD2 CD1 =",
}  # fmt: skip
"""Atoms beside one that a χ turns: opposite to it in a plane (=), or clockwise (+) or not (-) of it on a tetrahedron,
seen from Cα or, in leucine, from Cβ."""
_RING = "CE1 CB CG CD1 180  CE2 CB CG CD2 180  CZ CG CD1 CE1 0"
_FIXED = {
    "F": _RING,
    "H": "CE1 CB CG ND1 180  NE2 CB CG CD2 180",
    "R": "NH1 CD NE CZ 0  NH2 CD NE CZ 180",
    "W": "NE1 CB CG CD1 180  CE2 CB CG CD2 180  CE3 CB CG CD2 0  CZ2 CG CD2 CE2 180  CZ3 CG CD2 CE3 180  "
    "CH2 CD2 CE2 CZ2 0",
    "Y": f"{_RING}  OH CD1 CE1 CZ 180",
}
"""Atoms in a plane: what they hang on, and the torsion in degrees."""


class BuildTables(NamedTuple):
    """By residue type (as `LETTERS`) and place from `FIRST` on: what each atom hangs on, and how.

    `parents` are places of atoms; lengths in Å, angles and `turn`, which is added to the χ angle, in radians.
    `chi` counts from 0; atoms that none turns have MOST_CHI.
    """

    parents: Int[np.ndarray, "21 9 3"]
    length: Float[np.ndarray, "21 9"]
    angle: Float[np.ndarray, "21 9"]
    chi: Int[np.ndarray, "21 9"]
    turn: Float[np.ndarray, "21 9"]


def _build_tables() -> BuildTables:
    shape = len(LETTERS), MOST_BEYOND
    # Places without an atom still get a position: any that is finite.
    parents = np.tile(np.array([0, 1, CB]), (*shape, 1))
    length, angle, turn = np.full(shape, 1.5), np.full(shape, np.pi / 2), np.zeros(shape)
    chi = np.full(shape, MOST_CHI)
    for kind, letter in enumerate(LETTERS):
        for name, above, k, degrees in _rows(letter):
            place = ATOMS[letter].index(name) - FIRST
            parents[kind, place] = [ATOMS[letter].index(other) for other in above]
            length[kind, place] = ideal_bond(letter, above[2], name)
            angle[kind, place] = np.radians(ideal_angle(letter, above[1], above[2], name))
            chi[kind, place], turn[kind, place] = k, np.radians(degrees)
    return BuildTables(
        parents.astype(np.int32), length.astype(np.float32), angle.astype(np.float32), chi, turn.astype(np.float32)
    )


def _rows(letter: str) -> list[tuple[str, tuple[str, ...], int, float]]:
    """Atoms, what they hang on, the χ that turns them, and the torsion or what is added to χ, in degrees."""
    path = tuple(CHI_ATOMS.get(letter, ""))
    rows = [(name, path[k : k + 3], k, 0.0) for k, name in enumerate(path[3:])]
    if letter in _BESIDE:
        name, sibling, way = _BESIDE[letter].split()
        above, k = next((above, k) for other, above, k, _ in rows if other == sibling)
        away = 180.0 if way == "=" else float(f"{way}1") * _between(letter, above[1], above[2], sibling, name)
        rows.append((name, above, k, away))
    words = _FIXED.get(letter, "").split()
    rows += [(words[i], tuple(words[i + 1 : i + 4]), MOST_CHI, float(words[i + 4])) for i in range(0, len(words), 5)]
    return rows


def _between(letter: str, above: str, centre: str, one: str, other: str) -> float:
    """Torsion in degrees between two atoms about the bond to their centre, from the three angles there."""
    first, second = (np.radians(ideal_angle(letter, above, centre, name)) for name in (one, other))
    cosine = np.cos(np.radians(ideal_angle(letter, one, centre, other))) - np.cos(first) * np.cos(second)
    return float(np.degrees(np.arccos(cosine / (np.sin(first) * np.sin(second)))))


TABLES = _build_tables()


def _turned() -> tuple[Int[np.ndarray, "21 4 2"], Bool[np.ndarray, "21 4 14"]]:
    """Of every χ the places of the two atoms that it turns about, and which atoms it moves."""
    axes = np.tile(np.array([1, CB], np.int32), (len(LETTERS), MOST_CHI, 1))
    moved = np.zeros((len(LETTERS), MOST_CHI, MOST_ATOMS), bool)
    for kind, letter in enumerate(LETTERS):
        for k, name in enumerate(CHI_ATOMS.get(letter, ())[3:]):
            axes[kind, k] = TABLES.parents[kind, ATOMS[letter].index(name) - FIRST, 1:]
            for place in range(FIRST, len(ATOMS[letter])):
                above = TABLES.parents[kind, place - FIRST]
                own = TABLES.chi[kind, place - FIRST] == k
                moved[kind, k, place] = own or moved[kind, k, above].any()
    return axes, moved


AXES, MOVED = _turned()
"""By residue type and χ."""


def _far() -> Bool[np.ndarray, "21 9 5"]:
    """Which atoms beyond Cβ are more than three bonds from N, Cα, C, O and Cβ of their residue."""
    far = np.zeros((len(LETTERS), MOST_BEYOND, FIRST), bool)
    for row, letter in zip(far, LETTERS):
        names = ATOMS[letter]
        near = np.eye(len(names), dtype=int)
        for one, other in (map(names.index, bond.atoms) for bond in BONDS[letter]):
            near[one, other] = near[other, one] = 1
        within = np.linalg.matrix_power(near, 3) > 0
        row[: max(len(names) - FIRST, 0), : len(names)] = ~within[FIRST:, :FIRST]
    return far


FAR = _far()
"""By residue type, place from `FIRST` on, and place in the main chain."""
PRESENT = np.array([np.arange(MOST_ATOMS) < len(ATOMS[letter]) for letter in LETTERS])
"""Atoms that a residue type has."""


def place_atoms(
    backbone: Float[Array, "n 5 3"], kinds: Int[Array, "n"], chi: Float[Array, "n 4"]
) -> Float[Array, "n 14 3"]:
    """All atoms of residues (types as `LETTERS`) on N, Cα, C, O and Cβ (Å), with χ in radians.

    Places without an atom hold something finite.
    """
    tables = [jnp.moveaxis(jnp.asarray(table)[kinds], 1, 0) for table in TABLES]
    turns = jnp.pad(chi, ((0, 0), (0, 1)))

    def place(atoms: Array, row: tuple) -> tuple[Array, None]:
        number, parents, length, angle, which, turn = row
        a, b, c = jnp.moveaxis(jnp.take_along_axis(atoms, parents[:, :, None], axis=1), 1, 0)
        torsion = jnp.take_along_axis(turns, which[:, None], axis=1)[:, 0] + turn
        return atoms.at[:, number].set(extended(a, b, c, length, angle, torsion)), None

    atoms = jnp.pad(backbone, ((0, 0), (0, MOST_BEYOND), (0, 0)))
    return lax.scan(place, atoms, (jnp.arange(FIRST, MOST_ATOMS), *tables))[0]


def torques(
    atoms: Float[Array, "n 14 3"], slopes: Float[Array, "n 14 3"], kinds: Int[Array, "n"]
) -> Float[Array, "n 4"]:
    """Slopes of an energy by χ (a radian), from its slopes by the positions of atoms (Å)."""
    axes = jnp.asarray(AXES)[kinds]
    ends = jnp.take_along_axis(atoms[:, None], axes[..., None], axis=2)
    along = unit(ends[:, :, 1] - ends[:, :, 0])
    arms = atoms[:, None] - ends[:, :, 1, None]
    moved = (jnp.cross(arms, slopes[:, None]) * jnp.asarray(MOVED)[kinds][..., None]).sum(axis=2)
    return (moved * along).sum(axis=-1)


def extended(
    a: Float[Array, "n 3"],
    b: Float[Array, "n 3"],
    c: Float[Array, "n 3"],
    length: Float[Array, "n"],
    angle: Float[Array, "n"],
    torsion: Float[Array, "n"],
) -> Float[Array, "n 3"]:
    """The atom bonded to c at an angle to b and a torsion to a (radians)."""
    along = unit(c - b)
    normal = unit(jnp.cross(b - a, along))
    aside = jnp.cos(torsion)[:, None] * jnp.cross(normal, along) + jnp.sin(torsion)[:, None] * normal
    return c + length[:, None] * (jnp.sin(angle)[:, None] * aside - jnp.cos(angle)[:, None] * along)
