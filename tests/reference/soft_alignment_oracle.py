"""Soft alignment by enumeration: every alignment of a small case with its score, and what follows; float64."""

from collections.abc import Iterator
from functools import partial
from itertools import combinations

import numpy as np

from reference.alignment_oracle import diameters, leap_score, score_alignment


def all_alignments(n: int, m: int, band: int, *, ends: bool, inside: bool) -> Iterator[tuple[int, ...]]:
    """The point of each residue (-1 unbuilt), at least one of them built, neighbours at most `band` points apart.

    Residues may stay unbuilt at the `ends`, or also `inside`.
    """
    for rows in (rows for size in range(1, n + 1) for rows in combinations(range(n), size)):
        if not inside and rows[-1] - rows[0] + 1 != len(rows):
            continue
        if not ends and (rows[0] > 0 or rows[-1] < n - 1):
            continue
        for columns in combinations(range(m), len(rows)):
            steps = zip(rows, rows[1:], columns, columns[1:])
            if any(j - i == 1 and b - a > band for i, j, a, b in steps):
                continue
            points = [-1] * n
            for i, j in zip(rows, columns):
                points[i] = j
            yield tuple(points)


def enumerated(
    scores: np.ndarray,
    positions: np.ndarray,
    weights: np.ndarray,
    standard_distance: float,
    temperature: float,
    *,
    end_gap: float | None,
    skip: tuple[float, float] | None,
    band: int,
    offsets: tuple[int, ...],
    longest: int,
    allowed: np.ndarray | None = None,
) -> tuple[float, np.ndarray, list[tuple[float, tuple[int, ...]]]]:
    """Soft score, marginals (n, m) and the list of (score, points); `offsets` and `longest` limit leaps."""
    n, m = scores.shape
    spans = diameters(positions, band)
    leap = None if skip is None else partial(_leap, positions, skip, offsets, longest)
    problem = scores, spans, weights, standard_distance
    found = []
    for points in all_alignments(n, m, band, ends=end_gap is not None, inside=skip is not None):
        if allowed is not None and not all(allowed[i, j] for i, j in enumerate(points) if j >= 0):
            continue
        found.append((score_alignment(*problem, points, end_gap or 0.0, leap), points))
    values = np.array([score for score, _ in found]) / temperature
    top = values.max()
    chances = np.exp(values - top)
    marginals = np.zeros((n, m))
    for chance, (_, points) in zip(chances, found):
        for i, j in enumerate(points):
            marginals[i, j] += chance * (j >= 0)
    return temperature * (top + np.log(chances.sum())), marginals / chances.sum(), found


def _leap(positions, skip, offsets, longest, start: int, end: int, unbuilt: int) -> float:
    return leap_score(positions, start, end, unbuilt, skip, offsets, longest)
