"""Walks of a sequence among Cα candidates, summed over: forward–backward over bonds, with angles and unbuilt residues.

A walk may meet a candidate twice, which a chain may not; `field.py` takes that into account. States are bonds, so that
no walk turns back at once and the angle at every Cα counts. A hidden Markov model, whose emissions are the site scores.

The functions are compiled by numba.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float
from numba import njit
from scipy.spatial import KDTree

from deepmm_jax.threading.geometry import ANGLES
from deepmm_jax.threading.scores import LONGEST_STEP, ThreadingProblem


LEAST = -5.0
"""A bond worth less is left out."""
FORGOTTEN, COLDER = 2e-6, 8.6
"""States with a share of their residue's sum below FORGOTTEN · exp(−COLDER / temperature) are dropped on the way
forward: 4e-8 at the start of an annealing, 1e-12 at its end."""
DENSE = 8
"""If one bond in so many is kept, all are gone through: a list of those that are reached would be more work."""
TINY = 1e-30
"""Least sum of a row."""
FAST = {"nnan", "nsz", "contract", "reassoc", "arcp"}
"""Sums may be taken in any order, so the last digits differ between machines."""


class Walks(NamedTuple):
    """Bonds and which of them follow each other; b bonds, m candidates, t pairs of successive bonds."""

    tail: np.ndarray
    """The candidate that each bond leads from, (b,),"""
    head: np.ndarray
    """and to."""
    bond: np.ndarray
    """Its score, (b,)."""
    first: np.ndarray
    """Where the pairs that begin with each bond are, (b + 1,)."""
    after: np.ndarray
    """The second bond of each pair, (t,)."""
    angle: np.ndarray
    """What the candidate in the middle makes of the angle there, (t,),"""
    kind: np.ndarray
    """and the class of the angle, (t,); what the residue makes of it is in `expected`."""
    expected: np.ndarray
    """(n, classes)."""
    across: np.ndarray
    """Candidates that one unbuilt residue may lie between, (m, k), -1 beyond."""


def find_walks(problem: ThreadingProblem) -> Walks:
    """The walks of a problem."""
    positions = problem.points.positions.astype(float)
    tail, head = np.nonzero(problem.bonds > LEAST)
    order = np.argsort(tail, kind="stable")
    tail, head = tail[order], head[order]
    starts = np.searchsorted(tail, np.arange(len(positions) + 1))
    count = starts[head + 1] - starts[head]
    before = np.repeat(np.arange(len(tail)), count)
    after = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + starts[head[before]]
    onward = (tail[before] != head[after]) & ~problem.near[tail[before], head[after]]
    before, after = before[onward], after[onward]
    middle = head[before]
    back, on = positions[tail[before]] - positions[middle], positions[head[after]] - positions[middle]
    cosine = (back * on).sum(axis=1) / np.maximum(np.linalg.norm(back, axis=1) * np.linalg.norm(on, axis=1), 1e-6)
    kind = (cosine[:, None] < ANGLES).sum(axis=1)
    angle = np.array(problem.weights.angle) / 2  # of the mean of what is expected and what is seen
    around = KDTree(positions).query_ball_point(positions, 2 * LONGEST_STEP) if len(positions) else []
    across = [[d for d in near if d != c and not problem.near[c, d]] for c, near in enumerate(around)]
    table = np.full((len(positions), max(map(len, across), default=0) + 1), -1, np.int32)
    for c, near in enumerate(across):
        table[c, : len(near)] = near
    return Walks(
        tail=tail.astype(np.int32),
        head=head.astype(np.int32),
        bond=problem.bonds[tail, head].astype(np.float32),
        first=np.searchsorted(before, np.arange(len(tail) + 1)),
        after=after.astype(np.int32),
        angle=(problem.points.secondary_structure @ angle)[middle, kind].astype(np.float32),
        kind=kind.astype(np.int32),
        expected=(problem.structure @ angle).astype(np.float32),
        across=table,
    )


def occupancies(
    walks: Walks, problem: ThreadingProblem, sites: Float[np.ndarray, "n m"], temperature: float
) -> Float[np.ndarray, "n m"]:
    """Probability that each residue stands at each candidate, of all walks with weight exp(score / temperature).

    `sites` are scores of residues at candidates; of the rest, bonds, angles and the costs of unbuilt residues count,
    pseudo-dihedrals and clashes do not. Two or more unbuilt residues may lie between any two candidates.
    """
    weights, n = problem.weights, len(sites)
    end = np.exp(-weights.end_residue / temperature * np.arange(n))
    return _forward_backward(
        np.exp(sites / temperature).astype(np.float32, order="C"),  # one layout is compiled
        walks.tail,
        walks.head,
        np.exp(walks.bond / temperature),
        walks.first,
        walks.after,
        np.exp(walks.angle / temperature),
        walks.kind,
        np.exp(walks.expected / temperature),
        walks.across,
        end,
        end[::-1].copy(),
        float(np.exp(-weights.gap / temperature)),
        float(np.exp(-weights.gap_residue / temperature)),
        float(FORGOTTEN * np.exp(-COLDER / temperature)),
    )


@njit(cache=True, nogil=True, fastmath=FAST)
@no_type_check
def _forward_backward(
    site, tail, head, bond, first, after, angle, kind, expected, across, begin, finish, opened, unbuilt, forgotten
):
    """The occupancies. Every row is divided by its sum; `front` and `back` are the logs of what was divided by.

    Of each row only the bonds that are not forgotten are kept: row i has `kept[rows[i]:rows[i + 1]]`.
    """
    n, m = site.shape
    size = head.size
    led = np.searchsorted(tail, np.arange(m + 1))  # where the bonds that lead from each candidate are
    rows = np.zeros(n + 1, np.int64)
    kept, ahead = np.zeros(4 * size, np.int32), np.zeros(4 * size, np.float32)  # residue i at the head of a bond
    started = np.zeros((n, m), np.float32)  # residue i first, or behind unbuilt ones
    either = np.zeros((n, m), np.float32)
    front = np.zeros(n)
    gap, log = 0.0, 0.0
    row, met = np.zeros(size, np.float32), np.zeros(size, np.bool_)
    reached = np.zeros(size, np.int32)
    near = np.zeros(m, np.float32)
    for i in range(n):
        gap *= unbuilt
        if i >= 3:
            gap += np.exp(front[i - 3] - log) * opened * unbuilt * unbuilt
        anywhere = begin[i] * np.exp(-log) + gap
        near[:] = 0.0
        if i >= 2:
            _spread(either[i - 2], across, near, forgotten)
            near *= np.exp(front[i - 2] - log) * opened * unbuilt
        total = 0.0
        for c in range(m):
            value = (anywhere + near[c]) * site[i, c]
            started[i, c] = value
            either[i, c] = value
            total += value
        count = 0
        if i >= 1 and rows[i] - rows[i - 1] > size // DENSE:
            count = size
            for e in range(size):
                reached[e] = e
                row[e] = started[i - 1, tail[e]]
            for k in range(rows[i - 1], rows[i]):
                e, here = kept[k], ahead[k]
                for t in range(first[e], first[e + 1]):
                    row[after[t]] += here * angle[t] * expected[i - 1, kind[t]]
        elif i >= 1:
            for c in range(m):
                here = started[i - 1, c]
                if here > forgotten:
                    for e in range(led[c], led[c + 1]):
                        row[e] = here
                        met[e] = True
                        reached[count] = e
                        count += 1
            for k in range(rows[i - 1], rows[i]):
                e, here = kept[k], ahead[k]
                for t in range(first[e], first[e + 1]):
                    f = after[t]
                    if not met[f]:
                        met[f] = True
                        reached[count] = f
                        count += 1
                    row[f] += here * angle[t] * expected[i - 1, kind[t]]
        if i >= 1:
            for k in range(count):
                e = reached[k]
                value = row[e] * bond[e] * site[i, head[e]]
                row[e] = value
                either[i, head[e]] += value
                total += value
        total = max(total, TINY)
        least = forgotten * total
        used = rows[i]
        if used + count > kept.size:
            kept = np.concatenate((kept, np.zeros(kept.size + count, np.int32)))
            ahead = np.concatenate((ahead, np.zeros(ahead.size + count, np.float32)))
        for k in range(count):
            e = reached[k]
            if row[e] > least:
                kept[used] = e
                ahead[used] = row[e] / total
                used += 1
            row[e] = 0.0
            met[e] = False
        rows[i + 1] = used
        for c in range(m):
            started[i, c] /= total
            either[i, c] /= total
        gap /= total
        log += np.log(total)
        front[i] = log

    highest = -np.inf
    for i in range(n):
        highest = max(highest, front[i] + np.log(finish[i] + 1e-300))
    whole = 0.0
    for i in range(n):
        whole += np.exp(front[i] - highest) * finish[i]
    whole = highest + np.log(whole)

    occupied = np.zeros((n, m))
    behind, onward = np.zeros(rows[n], np.float32), np.zeros(size, np.float32)
    ending, here_at = np.zeros(m, np.float32), np.zeros((n, m), np.float32)
    back, sums = np.zeros(n), np.zeros(n)
    follows = np.zeros(m, np.float32)  # all that comes after residue i at a candidate, if it is `started`
    gap, log = 0.0, 0.0
    for i in range(n - 1, -1, -1):
        gap *= unbuilt
        if i + 3 < n:
            gap += sums[i + 3] * np.exp(back[i + 3] - log) * opened * unbuilt * unbuilt
        anywhere = finish[i] * np.exp(-log) + gap
        near[:] = 0.0
        if i + 2 < n:
            _spread(here_at[i + 2], across, near, forgotten)
            near *= sums[i + 2] * np.exp(back[i + 2] - log) * opened * unbuilt
        for c in range(m):
            ending[c] = anywhere + near[c]
            follows[c] = ending[c]
        if i + 1 < n:
            for k in range(rows[i + 1], rows[i + 2]):
                e = kept[k]
                onward[e] = bond[e] * site[i + 1, head[e]] * behind[k]
                follows[tail[e]] += onward[e]
        total = TINY
        for c in range(m):
            total += follows[c]
        for k in range(rows[i], rows[i + 1]):
            e = kept[k]
            value = ending[head[e]]
            for t in range(first[e], first[e + 1]):
                value += onward[after[t]] * angle[t] * expected[i, kind[t]]
            behind[k] = value / total
        if i + 1 < n:
            for k in range(rows[i + 1], rows[i + 2]):
                onward[kept[k]] = 0.0
        gap /= total
        log += np.log(total)
        back[i] = log
        share = np.exp(front[i] + log - whole)
        for c in range(m):
            follows[c] /= total
            here_at[i, c] = follows[c] * site[i, c]
            sums[i] += here_at[i, c]
            occupied[i, c] = started[i, c] * follows[c] * share
        for c in range(m):
            here_at[i, c] /= max(sums[i], TINY)
        for k in range(rows[i], rows[i + 1]):
            occupied[i, head[kept[k]]] += ahead[k] * behind[k] * share
    return occupied


@njit(cache=True, nogil=True, fastmath=FAST)
@no_type_check
def _spread(shares, across, near, forgotten):
    """To each candidate the shares of those that one unbuilt residue may lie between; what is forgotten stays."""
    for c in range(shares.size):
        here = shares[c]
        if here > forgotten:
            for k in range(across.shape[1]):
                if across[c, k] < 0:
                    break
                near[across[c, k]] += here
