"""Search for the best chain through Cα candidates: simulated annealing over paths, the sequence aligned to each.

A path is a list of candidates in the order of the chain, some of them spare. Every move changes the path (a stretch is
reversed, moved, a candidate comes or goes); the sequence is then aligned anew to it by dynamic programming, which
puts every residue on a candidate of the path or leaves it unbuilt. So a move is judged by all that the evidence says
about the whole chain, and the register of every part follows by itself. The tabu search of the paper changes spanning
trees and never looks at the sequence.

The functions are compiled by numba; random numbers come from the seed alone, so that every run gives the same chains.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Bool, Int
from numba import njit
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree, shortest_path

from deepmm_jax.threading.scores import LONGEST_STEP, ThreadingProblem


REACH = 4
"""Successive residues are at most so many candidates apart on the path."""
SPARE = 3
"""A path has at most so many candidates a residue."""
PRUNING = 0.01
"""How often the spare candidates are dropped, by accepted move: short paths are fast, spare ones let registers move."""
NEVER = np.float32(-1e9)
"""Score of what cannot be."""


class ThreadedChain(NamedTuple):
    """A chain that a search has found: its score, and the candidate of every residue (-1 where it is unbuilt)."""

    score: float
    places: Int[np.ndarray, " n"]


class _Game(NamedTuple):
    """What a search plays with."""

    sites: np.ndarray
    """Score of each residue at each candidate, (m, n)."""
    bonds: np.ndarray
    """Score of the bond from one candidate to another, (m, m)."""
    positions: np.ndarray
    """Candidates, Å."""
    partners: np.ndarray
    """The candidates that each has a bond with, (m, d), -1 beyond."""
    chances: np.ndarray
    """Cumulative chances with which each of them is drawn, (m, d)."""
    near: np.ndarray
    """The candidates that clash with each, (m, k), -1 beyond."""
    begin: np.ndarray
    """Cost of what is unbuilt before residue i, (n,)."""
    finish: np.ndarray
    """And behind it."""
    gap: np.float32
    gap_residue: np.float32
    clash: np.float32


def prepare(problem: ThreadingProblem) -> _Game:
    """The tables of a problem as the search wants them."""
    weights = problem.weights
    n = problem.sites.shape[1]
    end = (-weights.end_residue * np.arange(n)).astype(np.float32)
    either = np.maximum(problem.bonds, problem.bonds.T)
    partners = _lists(either > -np.inf)
    strength = np.clip(np.take_along_axis(either, partners, axis=1), -6, 3)
    chances = np.cumsum(np.where(partners >= 0, np.exp(strength / 1.5) + 0.02, 0), axis=1)
    return _Game(
        sites=problem.sites,
        bonds=np.maximum(problem.bonds, NEVER),
        positions=problem.points.positions.astype(np.float64),
        partners=partners.astype(np.int32),
        chances=chances / np.maximum(chances[:, -1:], 1e-9),
        near=_lists(problem.near).astype(np.int32),
        begin=end,
        finish=end[::-1].copy(),
        gap=np.float32(weights.gap),
        gap_residue=np.float32(weights.gap_residue),
        clash=np.float32(weights.clash),
    )


def _lists(marked: np.ndarray) -> np.ndarray:
    """The marked columns of each row, padded with -1 (at least one)."""
    count = marked.sum(axis=1)
    out = np.full((len(marked), max(count.max(initial=0), 0) + 1), -1)
    row, column = np.nonzero(marked)
    out[row, np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)] = column
    return out


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
    game: _Game,
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
    n = game.sites.shape[1]
    if not len(start) or not n:
        return ThreadedChain(0.0, np.full(n, -1))
    window = max(SPARE * n, 2)
    stretches = [start[k : k + window] for k in range(0, max(len(start) - window, 0) + 1, max(window // 2, 1))]
    best = max((_align(game, stretch.astype(np.int32))[0], k) for k, stretch in enumerate(stretches))[1]
    halt = np.zeros(1, bool) if halt is None else halt
    score, places = _anneal(game, stretches[best].astype(np.int32), steps, *temperatures, seed, halt)
    return ThreadedChain(float(score), places.astype(np.int64))


def align_path(game: _Game, path: Int[np.ndarray, " k"]) -> ThreadedChain:
    """The sequence on one path, as it is."""
    score, places = _align(game, path.astype(np.int32))
    return ThreadedChain(float(score), places.astype(np.int64))


@njit(cache=True, nogil=True)
@no_type_check
def _extend(game, path, size, first, worth, waiting):
    """Fill rows `first` to `size` of the tables; those before belong to the same path already.

    worth[j, i] is the best score of a chain that ends with residue i at the j-th candidate, waiting[j, i] that of one
    in which residue i comes next and those before it, one at least, are unbuilt.
    """
    n = game.begin.size
    for j in range(first, size):
        c = path[j]
        if j == 0:
            waiting[0, :] = NEVER
        else:
            opened = NEVER
            for i in range(n):
                opened -= game.gap_residue
                if i >= 2:
                    opened = max(opened, worth[j - 1, i - 2] - game.gap - game.gap_residue)
                waiting[j, i] = max(waiting[j - 1, i], opened)
        row = worth[j]
        for i in range(n):
            row[i] = max(game.begin[i], waiting[j, i])
        for q in range(max(j - REACH, 0), j):
            bond = game.bonds[path[q], c]
            if bond > NEVER:
                before = worth[q]
                for i in range(1, n):
                    row[i] = max(row[i], before[i - 1] + bond)
        site = game.sites[c]
        for i in range(n):
            row[i] += site[i]


@njit(cache=True, nogil=True)
@no_type_check
def _best_end(game, worth, size):
    """The score of the best chain, and the row and residue that it ends with."""
    best, row, residue = NEVER, 0, 0
    for j in range(size):
        for i in range(game.begin.size):
            value = worth[j, i] + game.finish[i]
            if value > best:
                best, row, residue = value, j, i
    return best, row, residue


@njit(cache=True, nogil=True)
@no_type_check
def _trace_back(game, path, worth, waiting, row, residue, places):
    """The candidate of every residue of the best chain that ends with `residue` at `row`."""
    places[:] = -1
    j, i = row, residue
    while True:
        places[i] = path[j]
        best, came = max(game.begin[i], waiting[j, i]), -1
        if i > 0:
            for q in range(max(j - REACH, 0), j):
                bond = game.bonds[path[q], path[j]]
                if bond > NEVER and worth[q, i - 1] + bond > best:
                    best, came = worth[q, i - 1] + bond, q
        if came >= 0:
            j, i = came, i - 1
        elif game.begin[i] >= waiting[j, i]:
            return
        else:
            best, row, residue = NEVER, 0, 0
            for q in range(j):
                for a in range(i - 1):
                    value = worth[q, a] - game.gap - game.gap_residue * (i - a - 1)
                    if value > best:
                        best, row, residue = value, q, a
            j, i = row, residue


@njit(cache=True, nogil=True)
@no_type_check
def _faults(game, places, used):
    """Pairs of clashing Cα, and stretches of unbuilt residues that are too short for the distance across them."""
    count, last = 0, -1
    for i in range(places.size):
        if places[i] >= 0:
            used[places[i]] = True
    for i in range(places.size):
        c = places[i]
        if c < 0:
            continue
        for other in game.near[c]:
            if other < 0:
                break
            if other > c and used[other]:
                count += 1
        if last >= 0 and i - last > 1:
            step = game.positions[c] - game.positions[places[last]]
            if np.sqrt((step * step).sum()) > LONGEST_STEP * (i - last):
                count += 1
        last = i
    for i in range(places.size):
        if places[i] >= 0:
            used[places[i]] = False
    return count


@njit(cache=True, nogil=True)
@no_type_check
def _align(game, path):
    """Score and places of the sequence on a path."""
    worth = np.empty((path.size, game.begin.size), np.float32)
    waiting = np.empty_like(worth)
    _extend(game, path, path.size, 0, worth, waiting)
    score, row, residue = _best_end(game, worth, path.size)
    places = np.empty(game.begin.size, np.int32)
    _trace_back(game, path, worth, waiting, row, residue, places)
    return score - game.clash * _faults(game, places, np.zeros(len(game.sites), np.bool_)), places


@njit(cache=True, nogil=True)
@no_type_check
def _propose(game, path, size, where, new):
    """Write a changed path to `new`; its size, and the first entry that differs (-1: no change).

    Around a candidate c and one d that it may be bonded with: d comes in beside c or in its place; or the stretch
    between them is reversed so that they meet (up to an end of the path: its tail turns round), or a stretch
    that begins at d is moved next to c, either way round, or what lies between them goes to the end.
    """
    p = np.random.randint(size)
    c = path[p]
    kind = np.random.random()
    if kind < 0.06:
        if size <= 2:
            return size, -1
        new[:p], new[p : size - 1] = path[:p], path[p + 1 : size]
        return size - 1, p
    if kind < 0.08:
        for k in range(size):
            new[k] = path[size - 1 - k]
        return size, 0
    draw, k = np.random.random(), 0
    while k < game.partners.shape[1] - 1 and game.chances[c, k] < draw:
        k += 1
    d = game.partners[c, k]
    if d < 0:
        return size, -1
    q = where[d]
    if q < 0:
        mode = np.random.randint(3)
        new[:size] = path[:size]
        if mode == 2:
            new[p] = d
            return size, p
        if size == new.size:
            return size, -1
        new[p + mode + 1 : size + 1] = path[p + mode : size]
        new[p + mode] = d
        return size + 1, p + mode
    low, high = min(p, q), max(p, q)
    mode = np.random.randint(4)
    if high - low < 2 or mode < 2:
        if high - low < 2:
            first, last = low, high
        elif mode == 0:
            first, last = low + 1, high
        else:
            first, last = low, high - 1
        new[:size] = path[:size]
        for k in range(first, last + 1):
            new[k] = path[first + last - k]
        return size, first
    backwards = np.random.random() < 0.5
    if mode == 3:
        length = high - low - 1
        new[: low + 1] = path[: low + 1]
        new[low + 1 : size - length] = path[high:size]
        for k in range(length):
            new[size - length + k] = path[high - 1 - k] if backwards else path[low + 1 + k]
        return size, low + 1
    length = 1 + np.random.randint(12)
    if q > p:
        length = min(length, size - q)
        new[: p + 1] = path[: p + 1]
        for k in range(length):
            new[p + 1 + k] = path[q + length - 1 - k] if backwards else path[q + k]
        new[p + 1 + length : q + length] = path[p + 1 : q]
        new[q + length : size] = path[q + length : size]
        return size, p + 1
    length = min(length, q + 1)
    first = q - length + 1
    new[:first] = path[:first]
    new[first : p - length] = path[q + 1 : p]
    for k in range(length):
        new[p - length + k] = path[q - k] if backwards else path[first + k]
    new[p:size] = path[p:size]
    return size, first


@njit(cache=True, nogil=True)
@no_type_check
def _anneal(game, start, steps, hot, cold, seed, halt):
    """The best score met, and the places of its chain."""
    np.random.seed(seed)
    m, n = game.sites.shape
    capacity = min(m, max(SPARE * n, 2))
    path, new = np.empty(capacity, np.int32), np.empty(capacity, np.int32)
    size = start.size
    path[:size] = start
    where = np.full(m, -1, np.int32)
    where[path[:size]] = np.arange(size)
    worth, waiting = np.empty((capacity, n), np.float32), np.empty((capacity, n), np.float32)
    new_worth, new_waiting = np.empty((capacity, n), np.float32), np.empty((capacity, n), np.float32)
    used, places = np.zeros(m, np.bool_), np.empty(n, np.int32)
    _extend(game, path, size, 0, worth, waiting)
    raw, row, residue = _best_end(game, worth, size)
    _trace_back(game, path, worth, waiting, row, residue, places)
    score = raw - game.clash * _faults(game, places, used)
    best, best_places = score, places.copy()
    for step in range(steps):
        if halt[0]:
            break
        new_size, first = _propose(game, path, size, where, new)
        if first < 0:
            continue
        allowed = score + hot * (cold / hot) ** (step / steps) * np.log(np.random.random())
        new_worth[:first], new_waiting[:first] = worth[:first], waiting[:first]
        _extend(game, new, new_size, first, new_worth, new_waiting)
        raw, row, residue = _best_end(game, new_worth, new_size)
        if raw < allowed:
            continue
        _trace_back(game, new, new_worth, new_waiting, row, residue, places)
        value = raw - game.clash * _faults(game, places, used)
        if value < allowed:
            continue
        where[path[:size]] = -1
        path, new, size = new, path, new_size
        worth, new_worth, waiting, new_waiting = new_worth, worth, new_waiting, waiting
        score = value
        if score > best:
            best = score
            best_places[:] = places
        if np.random.random() < PRUNING:
            for i in range(n):
                if places[i] >= 0:
                    used[places[i]] = True
            kept = 0
            for k in range(size):
                if used[path[k]]:
                    path[kept] = path[k]
                    kept += 1
            used[:] = False
            size = kept
            _extend(game, path, size, 0, worth, waiting)
        where[path[:size]] = np.arange(size)
    return best, best_places
