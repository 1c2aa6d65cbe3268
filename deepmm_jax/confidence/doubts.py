"""Reasons to doubt a model, for its user to hear: few residues expected to be right, helices of the wrong hand."""

import numpy as np
from jaxtyping import Float

from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.structure.torsions import torsion


PROBABLY_WRONG = 0.5
"""A model of whose residues less than this share is expected to be right. Those that are not built do not count: a
sequence often holds more than the map."""
TURN = (25.0, 80.0)
"""Dihedral of four successive Cα in a right-handed helix, degrees; the ideal one has 50."""
TWO_APART, THREE_APART = 6.2, 6.8
"""Å: Cα of a helix are not farther from those two and three residues on."""
FEWEST, EXCESS = 8, 1.5
"""So many left-handed turns, and so many times more than right-handed ones, speak for a map of the wrong hand."""


def doubts(models: CalphaModels) -> list[str]:
    """What speaks against the best model, a sentence each."""
    found = []
    right, left = helix_hands(models.positions[0])
    if of_wrong_hand(right, left):
        found.append(
            f"its helices are left-handed ({left} turns, {right} right-handed): the map has the wrong hand; mirror it "
            "(in ChimeraX: volume flip) and build again"
        )
    confidence, built = models.confidence, models.built[0]
    if confidence is not None and built.any() and (share := confidence[0][built].mean()) < PROBABLY_WRONG:
        found.append(
            f"it is probably wrong: {share:.0%} of the residues that it has are expected to be right; look at the "
            "confidence, at the other models, and at the resolution and the contour level of the map"
        )
    return found


def of_wrong_hand(right: int, left: int) -> bool:
    """Whether so many right-handed and left-handed turns of helices speak for a mirrored map."""
    return left >= FEWEST and left > EXCESS * right


def helix_hands(positions: Float[np.ndarray, "n 3"]) -> tuple[int, int]:
    """How many fours of successive Cα (Å; NaN: not built) turn as in a right-handed helix, and as in its mirror."""
    if len(positions) < 4:
        return 0, 0
    with np.errstate(invalid="ignore"):
        apart = [np.linalg.norm(positions[k:] - positions[:-k], axis=1) for k in (2, 3)]
        helical = (apart[0][:-1] < TWO_APART) & (apart[0][1:] < TWO_APART) & (apart[1] < THREE_APART)
    angles = np.degrees(torsion(*(positions[k : len(positions) - 3 + k][helical] for k in range(4))))
    low, high = TURN
    return int(((angles > low) & (angles < high)).sum()), int(((angles < -low) & (angles > -high)).sum())
