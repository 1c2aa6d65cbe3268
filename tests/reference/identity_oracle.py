"""All best local alignments of two short sequences, by following every way through the affine recurrence."""

from functools import cache

import numpy as np


def best_alignments(
    first: np.ndarray, second: np.ndarray, matrix: np.ndarray, gap_open: int, gap_extend: int
) -> tuple[int, set[tuple[int, int]]]:
    """Best score (0 at least), and (identical pairs, columns) of every alignment that reaches it.

    A gap of k columns costs gap_open + k · gap_extend.
    """

    @cache
    def ways(i: int, j: int, last: str) -> dict[int, frozenset[tuple[int, int]]]:
        """Alignments that end before i and j with a pair or a gap, as score: (identities, columns)."""
        out: dict[int, set[tuple[int, int]]] = {}

        def extend(before: dict[int, frozenset[tuple[int, int]]], gain: int, same: int) -> None:
            best = max(before, default=None)  # only the best of a state can be part of a best alignment
            if best is not None:
                out.setdefault(best + gain, set()).update((s + same, c + 1) for s, c in before[best])

        if last == "pair" and i > 0 and j > 0:
            gain, same = int(matrix[first[i - 1], second[j - 1]]), int(first[i - 1] == second[j - 1])
            extend({0: frozenset({(0, 0)})}, gain, same)
            for state in ("pair", "down", "right"):
                extend(ways(i - 1, j - 1, state), gain, same)
        elif last in ("down", "right"):
            a, b = (i - 1, j) if last == "down" else (i, j - 1)
            if a >= 0 and b >= 0:
                for state in ("pair", "down", "right"):
                    extend(ways(a, b, state), -gap_extend - (gap_open if state != last else 0), 0)
        return {score: frozenset(found) for score, found in out.items()}

    score, found = 0, {(0, 0)}
    for i in range(1, len(first) + 1):
        for j in range(1, len(second) + 1):
            for value, alignments in ways(i, j, "pair").items():
                if value > score:
                    score, found = value, set()
                if value == score and value > 0:
                    found = found | alignments
    return score, found
