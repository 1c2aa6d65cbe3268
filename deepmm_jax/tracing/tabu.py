"""Tabu search for the spanning tree whose heaviest path is the main chain (sections 2.3 and 2.5; MAINMAST).

A swap takes an edge out of the tree and joins the halves by a local edge. A round draws swaps at random until
`neighbours` of them are admissible and carries out the best, even if it makes the tree worse; the reverse goes on the
tabu list. A swap is not admissible if

- it or its reverse is on the tabu list;
- it removes an edge of the minimum spanning tree from the inside of the new heaviest path;
- the tree keeps its worth but grows longer, or ties with the best of the round without being shorter;
- the heaviest path changes into one that runs like the best path of an earlier trajectory (|Kendall τ| > 0.95).

A trajectory ends with the best tree it has moved to, of which the spanning tree it set out from is none: so each is an
alternative, as the different lengths of the paths of the authors' program show.

The functions are compiled by numba; random numbers come from the seed alone, so that every run gives the same paths.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Bool, Int
from numba import njit

from deepmm_jax.config import TracingConfig
from deepmm_jax.tracing.graph import PointGraph
from deepmm_jax.tracing.likeness import kendall_tau
from deepmm_jax.tracing.tree import Branches, RootedTree, heaviest_path, measure, measure_swap, root_tree


MOST_ALIKE = 0.95
"""Two paths with a |Kendall τ| above this are the same main chain."""

_SAME = 1e-12
"""Two worths that differ relatively by less are equal."""


class Trajectory(NamedTuple):
    """The best tree that one trajectory has moved to."""

    in_tree: Bool[np.ndarray, " m"]
    """Flags of its edges, over the local edges."""
    score: float
    """Its worth, Σ L_k²."""
    path: Int[np.ndarray, " k"]
    """The vertices of its heaviest path."""
    rounds: int
    """Rounds carried out; fewer than asked for if no admissible swap was left."""


def search_trees(graph: PointGraph, config: TracingConfig, seed: int, number: int = 0) -> list[Trajectory]:
    """The trajectories of search `number` of `config.searches`, one after another, each from the minimum spanning tree.

    A later one keeps away from the best paths of those before it, which makes the list a set of alternatives.
    Vertices and edges are numbered as in `graph`, edges over its `local_edges` of the search's radius only.
    """
    search = config.searches[number]
    local = graph.local_edges(search.local_radius)
    length, first = graph.length[local], graph.spanning_tree[local]
    rank = np.full((config.trajectories, len(graph.vertices)), -1)
    found: list[Trajectory] = []
    for t in range(config.trajectories):
        rules = _Rules(
            ends=graph.ends[local],
            length=length,
            weight=graph.weight[local],
            first=first,
            fixed=first & (length < search.keep_length),
            longest=config.length_ratio * length[first].sum(),
            neighbours=config.neighbours,
            tabu_length=config.tabu_length,
            rank=rank[:t],
        )
        trajectory = Trajectory(*_search(rules, search.rounds, _random_state(seed, number * config.trajectories + t)))
        rank[t, trajectory.path] = np.arange(len(trajectory.path))
        found.append(trajectory)
    return found


class _Rules(NamedTuple):
    """What a trajectory plays with: the local edges and the limits of its swaps."""

    ends: np.ndarray
    """The vertices of each edge, (m, 2)."""
    length: np.ndarray
    """Its length, (m,)."""
    weight: np.ndarray
    """Its search weight, (m,)."""
    first: np.ndarray
    """The minimum spanning tree, m flags."""
    fixed: np.ndarray
    """The edges that stay in the tree, m flags."""
    longest: float
    """Length that no tree exceeds."""
    neighbours: int
    tabu_length: int
    rank: np.ndarray
    """Place of each vertex in the best path of each earlier trajectory, -1 off the path, (t, n)."""


class _State(NamedTuple):
    """A tree of the search."""

    in_tree: np.ndarray
    length: float
    tree: RootedTree
    branches: Branches
    path: np.ndarray


class _Swap(NamedTuple):
    """A swap and the tree that comes of it; `out` is -1 if there is none. `stuck`: the round ran out of swaps."""

    out: int
    into: int
    score: float
    length: float
    path: np.ndarray
    stuck: bool


@njit(cache=True, nogil=True)
@no_type_check
def _search(rules, rounds, random):
    """One trajectory: the fields of `Trajectory`. The tree it starts from is its best only if it cannot move."""
    now = _state(rules, rules.first.copy(), rules.ends[0, 0])
    best, tabu, listed, done = now, _no_swaps(rules), 0, 0
    while done < rounds:
        swap = _best_swap(rules, now, tabu, random)
        if swap.out < 0:
            break
        in_tree = now.in_tree.copy()
        in_tree[swap.out], in_tree[swap.into] = False, True
        now = _state(rules, in_tree, swap.path[swap.path.size // 2])
        if done == 0 or now.branches.score > best.branches.score:
            best, tabu, listed = now, _no_swaps(rules), 0
        tabu[listed % tabu.shape[0], 0], tabu[listed % tabu.shape[0], 1] = swap.into, swap.out
        listed, done = listed + 1, done + 1
        if swap.stuck:
            break
    return best.in_tree, best.branches.score, best.path, done


@njit(cache=True, nogil=True)
@no_type_check
def _best_swap(rules, now, tabu, random):
    """One round: the best of `rules.neighbours` admissible swaps.

    Stuck, after more refusals than there are edges, the round forgets the tabu list (which is emptied in place); stuck
    again, it returns the best so far.
    """
    tree, score = now.tree, now.branches.score
    best = _Swap(-1, -1, -1.0, 0.0, now.path, False)
    loose, spare = np.flatnonzero(now.in_tree & ~rules.fixed), np.flatnonzero(~now.in_tree)
    if loose.size == 0:
        return best
    row_of = np.empty(rules.length.size, np.int64)
    for row in range(1, tree.edge.size):
        row_of[tree.edge[row]] = row
    spare_row = np.empty((spare.size, 2), np.int64)
    for k in range(spare.size):
        spare_row[k, 0], spare_row[k, 1] = tree.row[rules.ends[spare[k], 0]], tree.row[rules.ends[spare[k], 1]]
    spare_length = rules.length[spare]
    admitted, tries, cleared = 0, 0, False
    while admitted < rules.neighbours:
        if tries - admitted > rules.length.size:
            if cleared:
                return _Swap(best.out, best.into, best.score, best.length, best.path, True)
            tabu.fill(-1)
            tries, cleared = admitted, True
        tries += 1
        out = loose[_draw(random, loose.size)]
        cut = row_of[out]
        room = rules.longest - now.length + rules.length[out]
        k = _reconnection(random, tree, cut, spare_row, spare_length, room)
        if k < 0 or _is_tabu(tabu, out, spare[k]):
            continue
        inner, outer = spare_row[k]
        if not cut <= inner < tree.last[cut]:
            inner, outer = outer, inner
        branches = measure_swap(tree, now.branches, cut, inner, outer, rules.weight[spare[k]])
        length = now.length - rules.length[out] + spare_length[k]
        ties = _equal(branches.score, best.score)
        if (_equal(branches.score, score) and length > now.length) or (ties and length >= best.length):
            continue
        path = heaviest_path(tree, branches)
        if rules.first[out] and _is_inside(path, rules.ends[out]):
            continue
        if _is_like_earlier(path, now.path, rules.rank):
            continue
        admitted += 1
        if ties or branches.score > best.score:
            best = _Swap(out, spare[k], branches.score, length, path, False)
    return best


@njit(cache=True, nogil=True)
@no_type_check
def _no_swaps(rules):
    """An empty tabu list."""
    return np.full((rules.tabu_length, 2), -1)


@njit(cache=True, nogil=True)
@no_type_check
def _state(rules, in_tree, vertex):
    """A tree laid out from `vertex`: in the middle of its heaviest path swaps cost least."""
    tree = root_tree(rules.ends, rules.weight, in_tree, vertex)
    branches = measure(tree)
    return _State(in_tree, rules.length[in_tree].sum(), tree, branches, heaviest_path(tree, branches))


@njit(cache=True, nogil=True)
@no_type_check
def _reconnection(random, tree, cut, spare_row, spare_length, room):
    """A random spare edge, no longer than `room`, with one end in the sub-tree of row `cut`: its number, or -1."""
    low, high = cut, tree.last[cut]
    fitting, count = np.empty(spare_length.size, np.int64), np.int64(0)
    for k in range(spare_length.size):
        if (low <= spare_row[k, 0] < high) != (low <= spare_row[k, 1] < high) and spare_length[k] <= room:
            fitting[count] = k
            count += 1
    return fitting[_draw(random, count)] if count > 0 else -1


@njit(cache=True, nogil=True)
@no_type_check
def _is_tabu(tabu, out, into):
    """Whether the swap or its reverse is listed."""
    for k in range(tabu.shape[0]):
        if (tabu[k, 0] == out and tabu[k, 1] == into) or (tabu[k, 0] == into and tabu[k, 1] == out):
            return True
    return False


@njit(cache=True, nogil=True)
@no_type_check
def _is_inside(path, ends):
    """Whether both ends of an edge are on the path but not at its tips."""
    met = 0
    for k in range(1, path.size - 1):
        met += (path[k] == ends[0]) + (path[k] == ends[1])
    return met == 2


@njit(cache=True, nogil=True)
@no_type_check
def _is_like_earlier(path, current, rank):
    """Whether the path differs from the current one and runs like an earlier best path."""
    if np.array_equal(path, current):
        return False
    for t in range(rank.shape[0]):
        if abs(kendall_tau(path, rank[t])) > MOST_ALIKE:
            return True
    return False


@njit(cache=True, nogil=True)
@no_type_check
def _equal(a, b):
    """Whether two worths are equal but for rounding."""
    return abs(a - b) <= _SAME * max(abs(a), abs(b))


_STRIDE = 0x9E3779B97F4A7C15
"""Increment of the splitmix64 generator (Steele, Lea & Flood 2014)."""


def _random_state(seed: int, number: int) -> np.ndarray:
    """State of the generator of one trajectory, shape (1,): its numbers begin 2⁴⁰ after those of the one before."""
    return np.array([(seed + (number + 1) * _STRIDE * 2**40) % 2**64], np.uint64)


@njit(cache=True, nogil=True)
@no_type_check
def _draw(random, n):
    """A random integer in [0, n): splitmix64."""
    random[0] += np.uint64(_STRIDE)
    z = random[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64((z ^ (z >> np.uint64(31))) % np.uint64(n))
