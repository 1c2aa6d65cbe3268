"""Plain NumPy: side chains bent by hand, contacts one pair after the other, states by trying all."""

from itertools import product

import numpy as np

from deepmm_jax.allatom.contacts import (
    ATOM_KINDS,
    BOND_LENGTH,
    BOND_REACH,
    DISULFIDE,
    DISULFIDE_CHORD,
    DISULFIDE_GAIN,
    GAIN,
    HARDEST,
    NEAREST,
    SULPHUR,
)
from deepmm_jax.allatom.values import ATOMS, CB
from deepmm_jax.constants import AMINO_ACIDS


def pair_cost(apart: float, one: int, other: int, width: float) -> float:
    """Cost of two atoms of two kinds, `apart` Å from each other."""
    overlap = max(NEAREST[one, other] - apart, 0) / width
    cost = overlap**2 / 2 if overlap < HARDEST else HARDEST * overlap - HARDEST**2 / 2
    off = abs(apart - BOND_LENGTH) / BOND_REACH
    return cost - (GAIN[one, other] * (1 - off**2) ** 2 if off < 1 else 0)


def side_chain_cost(letters: str, one: np.ndarray, other: np.ndarray, width: float, disulfide_width: float) -> float:
    """Cost of two side chains, atoms of both residues (m, 3) in Å in the order of `ATOMS`."""
    kinds = [ATOM_KINDS[AMINO_ACIDS.index(letter)] for letter in letters]
    total = 0.0
    for a, b in product(range(CB + 1, len(ATOMS[letters[0]])), range(CB + 1, len(ATOMS[letters[1]]))):
        total += pair_cost(np.linalg.norm(one[a] - other[b]), kinds[0][a], kinds[1][b], width)
    if letters == "CC":
        assert kinds[0][CB + 1] == SULPHUR
        off = np.linalg.norm(one[CB + 1] - other[CB + 1]) - DISULFIDE
        chords = [np.linalg.norm(one[CB + 1] - other[CB]), np.linalg.norm(one[CB] - other[CB + 1])]
        squares = off**2 + sum((chord - DISULFIDE_CHORD) ** 2 for chord in chords)
        total = min(total, squares / (2 * disulfide_width**2) - DISULFIDE_GAIN)
    return total


def best_states(costs: np.ndarray, edges: np.ndarray, pair_costs: np.ndarray) -> tuple[tuple[int, ...], float]:
    """The cheapest of all combinations of states, and what it costs."""

    def total(states: tuple[int, ...]) -> float:
        own = sum(row[state] for row, state in zip(costs, states, strict=True))
        return own + sum(table[states[i], states[j]] for (i, j), table in zip(edges.tolist(), pair_costs, strict=True))

    best = min(product(range(costs.shape[1]), repeat=len(costs)), key=total)
    return best, total(best)
