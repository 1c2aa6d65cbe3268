"""Slow plain-NumPy twins of the alignment (diameters by brute force, the recurrences cell by cell, all alignments)
and random cases for them."""

from itertools import combinations

import numpy as np


def diameters(positions: np.ndarray, band: int) -> np.ndarray:
    """Entry [k - 1, j]: largest distance between two of the points max(j - k, 0) ... j, Å."""
    pairs = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    starts = [[max(j - k, 0) for j in range(len(positions))] for k in range(1, band + 1)]
    return np.array([[pairs[i : j + 1, i : j + 1].max() for j, i in enumerate(row)] for row in starts])


def random_case(seed: int, n: int, m: int, band: int, steps_per_unit: int | None = None):
    """Scores (n, m), diameters (band, m) of a random walk, weights (n,) and d_std, all float32.

    On a grid of 1 / `steps_per_unit` all sums are exact in any order, and ties are common.
    """
    rng = np.random.default_rng(seed)
    sites = rng.normal(size=(n, m)) * 2
    spans = diameters(np.cumsum(rng.normal(size=(m, 3)), axis=0), band)
    weights = rng.uniform(0.7, 1.0, n)
    standard = np.float64(rng.choice([3.0, 3.5]))
    if steps_per_unit:
        sites, spans, weights = (np.round(x * steps_per_unit) / steps_per_unit for x in (sites, spans, weights))
    return tuple(x.astype(np.float32) for x in (sites, spans, weights, standard))


def padded_case(case, n: int, m: int, band: int):
    """The same case with tempting residues and points, and endless segments, appended."""
    sites, spans, weights, standard = case
    more_n, more_m, more_band = n - sites.shape[0], m - sites.shape[1], band - spans.shape[0]
    sites = np.pad(sites, ((0, more_n), (0, more_m)), constant_values=50.0)
    spans = np.pad(np.pad(spans, ((0, 0), (0, more_m))), ((0, more_band), (0, 0)), constant_values=1e6)
    return sites, spans, np.pad(weights, (0, more_n)), standard


def random_path(seed: int, m: int, step: float = 1.5) -> np.ndarray:
    """Points of a random walk, Å."""
    return np.cumsum(np.random.default_rng(seed).normal(size=(m, 3)) * step, axis=0).astype(np.float32)


def leap_score(positions, start: int, end: int, unbuilt: int, skip, offsets, longest: int) -> float:
    """Score of `unbuilt` residues between the points `start` and `end`; -inf where the chain cannot reach."""
    distance = float(np.linalg.norm(positions[end] - positions[start]))
    reaches = 3.0 <= distance <= 3.8 * (min(unbuilt, longest) + 1)
    return skip[0] + skip[1] * unbuilt if unbuilt and reaches and end - start in offsets else -np.inf


def score_alignment(sites, spans, weights, standard_distance, points, gap, leap=None) -> float:
    """Score of one alignment; `points[i]` is the point of residue i, -1 unbuilt, which costs `gap`.

    With `leap`, a function of two points and the residues unbuilt between them, that is what inner residues cost, and
    there is no bond across them.
    """
    built = [i for i, j in enumerate(points) if j >= 0]
    total = 0.0
    for before, i in zip([None, *built], built):
        j = points[i]
        total += float(sites[i, j])
        if before is None:
            total += gap * i
        elif leap is not None and before < i - 1:
            total += leap(points[before], j, i - before - 1)
        else:
            total += gap * (i - before - 1) if before < i - 1 else 0.0
            total -= float(weights[i]) * abs(float(spans[j - points[before] - 1, j]) - standard_distance)
    return total + gap * (len(points) - 1 - built[-1])


def best_alignment(sites, spans, weights, standard_distance, end_gap, leap=None) -> tuple[float, tuple[int, ...]]:
    """Best of all alignments by enumeration; unbuilt ends only with an `end_gap`, unbuilt inner ones with `leap`."""
    n, m = sites.shape
    band = len(spans)
    best = (-np.inf, (-1,) * n)
    for built in (rows for size in range(1, n + 1) for rows in combinations(range(n), size)):
        inside = built[-1] - built[0] + 1 == len(built)
        if not inside and leap is None or end_gap is None and (built[0] > 0 or built[-1] < n - 1):
            continue
        for chosen in combinations(range(m), len(built)):
            bonds = (b - a for a, b, i, j in zip(chosen, chosen[1:], built, built[1:]) if j == i + 1)
            if any(bond > band for bond in bonds):
                continue
            points = [-1] * n
            for i, j in zip(built, chosen):
                points[i] = j
            score = score_alignment(sites, spans, weights, standard_distance, points, end_gap or 0.0, leap)
            best = max(best, (score, tuple(points)))
    return best


def exact_score(sites, spans, weights, standard_distance, end_gap, leap) -> float:
    """Best score with unbuilt ends and unbuilt inner residues, cell by cell over all ways into each cell."""
    n, m = sites.shape
    best = np.full((n, m), -np.inf)
    for i in range(n):
        for j in range(m):
            ways = [end_gap * i]
            for before in range(j):
                if i > 0 and j - before <= len(spans):
                    bond = float(weights[i]) * abs(float(spans[j - before - 1, j]) - standard_distance)
                    ways.append(best[i - 1, before] - bond)
                ways += [best[i - 1 - k, before] + leap(before, j, k) for k in range(1, i)]
            best[i, j] = float(sites[i, j]) + max(ways)
    return float((best + end_gap * np.arange(n - 1, -1, -1)[:, None]).max())


def greedy_alignment(sites, spans, weights, standard_distance, gap=-10000.0) -> tuple[float, list[int]]:
    """The authors' recurrence, one cell after the other, with one back-pointer per cell."""
    n, m = sites.shape
    score = np.zeros((n + 1, m + 1), sites.dtype)
    move = np.full((n + 1, m + 1), "point", object)
    score[1:, 0] = gap * np.arange(1, n + 1)
    move[1:, 0] = "residue"
    last_aligned = np.full((n + 1, m + 1), -1)

    for i in range(1, n + 1):
        for j in range(1, m + 1):
            last = last_aligned[i - 1, j - 1]
            penalty = weights[i - 1] * abs(spans[j - 1 - last - 1, j - 1] - standard_distance) if last >= 0 else 0.0
            match = score[i - 1, j - 1] + sites[i - 1, j - 1] - penalty
            residue = score[i - 1, j] + gap
            point = score[i, j - 1]
            score[i, j] = max(match, residue, point)
            if match >= residue and match >= point:
                move[i, j], last_aligned[i, j] = "match", j - 1
            elif residue >= point:
                move[i, j], last_aligned[i, j] = "residue", last_aligned[i - 1, j]
            else:
                last_aligned[i, j] = last_aligned[i, j - 1]

    points = [-1] * n
    i, j = n, m
    while i > 0:
        if move[i, j] == "match":
            points[i - 1] = j - 1
            i, j = i - 1, j - 1
        elif move[i, j] == "residue":
            i -= 1
        else:
            j -= 1
    return float(score[n, m]), points
