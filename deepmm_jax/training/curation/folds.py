"""Chains of one fold, whatever their sequences: the TM-score over the best alignment of two structures (section 2.6.1).

The alignment is found as TM-align does (Zhang & Skolnick 2005): superpositions of fragments, dynamic programming over
the distances, superposition of what is aligned, and so on until nothing changes. Pairs keep the order of the chains.
"""

from collections.abc import Mapping
from typing import NamedTuple, no_type_check

import numba
import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import cdist

from deepmm_jax.assessment.tm_score import tm_distance, tm_score
from deepmm_jax.structure.superposition import move, superpose


GAP = 0.6
"""Cost of a gap of any length, in units of a perfect pair."""

Calpha = Float[np.ndarray, "_ 3"]


class Effort(NamedTuple):
    """Of a search: residues of the fragments that start it, where they fit twice into the shorter chain; fragments of a
    size by chain; superpositions that are followed, and rounds of each."""

    fragments: tuple[int, ...]
    starts: int
    best: int
    rounds: int


WHOLE = Effort((40, 20, 12), 24, 24, 20)
"""The score is 0.01 below TM-align's in the mean of 31 pairs of strangers, 0.07 at most; 0.1 to 0.4 s a pair."""
FIRST_LOOK = Effort((20, 12), 10, 3, 3)


def closest_fold(calpha: Calpha, references: Mapping[str, Calpha], limit: float) -> tuple[str, float]:
    """The first reference with a TM-score above `limit`, or else the best one, and its score.

    Positions in Å. ("", 0) without references.
    """
    best = ("", 0.0)
    for name, reference in references.items():
        score = fold_similarity(calpha, reference)
        if score > best[1]:
            best = (name, score)
        if score > limit:
            break
    return best


def likely_folds(calpha: Calpha, references: Mapping[str, Calpha], count: int) -> dict[str, Calpha]:
    """The `count` references most worth a search, likeliest first, by a short one of each; positions in Å."""
    found = {name: _search(calpha, reference, FIRST_LOOK)[0] for name, reference in references.items()}
    return {name: references[name] for name in sorted(found, key=lambda name: -found[name])[:count]}


def fold_similarity(first: Calpha, second: Calpha) -> float:
    """TM-score (0–1) by the length of the shorter chain over the best alignment found; positions of Cα in Å."""
    best, mobile, target = _search(first, second, WHOLE)
    if len(mobile) < 3:
        return best
    return tm_score(mobile, target, min(len(first), len(second))).value


def _search(first: Calpha, second: Calpha, effort: Effort) -> tuple[float, Calpha, Calpha]:
    """The best sum of likeness over the shorter length, and the positions of the residues that it pairs."""
    mobile, target = sorted((first.astype(np.float64), second.astype(np.float64)), key=len)
    length = len(mobile)
    scale = tm_distance(length)
    best, pairs = 0.0, np.empty((0, 2), np.int64)
    for rotation, translation in _starts(mobile, target, scale, effort):
        previous = None
        for _ in range(effort.rounds):
            likeness = 1.0 / (1.0 + np.square(cdist(move(mobile, rotation, translation), target) / scale))
            aligned = align(likeness, GAP)
            score = float(likeness[aligned[:, 0], aligned[:, 1]].sum()) / length
            if score > best:
                best, pairs = score, aligned
            if previous is not None and np.array_equal(aligned, previous):
                break
            previous = aligned
            weights = likeness[aligned[:, 0], aligned[:, 1]] ** 2  # as in `tm_score`: only raises the sum
            rotation, translation, _ = superpose(mobile[aligned[:, 0]], target[aligned[:, 1]], weights)
    return best, mobile[pairs[:, 0]], target[pairs[:, 1]]


def _starts(mobile: Calpha, target: Calpha, scale: float, effort: Effort) -> list[tuple[np.ndarray, np.ndarray]]:
    """Superpositions of fragments, the most promising ones: many residues end near some residue of the other chain."""
    sizes = effort.fragments
    fitting = [size for size in sizes if 2 * size <= len(mobile)] or [min(sizes[-1], len(mobile))]
    found = [_superpositions(mobile, target, scale, size, effort.starts) for size in fitting]
    likeness, rotations, translations = (np.concatenate(parts) for parts in zip(*found))
    best = np.argsort(-likeness, kind="stable")[: effort.best]
    return [(rotations[k], translations[k]) for k in best]


