"""Likeness of two paths: Kendall τ between the orders in which they visit their common vertices (MAINMAST)."""

from typing import no_type_check

import numpy as np
from numba import njit


EVERY = 3
"""Paths are compared at every third vertex."""


@njit(cache=True)
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


@njit(cache=True)
@no_type_check
def _inversions(order):
    """Pairs out of order, by merge sort; `order` is left sorted."""
    merged, inverted, width = np.empty_like(order), 0, 1
    while width < order.size:
        for low in range(0, order.size - width, 2 * width):
            middle, high = low + width, min(low + 2 * width, order.size)
            if order[middle - 1] <= order[middle]:
                continue
            i, j = low, middle
            for k in range(low, high):
                if j >= high or (i < middle and order[i] <= order[j]):
                    merged[k] = order[i]
                    i += 1
                else:
                    merged[k] = order[j]
                    j += 1
                    inverted += middle - i
            for k in range(low, high):
                order[k] = merged[k]
        width *= 2
    return inverted
