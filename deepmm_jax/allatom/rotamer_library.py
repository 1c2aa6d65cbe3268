"""The backbone-dependent rotamer library: which conformations a side chain takes, and how likely at its φ and ψ.

The project's own, derived by `benchmarks/fit_geometry.py`, where its layout is told.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy.ndimage import map_coordinates

from deepmm_jax.constants import AMINO_ACIDS


LIBRARY = Path(__file__).with_name("rotamers.npz")
PENALTY_UNIT = 16
"""Steps of a penalty in one unit of −log p."""
PER_RESIDUE = 16
"""Rotamers considered for a residue on average; leucine has 8, arginine 49. If there are more, the rarest stay out."""


class Conformers(NamedTuple):
    """Rotamers of all residues of a chain one after the other: a residue, χ and their spread (radians), −log p.

    `number` counts a residue's rotamers from 0. Rows beyond the last have residue 0 and `there` False.
    """

    residue: Int[Array, "c"]
    number: Int[Array, "c"]
    chi: Float[Array, "c 4"]
    spread: Float[Array, "c 4"]
    penalty: Float[Array, "c"]
    there: Bool[Array, "c"]


@cache
def rotamer_library() -> dict[str, np.ndarray]:
    """The arrays that the package ships, by residue type in the order of `AMINO_ACIDS`."""
    with np.load(LIBRARY) as file:
        return {name: file[name] for name in file.files}


def most_rotamers() -> int:
    """Rotamers of the residue type that has most."""
    return rotamer_library()["mask"].shape[1]


def rotamer_penalties(kind: int, phi: Float[np.ndarray, "n"], psi: Float[np.ndarray, "n"]) -> Float[np.ndarray, "r n"]:
    """−log p of the rotamers of a residue type (index in `AMINO_ACIDS`) at φ and ψ (radians).

    Where an angle is NaN, that of the overall shares.
    """
    library = rotamer_library()
    tables = library["penalty"][kind][library["mask"][kind]].astype(np.float32) / PENALTY_UNIT
    size = tables.shape[-1]
    known = np.isfinite(phi + psi)
    nodes = (np.stack([phi, psi])[:, known] / (2 * np.pi) + 0.5) * size
    out = np.repeat(-np.log(library["share"][kind][library["mask"][kind]])[:, None], len(phi), axis=1)
    for row, table in zip(out, tables):
        row[known] = map_coordinates(table, nodes, order=1, mode="grid-wrap")
    return out


def conformers(letters: str, phi: Float[np.ndarray, "n"], psi: Float[np.ndarray, "n"], size: int) -> Conformers:
    """The rotamers of residues that have several, at most `size` of them; φ and ψ in radians, or NaN.

    Alanine, glycine and unknown residues have none.
    """
    library = rotamer_library()
    residue, kinds, number, penalty = [], [], [], []
    for kind, letter in enumerate(AMINO_ACIDS):
        rows = np.flatnonzero([a == letter for a in letters]) if library["chi_count"][kind] else []
        if len(rows):
            cost = rotamer_penalties(kind, phi[rows], psi[rows]).T
            residue.append(np.repeat(rows, cost.shape[1]))
            kinds.append(np.full(cost.size, kind))
            number.append(np.tile(np.arange(cost.shape[1]), len(rows)))
            penalty.append(cost.ravel())
    if not residue:
        residue, kinds, number, penalty = [[np.zeros(0, int)]] * 3 + [[np.zeros(0, np.float32)]]
    residue, kinds, number, penalty = (np.concatenate(part) for part in (residue, kinds, number, penalty))
    likely = np.argsort(penalty, kind="stable")[:size]
    order = likely[np.lexsort((number[likely], residue[likely]))]
    more = size - len(order)

    def padded(values: np.ndarray) -> Array:
        return jnp.asarray(np.pad(values[order], [(0, more)] + [(0, 0)] * (values.ndim - 1)))

    return Conformers(
        residue=padded(residue).astype(np.int32),
        number=padded(number).astype(np.int32),
        chi=padded(np.radians(library["chi_mean"][kinds, number].astype(np.float32))),
        spread=padded(np.radians(library["chi_spread"][kinds, number].astype(np.float32))),
        penalty=padded(penalty.astype(np.float32)),
        there=jnp.arange(size) < len(order),
    )
