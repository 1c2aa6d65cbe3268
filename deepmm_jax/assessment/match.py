"""Residue match and sequence match, the yardstick of chain_comparison (section 3.3, table of Phenix comparisons)."""

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree


MATCH_DISTANCE = 3.0
"""A Cα of the model matches one of the reference within this, Å."""


def residue_match(
    model: Float[np.ndarray, "m 3"],
    model_letters: str,
    reference: Float[np.ndarray, "n 3"],
    reference_letters: str,
    cutoff: float = MATCH_DISTANCE,
) -> tuple[float, float | None]:
    """Fraction of reference residues matched in place, and the fraction of the matched that have the right letter.

    Cα by Cα of the model, in order: its nearest reference Cα, or the second nearest if that one is already
    matched, counts if it lies within `cutoff` Å. No alignment is used. The second number is None if nothing matches.
    """
    if len(reference) == 0 or len(model) == 0:
        return 0.0, None
    distances, nearest = KDTree(reference).query(model, k=min(2, len(reference)), distance_upper_bound=cutoff + 1e-6)
    used: dict[int, int] = {}
    for i, (apart, partners) in enumerate(zip(distances.reshape(len(model), -1), nearest.reshape(len(model), -1))):
        free = [int(j) for d, j in zip(apart, partners) if d <= cutoff and int(j) not in used]
        if free:
            used[free[0]] = i
    if not used:
        return 0.0, None
    equal = sum(model_letters[i] == reference_letters[j] for j, i in used.items())
    return len(used) / len(reference), equal / len(used)
