"""The best placement of a sequence on a path of Cα candidates: dynamic programming from either end.

A path lists candidates in the order of the chain, some of them spare; every residue stands at one of them or is
unbuilt. Each candidate of the path has a row of scores for what comes up to it and one for what comes after it, so that
a path that differs from another in a few candidates is scored by their rows alone.

The functions are compiled by numba.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit

from deepmm_jax.threading.tables import NEVER


REACH = 4
"""Successive residues are at most so many candidates apart on the path."""
FAST = {"nnan", "nsz"}
"""No score is NaN, so maxima can be taken over many residues at once; sums keep their order on every machine."""


class Rows(NamedTuple):
    """Rows of scores, each (slots, n) or (slots,); a path says which slot each of its candidates has.

    `ahead[s, i]` is the best score of a chain that ends with residue i at the candidate, `waiting[s, i]` that of one in
    which residue i comes next and those before it, one at least, are unbuilt, `ended[s]` that of one that ends here or
    before. `behind[s, i]` is the best score of a chain that begins with residue i at the candidate, `later[s, i]` that
    of one that begins with it here or farther on, `begun[s]` the best of these with the cost of the residues before.
    """

    ahead: np.ndarray
    waiting: np.ndarray
    ended: np.ndarray
    behind: np.ndarray
    later: np.ndarray
    begun: np.ndarray


@njit(cache=True, nogil=True, fastmath=FAST)
@no_type_check
def empty_rows(slots, n):
    """Room for the rows of so many slots and n residues."""
    return Rows(
        np.empty((slots, n), np.float32),
        np.empty((slots, n), np.float32),
        np.empty(slots, np.float32),
        np.empty((slots, n), np.float32),
        np.empty((slots, n), np.float32),
        np.empty(slots, np.float32),
    )


@njit(cache=True, nogil=True, fastmath=FAST)
@no_type_check
def _raise(row, other, bond):
    """Raise `row` to `other` plus `bond` where that is more."""
    for i in range(row.size):
        value = other[i] + bond
        row[i] = value if value > row[i] else row[i]


@njit(cache=True, nogil=True, fastmath=FAST)
@no_type_check
def _wait(tables, rows, slots, j, waiting):
    """The row `waiting` of the j-th candidate."""
    if j == 0:
        waiting[:] = NEVER
        return
    before, ahead = rows.waiting[slots[j - 1]], rows.ahead[slots[j - 1]]
    opened, cost = NEVER, tables.gap + tables.gap_residue
    for i in range(waiting.size):
        opened -= tables.gap_residue
        if i >= 2:
            value = ahead[i - 2] - cost
            opened = value if value > opened else opened
        waiting[i] = opened
    for i in range(waiting.size):
        waiting[i] = before[i] if before[i] > waiting[i] else waiting[i]


@njit(cache=True, nogil=True, fastmath=FAST)
@no_type_check
def front_row(tables, rows, path, slots, j):
    """What comes up to the j-th candidate, from the rows of those before it."""
    n, c, slot = tables.begin.size, path[j], slots[j]
    waiting, row, site = rows.waiting[slot], rows.ahead[slot], tables.sites[c]
    _wait(tables, rows, slots, j, waiting)
    for i in range(n):
        row[i] = waiting[i] if waiting[i] > tables.begin[i] else tables.begin[i]
    for q in range(max(j - REACH, 0), j):
        bond = tables.bonds[path[q], c]
        if bond > NEVER:
            _raise(row[1:], rows.ahead[slots[q]][: n - 1], bond)
    ended = NEVER
    for i in range(n):
        row[i] += site[i]
        value = row[i] + tables.finish[i]
        ended = value if value > ended else ended
    rows.ended[slot] = max(ended, rows.ended[slots[j - 1]]) if j > 0 else ended


@njit(cache=True, nogil=True, fastmath=FAST)
@no_type_check
def back_row(tables, rows, path, slots, size, j):
    """What comes after the j-th candidate, from the rows of those behind it."""
    n, c, slot = tables.begin.size, path[j], slots[j]
    row, later, site = rows.behind[slot], rows.later[slot], tables.sites[c]
    if j == size - 1:
        row[:] = tables.finish
        later[:] = NEVER
    else:
        after = rows.later[slots[j + 1]]
        opened, cost = NEVER, tables.gap + tables.gap_residue
        for i in range(n - 1, -1, -1):
            opened -= tables.gap_residue
            if i + 2 < n:
                value = after[i + 2] - cost
                opened = value if value > opened else opened
            row[i] = opened
        for i in range(n):
            row[i] = row[i] if row[i] > tables.finish[i] else tables.finish[i]
            later[i] = after[i]
    for q in range(j + 1, min(j + REACH + 1, size)):
        bond = tables.bonds[c, path[q]]
        if bond > NEVER:
            _raise(row[: n - 1], rows.behind[slots[q]][1:], bond)
    begun = NEVER
    for i in range(n):
        row[i] += site[i]
        later[i] = row[i] if row[i] > later[i] else later[i]
        value = row[i] + tables.begin[i]
        begun = value if value > begun else begun
    rows.begun[slot] = max(begun, rows.begun[slots[j + 1]]) if j < size - 1 else begun


@njit(cache=True, nogil=True, fastmath=FAST)
@no_type_check
def join(tables, rows, path, slots, size, j, waiting):
    """The best score of a chain on the path, from the front rows before the j-th candidate and the back rows from it.

    `waiting` is room for a row.
    """
    n = tables.begin.size
    best = NEVER
    if j > 0:
        best = max(best, rows.ended[slots[j - 1]])
    if j < size:
        best = max(best, rows.begun[slots[j]])
    if j == 0 or j == size:
        return best
    _wait(tables, rows, slots, j, waiting)
    later = rows.later[slots[j]]
    most = NEVER
    for i in range(n):
        value = waiting[i] + later[i]
        most = value if value > most else most
    best = max(best, most)
    for p in range(max(j - REACH, 0), j):
        ahead = rows.ahead[slots[p]]
        for q in range(j, min(p + REACH + 1, size)):
            bond = tables.bonds[path[p], path[q]]
            if bond > NEVER:
                behind = rows.behind[slots[q]]
                most = NEVER
                for i in range(n - 1):
                    value = ahead[i] + behind[i + 1]
                    most = value if value > most else most
                best = max(best, most + bond)
    return best


@njit(cache=True, nogil=True, fastmath=FAST)
@no_type_check
def trace(tables, rows, path, slots, size, j, places, waiting):
    """The candidate of every residue of the chain whose score `join` gives; -1 where it is unbuilt."""
    n = tables.begin.size
    places[:] = -1
    # Where the chain crosses from the front to the back rows, as (row, residue) on either side; -1: it does not.
    best, p, a, q, b = NEVER, -1, -1, -1, -1
    if j > 0 and rows.ended[slots[j - 1]] > best:
        best = rows.ended[slots[j - 1]]
        p = j - 1
        while p > 0 and rows.ended[slots[p - 1]] == best:
            p -= 1
        a = _best(rows.ahead[slots[p]], tables.finish)
    if j < size and rows.begun[slots[j]] > best:
        best = rows.begun[slots[j]]
        q, p = j, -1
        while q < size - 1 and rows.begun[slots[q + 1]] == best:
            q += 1
        b = _best(rows.behind[slots[q]], tables.begin)
    if 0 < j < size:
        _wait(tables, rows, slots, j, waiting)
        i = _best(waiting, rows.later[slots[j]])
        if waiting[i] + rows.later[slots[j]][i] > best:
            best = waiting[i] + rows.later[slots[j]][i]
            q, b = _begins_later(rows, slots, size, j, i), i
            p, a = _waits_since(tables, rows, slots, j, i, waiting[i])
        for before in range(max(j - REACH, 0), j):
            for after in range(j, min(before + REACH + 1, size)):
                bond = tables.bonds[path[before], path[after]]
                if bond > NEVER:
                    ahead, behind = rows.ahead[slots[before]][: n - 1], rows.behind[slots[after]][1:]
                    i = _best(ahead, behind)
                    if ahead[i] + behind[i] + bond > best:
                        best = ahead[i] + behind[i] + bond
                        p, a, q, b = before, i, after, i + 1
    if p >= 0:
        _trace_front(tables, rows, path, slots, p, a, places)
    if q >= 0:
        _trace_back(tables, rows, path, slots, size, q, b, places)


@njit(cache=True, nogil=True, fastmath=FAST)
@no_type_check
def _best(first, second):
    """Where the sum of two rows is largest."""
    best, at = NEVER, 0
    for i in range(first.size):
        if first[i] + second[i] > best:
            best, at = first[i] + second[i], i
    return at


@njit(cache=True, nogil=True, fastmath=FAST)
@no_type_check
def _waits_since(tables, rows, slots, j, i, value):
    """Row and residue after which the residues up to i are unbuilt, if waiting for i at row j is worth `value`."""
    q = j - 1
    while rows.waiting[slots[q]][i] >= value:
        q -= 1
    best, residue = NEVER, 0
    for a in range(i - 1):
        worth = rows.ahead[slots[q]][a] - tables.gap - tables.gap_residue * (i - a - 1)
        if worth > best:
            best, residue = worth, a
    return q, residue


@njit(cache=True, nogil=True, fastmath=FAST)
@no_type_check
def _begins_later(rows, slots, size, j, i):
    """The row from j on at which the best chain that begins with residue i does."""
    value = rows.later[slots[j]][i]
    while j < size - 1 and rows.later[slots[j + 1]][i] == value:
        j += 1
    return j


@njit(cache=True, nogil=True, fastmath=FAST)
@no_type_check
def _trace_front(tables, rows, path, slots, j, i, places):
    """The residues up to i, which stands at row j."""
    while True:
        places[i] = path[j]
        waiting = rows.waiting[slots[j]][i]
        best, came = max(tables.begin[i], waiting), -1
        if i > 0:
            for q in range(max(j - REACH, 0), j):
                bond = tables.bonds[path[q], path[j]]
                if bond > NEVER and rows.ahead[slots[q]][i - 1] + bond > best:
                    best, came = rows.ahead[slots[q]][i - 1] + bond, q
        if came >= 0:
            j, i = came, i - 1
        elif tables.begin[i] >= waiting:
            return
        else:
            j, i = _waits_since(tables, rows, slots, j, i, waiting)


@njit(cache=True, nogil=True, fastmath=FAST)
@no_type_check
def _trace_back(tables, rows, path, slots, size, j, i, places):
    """The residues from i on, which stands at row j."""
    n = tables.begin.size
    while True:
        places[i] = path[j]
        best, came = tables.finish[i], -1
        if i < n - 1:
            for q in range(j + 1, min(j + REACH + 1, size)):
                bond = tables.bonds[path[j], path[q]]
                if bond > NEVER and rows.behind[slots[q]][i + 1] + bond > best:
                    best, came = rows.behind[slots[q]][i + 1] + bond, q
        skipped, next_residue = NEVER, -1
        if j < size - 1:
            later = rows.later[slots[j + 1]]
            for b in range(i + 2, n):
                value = later[b] - tables.gap - tables.gap_residue * (b - i - 1)
                if value > skipped:
                    skipped, next_residue = value, b
        if skipped > best:
            j, i = _begins_later(rows, slots, size, j + 1, next_residue), next_residue
        elif came >= 0:
            j, i = came, i + 1
        else:
            return
