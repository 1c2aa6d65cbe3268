"""Deterministic annealing of a threaded chain: where every residue stands is a probability that sharpens as it cools.

The walks of `walks.py` may use a candidate twice. Here every residue feels the others: a candidate costs it so much
more as others are likely to stand there, a mean field (Peterson & Söderberg 1989). Unlike a search that changes one
path, all placements compete at once, and long sheets find their order before any strand is settled.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array

from deepmm_jax.threading.scores import ThreadingProblem
from deepmm_jax.threading.walks import Walks, occupancies


HOT, COLD, STEPS = 2.2, 0.6, 48
"""Temperatures, in units of the score, and how many there are; the first is above where anything settles."""
REPULSION = 5.0
"""Score that a residue loses at a candidate where another certainly stands."""
OWN = 4
"""Residues so near in the sequence are not felt: where one stands or its neighbour is the same question."""
INERTIA = 0.5
"""Share of the field that stays from one temperature to the next."""
NOISE = 0.3
"""Random part of the site scores, by which several runs differ."""
LIKELY = 0.2
"""A residue less likely to be at its best candidate is left out of the path."""


def settle(
    problem: ThreadingProblem, walks: Walks, seed: int, halt: Bool[np.ndarray, "1"] | None = None
) -> Float[np.ndarray, "n m"]:
    """Probability of every residue at every candidate when all has cooled down.

    Another thread may end it early by making `halt` true.
    """
    m, n = problem.sites.shape
    sites = problem.sites.T.astype(float)
    sites += NOISE * np.random.default_rng(seed).standard_normal((n, m))
    near = csr_array((problem.near | np.eye(m, dtype=bool)).astype(float))
    low, high = np.maximum(np.arange(n) - OWN, 0), np.minimum(np.arange(n) + OWN + 1, n)
    occupied = np.zeros((n, m))
    for temperature in np.geomspace(HOT, COLD, STEPS):
        if halt is not None and halt[0]:
            break
        there = (near @ occupied.T).T
        summed = np.concatenate([np.zeros((1, m)), np.cumsum(there, axis=0)])
        others = np.maximum(summed[-1] - (summed[high] - summed[low]), 0)
        now = occupancies(walks, problem, sites - REPULSION * others, float(temperature))
        occupied = INERTIA * occupied + (1 - INERTIA) * now
    return occupied


def likely_path(occupied: Float[np.ndarray, "n m"]) -> Int[np.ndarray, " k"]:
    """The candidates that residues most likely stand at, in the order of the chain, each once."""
    best = occupied.argmax(axis=1)
    best = best[occupied.max(axis=1, initial=0.0) > LIKELY]
    return best[np.sort(np.unique(best, return_index=True)[1])].astype(np.int32)
