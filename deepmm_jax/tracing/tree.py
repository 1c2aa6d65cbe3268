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
    above: np.ndarray
    """Row of the parent, -1 for the root, (n,)."""
    below: np.ndarray
    """Rows in which the heaviest and the second branch below each row begin, -1 where there is none, (n, 2)."""
    arm: np.ndarray
    """Weights of these two branches, (n, 2)."""
    rest: np.ndarray
    """Σ of squares of all branches that begin below a row, but for the heaviest, (n,)."""


@njit(cache=True, nogil=True)
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
    vertex, row = np.full(n, -1, np.int32), np.full(n, -1, np.int32)
    above, edge, link = np.full(n, -1, np.int32), np.full(n, -1, np.int32), np.zeros(n)
    last = np.zeros(n, np.int32)
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


@njit(cache=True, nogil=True)
@no_type_check
def measure(tree):
    """Worth and heaviest branches of the tree as it is."""
    n = tree.above.size
    below, arm, rest = np.empty((n, 2), np.int32), np.empty((n, 2)), np.empty(n)
    for r in range(n - 1, -1, -1):
        _gather(tree.last, r, -1, -1, tree.link, below, arm, rest)
    return _total(tree.above, tree.link, below, arm, rest)


@njit(cache=True, nogil=True)
@no_type_check
def measure_swap(tree, whole, cut, inner, outer, weight):
    """Worth and heaviest branches after a swap: the edge above row `cut` gives way to one between the rows `inner` (in
    the sub-tree of `cut`) and `outer` (outside it). `whole` is the measure of the tree as it is.

    Only the rows from `inner` to `cut`, and those above `cut` and `outer`, have other branches than before.
    """
    above, link, below = whole.above.copy(), tree.link.copy(), whole.below.copy()
    arm, rest = whole.arm.copy(), whole.rest.copy()
    old_above, old_link, last = tree.above, tree.link, tree.last
    turned = np.empty(last[cut] - cut, np.int32)
    count, r = 0, inner  # the severed sub-tree hangs on `inner` now: links from there up to `cut` turn round
    while True:
        turned[count] = r
        count += 1
        if r == cut:
            break
        r = old_above[r]
    joined = -1
    for k in range(count - 1, -1, -1):
        r, gone = turned[k], turned[k - 1] if k > 0 else -1
        _gather(last, r, gone, joined, link, below, arm, rest)
        above[r], link[r] = (gone, old_link[gone]) if k > 0 else (outer, weight)
        joined = r
    a, b, up = old_above[cut], outer, old_above[cut]
    while a >= 0 or b >= 0:  # rows below come after those above
        r = max(a, b)
        before = arm[r, 0]
        _gather(last, r, cut if r == up else -1, inner if r == outer else -1, link, below, arm, rest)
        following = old_above[r] if arm[r, 0] != before else -1
        a, b = following if a == r else a, (-1 if a == r else following) if b == r else b
    return _total(above, link, below, arm, rest)


@njit(cache=True, nogil=True)
@no_type_check
def _gather(last, row, gone, joined, link, below, arm, rest):
    """Find the branches below `row`: those of its children but for `gone`, and that of `joined` (-1: none)."""
    heaviest, second, heavy, less, others = joined, -1, 0.0, 0.0, 0.0
    if joined >= 0:
        heavy = arm[joined, 0] + link[joined]
    child = row + 1
    while child < last[row]:
        if child != gone:
            branch = arm[child, 0] + link[child]
            if heaviest < 0 or branch > heavy:
                others += heavy * heavy
                heaviest, second, heavy, less = child, heaviest, branch, heavy
            else:
                others += branch * branch
                if second < 0 or branch > less:
                    second, less = child, branch
        child = last[child]
    below[row, 0], below[row, 1] = heaviest, second
    arm[row, 0], arm[row, 1] = heavy, less
    rest[row] = others


@njit(cache=True, nogil=True)
@no_type_check
def _total(above, link, below, arm, rest):
    """The branches with their worth: from the root to the apex the sum of squares is mended."""
    apex = np.argmax(arm[:, 0] + arm[:, 1])
    score = rest.sum()
    path = np.empty(above.size, np.int32)
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
    return Branches(score, apex, above, below, arm, rest)


@njit(cache=True, nogil=True)
@no_type_check
def heaviest_path(tree, branches):
    """The vertices of the heaviest path, from the end with the lower vertex number to the other."""
    n = tree.vertex.size
    vertex, below = tree.vertex, branches.below
    line = np.empty(2 * n, np.int64)
    line[n] = vertex[branches.apex]
    first, last = n, n
    r = below[branches.apex, 0]
    while r >= 0:
        first -= 1
        line[first], r = vertex[r], below[r, 0]
    r = below[branches.apex, 1]
    while r >= 0:
        last += 1
        line[last], r = vertex[r], below[r, 0]
    path = line[first : last + 1]
    return path[::-1].copy() if path[0] > path[-1] else path.copy()
