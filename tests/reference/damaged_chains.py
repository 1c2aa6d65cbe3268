"""Chains with an error made on purpose: atoms moved, turned about a bond, side chains swung, peptides twisted."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from deepmm_jax.structure.chain import Chain


def moved(chain: Chain, rows: np.ndarray, move: Callable[[np.ndarray], np.ndarray]) -> Chain:
    positions = chain.positions.astype(np.float64)
    positions[rows] = move(positions[rows])
    return replace(chain, positions=positions.astype(np.float32))


def turned(chain: Chain, rows: np.ndarray, begin: np.ndarray, end: np.ndarray, degrees: float) -> Chain:
    """Atoms turned about the axis from `begin` to `end`; torsions about it grow by so many degrees."""
    axis = (end - begin) / np.linalg.norm(end - begin)
    angle = np.radians(degrees)

    def move(x: np.ndarray) -> np.ndarray:
        x = x - begin
        along = (x @ axis)[:, None] * axis
        return begin + along + np.cos(angle) * (x - along) + np.sin(angle) * np.cross(axis, x)

    return moved(chain, rows, move)


def side_chain(chain: Chain, residue: int) -> np.ndarray:
    """Atoms beyond Cβ."""
    names = np.array(chain.atom_names)
    return np.flatnonzero((chain.residue_of_atom == residue) & ~np.isin(names, ["N", "CA", "C", "O", "CB", "OXT"]))


def swung(chain: Chain, residue: int, degrees: float) -> Chain:
    """A side chain turned about Cα–Cβ."""
    ca, cb = (chain.atom(name)[residue].astype(float) for name in ("CA", "CB"))
    return turned(chain, side_chain(chain, residue), ca, cb, degrees)


def twisted(chain: Chain, residue: int, degrees: float) -> Chain:
    """The chain from a residue on turned about the peptide bond before it."""
    c, n = chain.atom("C")[residue - 1].astype(float), chain.atom("N")[residue].astype(float)
    return turned(chain, np.flatnonzero(chain.residue_of_atom >= residue), c, n, degrees)
