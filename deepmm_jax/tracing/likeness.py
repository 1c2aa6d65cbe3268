"""Likeness of two paths: Kendall τ between the orders in which they visit their common vertices (MAINMAST)."""

from typing import no_type_check

import numpy as np
from numba import njit


EVERY = 3
"""Paths are compared at every third vertex."""


@njit(cache=True, nogil=True)
@no_type_check
def kendall_tau(path, rank):
    """Kendall τ between the order of every third vertex of `path` and the `rank` (n,) those vertices have in another
    path, over the vertices that both have (rank ≥ 0); 0 if fewer than two are left.
    """
    shared, count = np.empty(path.size, np.int64), 0
    for k in range(0, path.size, EVERY):
        if rank[path[k]] >= 0:
            shared[count] = rank[path[k]]
            count += 1
    if count < 2:
        return 0.0
    discordant = _inversions(shared[:count])
    return 1.0 - 4.0 * discordant / (count * (count - 1.0))


@njit(cache=True, nogil=True)
@no_type_check
def _inversions(order):
    """Pairs out of order, by merging the runs that rise or fall as they are: two paths share long pieces, either way
    round. `order` holds no number twice and is left sorted.
    """
    n, inverted, runs, k = order.size, 0, 0, 0
    begin, merged = np.empty(n + 1, np.int64), np.empty_like(order)
    while k < n:
        low, k = k, k + 1
        if k < n and order[k] < order[low]:
            while k < n and order[k] < order[k - 1]:
                k += 1
            order[low:k] = order[low:k][::-1].copy()
            inverted += (k - low) * (k - low - 1) // 2
        else:
            while k < n and order[k] > order[k - 1]:
                k += 1
        begin[runs] = low
        runs += 1
    begin[runs] = n
    while runs > 1:
        for r in range(0, runs - 1, 2):
            inverted += _merge(order, begin[r], begin[r + 1], begin[r + 2], merged)
        kept = (runs + 1) // 2
        for r in range(kept):
            begin[r] = begin[2 * r]
        begin[kept], runs = n, kept
    return inverted


@njit(cache=True, nogil=True)
@no_type_check
def _merge(order, low, middle, high, merged):
    """Sort two runs that follow each other into one; returns the pairs that were out of order."""
    if order[middle - 1] < order[middle]:
        return 0
    inverted, i, j = 0, low, middle
    for k in range(low, high):
        if j >= high or (i < middle and order[i] < order[j]):
            merged[k] = order[i]
            i += 1
        else:
            merged[k] = order[j]
            j += 1
            inverted += middle - i
    order[low:high] = merged[low:high]
    return inverted
