"""Atoms too close to each other: the clashscore (Chen et al. 2010; radii and rules of Word et al. 1999)."""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array
from scipy.spatial import KDTree

from deepmm_jax.assessment.covalent import disulfides
from deepmm_jax.structure.engh_huber import BONDS
from deepmm_jax.structure.hydrogens import place_hydrogens
from deepmm_jax.structure.residue_atoms import ATOM_NAMES, LETTERS, SLOT, ResidueAtoms


OVERLAP = 0.4
"""Å by which spheres that clash overlap, at least."""

RADII = {"C": 1.70, "N": 1.55, "O": 1.40, "S": 1.80}
CARBONYL, HYDROGEN, SMALL_HYDROGEN = 1.65, 1.22, 1.05
"""Å: van der Waals radii; the last is of hydrogens on rings and on nitrogen."""
_CARBONYLS = [("*", "C"), ("N", "CG"), ("D", "CG"), ("Q", "CD"), ("E", "CD")]


def clashes(atoms: ResidueAtoms) -> tuple[Int[np.ndarray, "k 2"], int]:
    """Residues of each pair of atoms that clash, and the number of atoms, placed hydrogens counted.

    Left out are pairs within three bonds of each other, within four if one is a hydrogen, and hydrogens on nitrogen
    with the acceptors of hydrogen bonds: what counts there is how near the nitrogen is.
    """
    there = np.isfinite(atoms.positions).all(axis=-1)
    residue, slot = np.nonzero(there)
    number = np.full(there.shape, -1)
    number[there] = np.arange(len(residue))
    hydrogens = place_hydrogens(atoms)
    n_heavy, n_hydrogens = len(residue), len(hydrogens.residue)
    positions = np.concatenate([atoms.positions[there], hydrogens.positions])
    radius = np.concatenate(
        [
            _heavy_radii(atoms.letters[residue], slot),
            np.where(hydrogens.polar | hydrogens.aromatic, SMALL_HYDROGEN, HYDROGEN),
        ]
    )
    accepts = np.pad(_accepts(atoms.letters[residue], slot), (0, n_hydrogens))
    donated = np.pad(hydrogens.polar, (n_heavy, 0))
    # i < j, so that hydrogens come second.
    i, j = KDTree(positions).query_pairs(2 * RADII["S"] - OVERLAP, output_type="ndarray").T
    overlap = radius[i] + radius[j] - np.linalg.norm(positions[i] - positions[j], axis=1)
    close = (overlap >= OVERLAP) & ~(accepts[i] & donated[j])
    i, j = i[close], j[close]
    on_hydrogens = np.stack([number[hydrogens.residue, hydrogens.parent], n_heavy + np.arange(n_hydrogens)], axis=1)
    three, four = _within_bonds(np.concatenate([_bonds(atoms, number), on_hydrogens]), len(positions))
    pairs = _keys(i, j, len(positions))
    apart = ~np.where(j < n_heavy, np.isin(pairs, three), np.isin(pairs, four))
    residue = np.concatenate([residue, hydrogens.residue])
    return np.stack([residue[i], residue[j]], axis=1)[apart], len(positions)


def clashscore(atoms: ResidueAtoms) -> float | None:
    """Clashes for every thousand atoms; None without atoms."""
    found, n = clashes(atoms)
    return 1000.0 * len(found) / n if n else None


def _heavy_radii(letters: Int[np.ndarray, "m"], slot: Int[np.ndarray, "m"]) -> Float[np.ndarray, "m"]:
    radius = np.array([RADII[name[0]] for name in ATOM_NAMES])[slot]
    for letter, name in _CARBONYLS:
        radius[(slot == SLOT[name]) & ((letter == "*") | (letters == LETTERS.find(letter)))] = CARBONYL
    return radius


def _accepts(letters: Int[np.ndarray, "m"], slot: Int[np.ndarray, "m"]) -> Bool[np.ndarray, "m"]:
    """Oxygens, and the nitrogens of imidazole, whose hydrogen may be on either."""
    oxygen = np.array([name[0] == "O" for name in ATOM_NAMES])[slot]
    return oxygen | ((letters == LETTERS.index("H")) & np.isin(slot, [SLOT["ND1"], SLOT["NE2"]]))


def _bonds(atoms: ResidueAtoms, number: Int[np.ndarray, "n m"]) -> Int[np.ndarray, "b 2"]:
    """Covalent bonds between heavy atoms, by their numbers."""
    found = [np.zeros((0, 2), int)]
    for letter in LETTERS:
        rows = atoms.of(letter)
        for one, other in [bond.atoms for bond in BONDS[letter]] + [("C", "OXT")]:
            found.append(number[rows][:, [SLOT[one], SLOT[other]]])
    linked = np.flatnonzero(atoms.joined)
    found.append(np.stack([number[linked - 1, SLOT["C"]], number[linked, SLOT["N"]]], axis=1))
    found += [number[[a, b], SLOT["SG"]][None] for a, b in disulfides(atoms)]
    bonds = np.concatenate(found)
    return bonds[(bonds >= 0).all(axis=1)]


def _within_bonds(bonds: Int[np.ndarray, "b 2"], n: int) -> list[Int[np.ndarray, "k"]]:
    """Keys of the pairs among n atoms that up to three, and up to four, bonds lie between."""
    i, j = np.concatenate([bonds, bonds[:, ::-1], np.repeat(np.arange(n)[:, None], 2, axis=1)]).T
    one = csr_array((np.ones(len(i), np.int32), (i, j)), shape=(n, n))
    two = one @ one
    return [_keys(row, column, n) for row, column in ((two @ one).nonzero(), (two @ two).nonzero())]


def _keys(i: Int[np.ndarray, "k"], j: Int[np.ndarray, "k"], n: int) -> Int[np.ndarray, "k"]:
    """A number for every pair of n atoms."""
    return i * np.int64(n) + j
