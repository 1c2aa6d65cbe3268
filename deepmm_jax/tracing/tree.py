"""Spanning trees in preorder: their worth, their worth after a swap, their heaviest path (section 2.3; MAINMAST).

The worth of a tree is Σ L_k²: L_1 is the weight of its heaviest path, L_2, L_3 … those of the heaviest branches that
in turn leave what has been covered. These are the branches of the long-path decomposition of the tree, rooted anywhere
on the heaviest path; so one pass from the leaves to the root gives the sum, and another from the root to the apex (the
vertex of the heaviest path nearest the root) mends it where the root is off that path. The authors' program stops at
the hundredth branch, an array bound; here all count.

The functions are compiled by numba: they follow links from row to row, which array operations cannot express.
Its cache looks at one file only: after a change here or in likeness.py, touch tabu.py, which has them compiled in.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit


class RootedTree(NamedTuple):
    """A tree whose rows are its vertices in preorder: row 0 is the root, the sub-tree of row r is r … last[r] - 1."""

    vertex: np.ndarray
    """Vertex of each row, (n,)."""
    row: np.ndarray
    """Row of each vertex, (n,)."""
    above: np.ndarray
    """Row of the parent, -1 for the root, (n,)."""
    edge: np.ndarray
    """Edge to the parent, -1 for the root, (n,)."""
    link: np.ndarray
    """Weight of the edge to the parent, 0 for the root, (n,)."""
    last: np.ndarray
    """One past the last row of the sub-tree, (n,)."""


class Branches(NamedTuple):
    """The heaviest branches of a tree and its worth."""

    score: float
    """Σ L_k²."""
    apex: int
    """Row of the heaviest path that is nearest the root."""
    below: np.ndarray
    """Rows in which the heaviest and the second branch below each row begin, -1 where there is none, (n, 2)."""


@njit(cache=True)
@no_type_check
def root_tree(ends, weight, in_tree, root):
    """Lay out the tree of the edges `in_tree` (m flags) in preorder from the vertex `root`."""
    edges = np.flatnonzero(in_tree)
    n = edges.size + 1
    first = np.zeros(n + 1, np.int64)
    for e in edges:
        first[ends[e, 0] + 1] += 1
        first[ends[e, 1] + 1] += 1
    first = np.cumsum(first)
    incident = np.empty(2 * edges.size, np.int64)
    filled = first[:-1].copy()
    for e in edges:
        for v in ends[e]:
            incident[filled[v]] = e
            filled[v] += 1
    vertex, row = np.full(n, -1), np.full(n, -1)
    above, edge, link, last = np.full(n, -1), np.full(n, -1), np.zeros(n), np.zeros(n, np.int64)
    waiting, came_by = np.empty(n, np.int64), np.empty(n, np.int64)
    waiting[0], came_by[0] = root, -1
    count, rows = 1, 0
    while count > 0:
        count -= 1
        v, e = waiting[count], came_by[count]
        vertex[rows], row[v], edge[rows] = v, rows, e
        if e >= 0:
            above[rows] = row[ends[e, 0] + ends[e, 1] - v]
            link[rows] = weight[e]
        for k in range(first[v], first[v + 1]):
            if incident[k] != e:
                waiting[count] = ends[incident[k], 0] + ends[incident[k], 1] - v
                came_by[count] = incident[k]
                count += 1
        rows += 1
    for r in range(n - 1, -1, -1):
        last[r] = max(last[r], r + 1)
        if r > 0:
            last[above[r]] = max(last[above[r]], last[r])
    return RootedTree(vertex, row, above, edge, link, last)


@njit(cache=True)
@no_type_check
def _attach(row, child, branch, below, arm, rest):
    """Hang a branch of weight `branch`, beginning in `child`, below `row`: keep the two heaviest.

    `arm` (n, 2) holds their weights and `rest` (n,) the sum of squares of all but the heaviest.
    """
    if below[row, 0] < 0:
        below[row, 0], arm[row, 0] = child, branch
    elif branch > arm[row, 0]:
        rest[row] += arm[row, 0] ** 2
        below[row, 1], arm[row, 1] = below[row, 0], arm[row, 0]
        below[row, 0], arm[row, 0] = child, branch
    else:
        rest[row] += branch**2
        if below[row, 1] < 0 or branch > arm[row, 1]:
            below[row, 1], arm[row, 1] = child, branch


@njit(cache=True)
@no_type_check
def measure(tree, cut, inner, outer, weight):
    """Worth and heaviest branches of the tree after a swap: the edge above row `cut` gives way to one between the rows
    `inner` (in the sub-tree of `cut`) and `outer` (outside it).
    """
    n = tree.above.size
    below, arm, rest = np.full((n, 2), -1), np.zeros((n, 2)), np.zeros(n)
    above, link = tree.above, tree.link
    path = np.empty(n, np.int64)
    if cut > 0:  # the severed sub-tree hangs on `inner` now: links from there up to `cut` turn round
        above, link = above.copy(), link.copy()
        turned = np.zeros(n, np.bool_)
        length, r = 0, inner
        while True:
            path[length], turned[r] = r, True
            length += 1
            if r == cut:
                break
            r = tree.above[r]
        for r in range(tree.last[cut] - 1, cut, -1):
            if not turned[r]:
                _attach(above[r], r, arm[r, 0] + link[r], below, arm, rest)
        for k in range(length - 1, 0, -1):
            r, up = path[k], path[k - 1]
            above[r], link[r] = up, tree.link[up]
            _attach(up, r, arm[r, 0] + link[r], below, arm, rest)
        above[inner], link[inner] = outer, weight
        _attach(outer, inner, arm[inner, 0] + weight, below, arm, rest)
    r = n - 1
    while r > 0:
        if cut > 0 and r == tree.last[cut] - 1:
            r = cut
        else:
            _attach(above[r], r, arm[r, 0] + link[r], below, arm, rest)
        r -= 1
    apex, score = 0, 0.0
    for r in range(n):
        score += rest[r]
        if arm[r, 0] + arm[r, 1] > arm[apex, 0] + arm[apex, 1]:
            apex = r
    length, r = 0, apex
    while r != 0:
        path[length] = r
        length, r = length + 1, above[r]
    rising = 0.0  # the heaviest branch that comes down to row r from above
    for k in range(length - 1, -1, -1):
        child, r = path[k], above[path[k]]
        if below[r, 0] == child:
            other = arm[r, 1]
            if other > rising:
                score += rising**2 - other**2
        else:
            other = arm[r, 0]
            score += min(rising, other) ** 2 - (arm[child, 0] + link[child]) ** 2
        rising = max(rising, other) + link[child]
    score += rising**2 - arm[apex, 1] ** 2 + (arm[apex, 0] + arm[apex, 1]) ** 2
    return Branches(score, apex, below)


@njit(cache=True)
@no_type_check
def measure_whole(tree):
    """Worth and heaviest branches of the tree as it is."""
    none = np.int64(0)  # typed, lest numba compile `measure` once more for the literal
    return measure(tree, none, none, none, 0.0)


@njit(cache=True)
@no_type_check
def heaviest_path(tree, branches):
    """The vertices of the heaviest path, from the end with the lower vertex number to the other."""
    apex, below = branches.apex, branches.below
    arm = np.zeros(2, np.int64)  # vertices on either side of the apex
    for side in range(2):
        r = below[apex, side]
        while r >= 0:
            arm[side] += 1
            r = below[r, 0]
    path = np.empty(arm.sum() + 1, np.int64)
    path[arm[0]] = tree.vertex[apex]
    for side in range(2):
        r, k = below[apex, side], 1
        while r >= 0:
            path[arm[0] + (k if side else -k)] = tree.vertex[r]
            r, k = below[r, 0], k + 1
    if path[0] > path[-1]:
        for k in range(path.size // 2):
            path[k], path[-1 - k] = path[-1 - k], path[k]
    return path
