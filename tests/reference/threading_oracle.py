"""Plain NumPy: the best placement of a sequence on a path of candidates, by recursion over all predecessors."""

import numpy as np

from deepmm_jax.threading.rows import REACH
from deepmm_jax.threading.scores import ThreadingProblem


def best_placement(problem: ThreadingProblem, path: np.ndarray) -> tuple[float, np.ndarray]:
    """Score without clashes and gaps' distances, and the candidate of every residue (-1: unbuilt)."""
    weights = problem.weights
    n = problem.sites.shape[1]
    best = np.full((len(path), n), -np.inf)
    came: dict[tuple[int, int], tuple[int, int] | None] = {}
    for j, c in enumerate(path):
        for i in range(n):
            options: list[tuple[float, tuple[int, int] | None]] = [(-weights.end_residue * i, None)]
            for q in range(j):
                if i > 0 and j - q <= REACH:
                    options.append((best[q, i - 1] + problem.bonds[path[q], c], (q, i - 1)))
                for a in range(i - 1):
                    skipped = i - a - 1
                    options.append((best[q, a] - weights.gap - weights.gap_residue * skipped, (q, a)))
            value, came[j, i] = max(options, key=lambda option: option[0])
            best[j, i] = value + problem.sites[c, i]
    totals = best - weights.end_residue * np.arange(n)[::-1]
    end = np.unravel_index(totals.argmax(), totals.shape)
    places = np.full(n, -1)
    cell: tuple[int, int] | None = (int(end[0]), int(end[1]))
    while cell is not None:
        places[cell[1]] = path[cell[0]]
        cell = came[cell]
    return float(totals[end]), places
