"""Changes of a path of Cα candidates that a search may try.

The functions are compiled by numba; they draw from the random numbers that the search has seeded.
"""

from typing import no_type_check

import numpy as np
from numba import njit


WIDE = 24
"""A change of more candidates is tried the less often the more it takes to score it."""
STRETCH = 12
"""At most so many candidates are moved to another place at once."""


@njit(cache=True, nogil=True)
@no_type_check
def propose(tables, path, size, where, p, new):
    """Write a path that differs from this one around its p-th candidate to `new`.

    Its size, the first entry that differs, and the entry from which on all are the old ones again (-1, -1: no change).
    The candidate c at p may go, or a candidate d that may be bonded with c comes in beside c or in its place; or, if d
    is on the path, the stretch between them is reversed so that they meet, or a stretch that begins at d is moved
    next to c, either way round, or what lies between them goes to the end.
    """
    c = path[p]
    kind = np.random.random()
    if kind < 0.08:
        if size <= 2:
            return size, -1, -1
        new[:p], new[p : size - 1] = path[:p], path[p + 1 : size]
        return size - 1, p, p
    if kind < 0.08 + 0.5 / size:
        for k in range(size):
            new[k] = path[size - 1 - k]
        return size, 0, size
    draw, k = np.random.random(), 0
    while k < tables.partners.shape[1] - 1 and tables.chances[c, k] < draw:
        k += 1
    d = tables.partners[c, k]
    if d < 0:
        return size, -1, -1
    q = where[d]
    if q < 0:
        mode = np.random.randint(3)
        if mode == 2:
            new[:size] = path[:size]
            new[p] = d
            return size, p, p + 1
        if size == new.size:
            return size, -1, -1
        at = p + mode
        new[:at], new[at], new[at + 1 : size + 1] = path[:at], d, path[at:size]
        return size + 1, at, at + 1
    low, high = min(p, q), max(p, q)
    mode = np.random.randint(4)
    width = size - low if mode == 3 else high - low
    if width * np.random.random() > WIDE:
        return size, -1, -1
    new[:size] = path[:size]
    if high - low < 2 or mode < 2:
        if high - low < 2:
            first, last = low, high
        elif mode == 0:
            first, last = low + 1, high
        else:
            first, last = low, high - 1
        for k in range(first, last + 1):
            new[k] = path[first + last - k]
        return size, first, last + 1
    backwards = np.random.random() < 0.5
    if mode == 3:
        length = high - low - 1
        new[low + 1 : size - length] = path[high:size]
        for k in range(length):
            new[size - length + k] = path[high - 1 - k] if backwards else path[low + 1 + k]
        return size, low + 1, size
    length = 1 + np.random.randint(STRETCH)
    if q > p:
        length = min(length, size - q)
        for k in range(length):
            new[p + 1 + k] = path[q + length - 1 - k] if backwards else path[q + k]
        new[p + 1 + length : q + length] = path[p + 1 : q]
        return size, p + 1, q + length
    length = min(length, q + 1)
    first = q - length + 1
    new[first : p - length] = path[q + 1 : p]
    for k in range(length):
        new[p - length + k] = path[q - k] if backwards else path[first + k]
    return size, first, p
