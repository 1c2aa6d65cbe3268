"""Search for the best chain through Cα candidates: simulated annealing over paths, the sequence aligned to each.

Every move changes a path (a stretch is reversed, moved, a candidate comes or goes); the sequence is then aligned to it
anew. So a move is judged by all that the evidence says about the whole chain, and the register of every part follows by
itself. The tabu search of the paper changes spanning trees and never looks at the sequence. Moves are tried along the
path, to and fro, so that what lies before and behind them is known.

The functions are compiled by numba; random numbers come from the seed alone, so that every run gives the same chains.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Bool, Int
from numba import njit
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree, shortest_path

from deepmm_jax.threading.moves import propose
from deepmm_jax.threading.rows import back_row, empty_rows, front_row, join, trace
from deepmm_jax.threading.scores import ThreadingProblem
from deepmm_jax.threading.tables import Tables, whole_chain


SPARE = 3
"""A path has at most so many candidates a residue."""
TRIES = 3
"""So many moves are tried around a candidate before the next one's turn."""
SAME = 1e-3
"""Scores of one chain, reckoned from different places, differ by less."""
SLACK = 2.0
"""By so much a move may better what only the whole chain shows, or it is not looked at."""
PRUNING = 0.01
"""How often the spare candidates are dropped, by accepted move: short paths are fast, spare ones let registers move."""


class ThreadedChain(NamedTuple):
    """A chain that a search has found: its score, and the candidate of every residue (-1 where it is unbuilt)."""

    score: float
    places: Int[np.ndarray, " n"]


def longest_path(problem: ThreadingProblem) -> Int[np.ndarray, " k"]:
    """The longest path of the spanning tree of the best bonds: where a search may start."""
    either = np.maximum(problem.bonds, problem.bonds.T)
    a, b = np.nonzero(np.triu(either > -np.inf))
    if not len(a):
        return np.zeros(0, np.int32)
    cost = either.max() + 1.0 - either[a, b]
    tree = minimum_spanning_tree(csr_array((cost, (a, b)), shape=either.shape))
    tree = tree + tree.T
    _, part = connected_components(tree)
    start = int(np.flatnonzero(part == np.bincount(part).argmax())[0])
    hops = shortest_path(tree, indices=start, unweighted=True)
    first = int(np.where(np.isfinite(hops), hops, -1).argmax())  # the farthest from anywhere is an end
    hops, before = shortest_path(tree, indices=first, unweighted=True, return_predecessors=True)
    path = [int(np.where(np.isfinite(hops), hops, -1).argmax())]
    while path[-1] != first:
        path.append(int(before[path[-1]]))
    return np.array(path, np.int32)