def _superpositions(
    mobile: Calpha, target: Calpha, scale: float, size: int, starts: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every pair of fragments of a size: how much of the chains it brings together (0–1), rotation, translation."""
    one, other = (np.unique(np.linspace(0, len(chain) - size, starts).astype(int)) for chain in (mobile, target))
    ours = np.stack([mobile[i : i + size] for i in one])
    theirs = np.stack([target[j : j + size] for j in other])
    rotations, translations, _ = superpose(ours[:, None], theirs[None])
    rotations, translations = rotations.reshape(-1, 3, 3), translations.reshape(-1, 3)
    few = mobile[:: max(1, len(mobile) // 50)]
    moved = few @ rotations.mT + translations[:, None]
    return _nearness(moved, np.ascontiguousarray(target), 1.0 / scale**2), rotations, translations


@numba.njit(cache=True, nogil=True, fastmath=True)
@no_type_check
def _nearness(moved, target, inverse):
    """Mean over points of 1 / (1 + d²/d0²) to the nearest residue of the target."""
    total = np.zeros(len(moved))
    for k in range(len(moved)):
        for x, y, z in moved[k]:
            least = np.inf
            for j in range(len(target)):
                dx, dy, dz = target[j, 0] - x, target[j, 1] - y, target[j, 2] - z
                least = min(least, dx * dx + dy * dy + dz * dz)
            total[k] += 1.0 / (1.0 + least * inverse)
    return total / moved.shape[1]


def align(likeness: Float[np.ndarray, "n m"], gap: float) -> Int[np.ndarray, "k 2"]:
    """The pairs, in order, of the alignment with the largest sum of likeness less `gap` for each gap; ends are free."""
    return _align(np.ascontiguousarray(likeness, np.float64), float(gap))


@numba.njit(cache=True, nogil=True)
@no_type_check
def _align(likeness, gap):
    n, m = likeness.shape
    # States: 0 a pair, 1 a gap in the second chain, 2 a gap in the first; `back` holds the state before.
    pair, down, right = np.zeros((n + 1, m + 1)), np.zeros((n + 1, m + 1)), np.zeros((n + 1, m + 1))
    back = np.zeros((3, n + 1, m + 1), np.int8)
    pair[0, 1:] = -1e9
    pair[1:, 0] = -1e9
    down[1:, 0], right[0, 1:] = 0.0, 0.0
    down[0, 1:], right[1:, 0] = -1e9, -1e9
    back[1, 1:, 0], back[2, 0, 1:] = 1, 2
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            states = (pair[i - 1, j - 1], down[i - 1, j - 1], right[i - 1, j - 1])
            k = 0
            if states[1] > states[k]:
                k = 1
            if states[2] > states[k]:
                k = 2
            pair[i, j], back[0, i, j] = states[k] + likeness[i - 1, j - 1], k
            cost = 0.0 if j == m else gap
            opened, kept = pair[i - 1, j] - cost, down[i - 1, j]
            down[i, j], back[1, i, j] = (kept, 1) if kept >= opened else (opened, 0)
            cost = 0.0 if i == n else gap
            opened, kept = pair[i, j - 1] - cost, right[i, j - 1]
            # A gap in one chain may follow a gap in the other.
            crossed = down[i, j - 1] - cost
            right[i, j], back[2, i, j] = (kept, 2) if kept >= opened else (opened, 0)
            if crossed > right[i, j]:
                right[i, j], back[2, i, j] = crossed, 1
    i, j = n, m
    state = 0
    if down[n, m] > pair[n, m]:
        state = 1
    if right[n, m] > max(pair[n, m], down[n, m]):
        state = 2
    out = np.empty((min(n, m), 2), np.int64)
    count = 0
    while i > 0 and j > 0:
        before = back[state, i, j]
        if state == 0:
            out[count, 0], out[count, 1] = i - 1, j - 1
            count += 1
            i, j = i - 1, j - 1
        elif state == 1:
            i -= 1
        else:
            j -= 1
        state = before
    return out[:count][::-1].copy()
