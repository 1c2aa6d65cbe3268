"""Structure overlap in the manner of CLICK: Cα within 3.5 Å once superposed (section 3.1; Nguyen & Madhusudhan 2011).

The program itself is not to be had. Here a given superposition (the best by TM-score) is refined on the one-to-one
matching of nearest Cα, which knows neither sequence nor chain direction, until the matching stays.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from deepmm_jax.structure.superposition import move, superpose


OVERLAP_DISTANCE = 3.5
ROUNDS = 20


def structure_overlap(
    model: Float[np.ndarray, "m 3"],
    reference: Float[np.ndarray, "n 3"],
    rotation: Float[np.ndarray, "3 3"],
    translation: Float[np.ndarray, "3"],
    cutoff: float = OVERLAP_DISTANCE,
) -> tuple[float, float | None]:
    """Matched Cα as a fraction of the smaller structure, and their RMSD in Å (None if nothing matches).

    The largest matching met on the way counts, and of equal ones that of lowest RMSD.
    """
    best: tuple[int, float] = (0, -np.inf)
    previous: Int[np.ndarray, "k 2"] | None = None
    for _ in range(ROUNDS):
        pairs = one_to_one(move(model, rotation, translation), reference, cutoff)
        if len(pairs) == 0 or (previous is not None and np.array_equal(pairs, previous)):
            break
        rotation, translation, _ = superpose(model[pairs[:, 0]], reference[pairs[:, 1]])
        apart = np.linalg.norm(move(model[pairs[:, 0]], rotation, translation) - reference[pairs[:, 1]], axis=1)
        within = apart <= cutoff
        if within.any():
            best = max(best, (int(within.sum()), -float(np.sqrt(np.mean(apart[within] ** 2)))))
        previous = pairs
    count, negative_rmsd = best
    smaller = min(len(model), len(reference))
    return (count / smaller, -negative_rmsd) if count else (0.0, None)


def one_to_one(a: Float[np.ndarray, "m 3"], b: Float[np.ndarray, "n 3"], cutoff: float) -> Int[np.ndarray, "k 2"]:
    """The largest one-to-one matching of points within `cutoff` Å, and among the largest the shortest."""
    apart = cdist(a, b)
    # A pair is worth more than all that distances can save, so that count goes first.
    worth = np.where(apart <= cutoff, cutoff * (min(apart.shape) + 1) - apart, 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    kept = apart[rows, columns] <= cutoff
    return np.column_stack([rows[kept], columns[kept]])