def search_chain(
    tables: Tables,
    start: Int[np.ndarray, " k"],
    steps: int,
    temperatures: tuple[float, float],
    seed: int,
    halt: Bool[np.ndarray, "1"] | None = None,
) -> ThreadedChain:
    """The best chain that `steps` moves from a path meet, while the temperature falls from one to the other.

    Another thread may end the search by making `halt` true.
    Without a bond there is no chain: every residue is unbuilt.
    """
    n = tables.sites.shape[1]
    if not len(start) or not n:
        return ThreadedChain(0.0, np.full(n, -1))
    window = max(SPARE * n, 2)
    stretches = [start[k : k + window] for k in range(0, max(len(start) - window, 0) + 1, max(window // 2, 1))]
    best = max((_align(tables, stretch.astype(np.int32))[0], k) for k, stretch in enumerate(stretches))[1]
    halt = np.zeros(1, bool) if halt is None else halt
    score, places = _anneal(tables, stretches[best].astype(np.int32), steps, *temperatures, seed, halt)
    return ThreadedChain(float(score), places.astype(np.int64))


def align_path(tables: Tables, path: Int[np.ndarray, " k"]) -> ThreadedChain:
    """The sequence on one path, as it is."""
    score, places = _align(tables, path.astype(np.int32))
    return ThreadedChain(float(score), places.astype(np.int64))


@njit(cache=True, nogil=True)
@no_type_check
def _align(tables, path):
    """Score and places of the sequence on a path."""
    size, n = path.size, tables.begin.size
    rows, slots = empty_rows(size, n), np.arange(size)
    for j in range(size):
        front_row(tables, rows, path, slots, j)
    places, spare = np.empty(n, np.int32), np.empty(n, np.float32)
    trace(tables, rows, path, slots, size, size, places, spare)
    return rows.ended[size - 1] + whole_chain(tables, places, np.full(len(tables.sites), -1)), places


@njit(cache=True, nogil=True)
@no_type_check
def _anneal(tables, start, steps, hot, cold, seed, halt):
    """The best score met, and the places of its chain."""
    np.random.seed(seed)
    m, n = tables.sites.shape
    capacity = min(m, max(SPARE * n, 2))
    path, new = np.empty(capacity, np.int32), np.empty(capacity, np.int32)
    size = start.size
    path[:size] = start
    where = np.full(m, -1, np.int32)
    where[path[:size]] = np.arange(size)
    # Rows of the path, and free ones for what a move changes.
    rows = empty_rows(2 * capacity, n)
    slots, new_slots = np.arange(capacity), np.arange(capacity)
    free, freed = np.arange(capacity, 2 * capacity), np.empty(capacity, np.int64)
    free = np.concatenate((free, slots[size:]))
    n_free = free.size
    free = np.concatenate((free, np.zeros(2 * capacity - n_free, np.int64)))
    front, back = 0, size  # rows before the one and from the other on are those of the path
    order, places, spare = np.full(m, -1), np.full(n, -1, np.int32), np.empty(n, np.float32)
    found = places.copy()

    score = best = -np.inf
    whole = 0.0  # the part of the score that only the whole chain shows
    best_places = np.full(n, -1, np.int32)
    p, turn = 0, 1
    for step in range(steps + 1):
        if halt[0] and step > 0:
            break
        if step == 0:  # the path as it is
            new[:size] = path[:size]
            new_size, first, behind = size, size, size
        else:
            if step % TRIES == 0:
                p += turn
            if p >= size - 1:
                p, turn = size - 1, -1
            if p <= 0:
                p, turn = 0, 1
            new_size, first, behind = propose(tables, path, size, where, p, new)
            if first < 0:
                continue
        old = behind + size - new_size
        while front < first:
            front_row(tables, rows, path, slots, front)
            front += 1
        while back > old:
            back -= 1
            back_row(tables, rows, path, slots, size, back)
        new_slots[:first] = slots[:first]
        new_slots[first:behind] = free[n_free - (behind - first) : n_free]
        new_slots[behind:new_size] = slots[old:size]
        for j in range(first, behind):
            front_row(tables, rows, new, new_slots, j)
        allowed = score + hot * (cold / hot) ** (step / (steps + 1)) * np.log(np.random.random())
        raw = join(tables, rows, new, new_slots, new_size, behind, spare)
        if raw + whole + SLACK < allowed:
            continue
        value = whole
        if abs(raw - score + whole) > SAME:  # another chain, not the same beside one spare candidate more or less
            trace(tables, rows, new, new_slots, new_size, behind, found, spare)
            value = whole_chain(tables, found, order)
            if raw + value < allowed:
                continue
            places[:] = found
        n_free -= behind - first
        free[n_free : n_free + old - first] = slots[first:old]
        n_free += old - first
        for k in range(first, old):
            where[path[k]] = -1
        for k in range(first, new_size):
            where[new[k]] = k
        path, new, slots, new_slots, size = new, path, new_slots, slots, new_size
        front = back = behind
        score, whole = raw + value, value
        if score > best:
            best = score
            best_places[:] = places
        if np.random.random() < PRUNING:
            for i in range(n):
                if places[i] >= 0:
                    order[places[i]] = i
            kept = 0
            for k in range(size):
                if order[path[k]] >= 0:
                    path[kept], freed[kept] = path[k], slots[k]
                    where[path[kept]] = kept
                    kept += 1
                else:
                    where[path[k]] = -1
                    free[n_free] = slots[k]
                    n_free += 1
            order[:] = -1
            slots[:kept] = freed[:kept]
            size, front, back = kept, 0, kept
            p = min(p, size - 1)
    return best, best_places
