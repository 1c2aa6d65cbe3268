"""A threading problem as tables for the compiled search, and what only a whole chain shows of its score."""

from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit

from deepmm_jax.threading.geometry import N_ANGLES, N_DIHEDRALS, count_shapes
from deepmm_jax.threading.scores import LONGEST_STEP, NEIGHBOURS, ThreadingProblem


NEVER = np.float32(-1e9)
"""Score of what cannot be."""


class Tables(NamedTuple):
    """What a search knows of its problem; m candidates, n residues."""

    sites: np.ndarray
    """Score of each residue at each candidate, (m, n)."""
    bonds: np.ndarray
    """Score of the bond from one candidate to another, (m, m)."""
    begin: np.ndarray
    """Cost of what is unbuilt before residue i, (n,)."""
    finish: np.ndarray
    """And behind it."""
    gap: np.float32
    gap_residue: np.float32
    partners: np.ndarray
    """The candidates that each has a bond with, (m, d), -1 beyond."""
    chances: np.ndarray
    """Cumulative chances with which each of them is drawn, (m, d)."""
    positions: np.ndarray
    """Candidates, Å, (m, 3)."""
    near: np.ndarray
    """The candidates that clash with each, (m, k), -1 beyond."""
    close: np.ndarray
    """Those that are closer than residues that are no neighbours use to be, likewise."""
    expected: np.ndarray
    """P(Helix, Sheet, Coil) of each residue, (n, 3)."""
    seen: np.ndarray
    """And of each candidate, (m, 3)."""
    angle: np.ndarray
    dihedral: np.ndarray
    clash: float
    closeness: float


def prepare(problem: ThreadingProblem) -> Tables:
    """The tables of a problem."""
    weights = problem.weights
    n = problem.sites.shape[1]
    end = (-weights.end_residue * np.arange(n)).astype(np.float32)
    either = np.maximum(problem.bonds, problem.bonds.T)
    partners = _lists(either > -np.inf)
    strength = np.clip(np.take_along_axis(either, partners, axis=1), -6, 3)
    chances = np.cumsum(np.where(partners >= 0, np.exp(strength / 1.5) + 0.02, 0), axis=1)
    return Tables(
        sites=problem.sites,
        bonds=np.maximum(problem.bonds, NEVER),
        begin=end,
        finish=end[::-1].copy(),
        gap=np.float32(weights.gap),
        gap_residue=np.float32(weights.gap_residue),
        partners=partners.astype(np.int32),
        chances=chances / np.maximum(chances[:, -1:], 1e-9),
        positions=problem.points.positions.astype(np.float64),
        near=_lists(problem.near).astype(np.int32),
        close=_lists(problem.close).astype(np.int32),
        expected=problem.structure,
        seen=problem.points.secondary_structure.astype(np.float64),
        angle=np.array(weights.angle, float),
        dihedral=np.array(weights.dihedral, float),
        clash=float(weights.clash),
        closeness=float(weights.close),
    )


def _lists(marked: np.ndarray) -> np.ndarray:
    """The marked columns of each row, padded with -1 (at least one)."""
    count = marked.sum(axis=1)
    out = np.full((len(marked), max(count.max(initial=0), 0) + 1), -1)
    row, column = np.nonzero(marked)
    out[row, np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)] = column
    return out


@njit(cache=True, nogil=True)
@no_type_check
def whole_chain(tables, places, order):
    """What the score of a chain has beyond its sites and bonds: clashes, close pairs, and its shape.

    A stretch of unbuilt residues that is too short for the distance across it counts as a clash. `order` is room for a
    number at every candidate, -1 before and after.
    """
    for i in range(places.size):
        if places[i] >= 0:
            order[places[i]] = i
    clashes, close, last = 0, 0, -1
    for i in range(places.size):
        c = places[i]
        if c < 0:
            continue
        for other in tables.near[c]:
            if other < 0:
                break
            if order[other] > i:
                clashes += 1
        for other in tables.close[c]:
            if other < 0:
                break
            if order[other] >= i + NEIGHBOURS:
                close += 1
        if last >= 0 and i - last > 1:
            step = tables.positions[c] - tables.positions[places[last]]
            if np.sqrt((step * step).sum()) > LONGEST_STEP * (i - last):
                clashes += 1
        last = i
    for i in range(places.size):
        if places[i] >= 0:
            order[places[i]] = -1
    angles, dihedrals = np.zeros((3, N_ANGLES)), np.zeros((3, N_DIHEDRALS))
    count_shapes(tables.positions, tables.expected, tables.seen, places, angles, dihedrals)
    shape = (angles * tables.angle).sum() + (dihedrals * tables.dihedral).sum()
    return shape - tables.clash * clashes - tables.closeness * close
