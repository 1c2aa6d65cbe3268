"""The shape of a Cα chain, as the threading score sees it: angles and pseudo-dihedrals by secondary structure.

Angles at a Cα lie between 80 and 150°, near 92° in helices; the pseudo-dihedral of four Cα is near +50° in helices and
near -170° in strands. So they tell a chain from a walk among candidates, and show the wrong hand.

The functions are compiled by numba.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Float, Int
from numba import njit


ANGLES = np.cos(np.radians([80.0, 95, 110, 125, 140]))
"""Cosines of the limits between the classes of angles."""
DIHEDRALS = np.cos(np.radians([30.0, 60, 90, 120, 150]))
"""Cosines of the limits between the classes of dihedrals; those below 0° are further six classes."""
N_ANGLES, N_DIHEDRALS = len(ANGLES) + 1, 2 * (len(DIHEDRALS) + 1)


def shape_counts(
    positions: Float[np.ndarray, "m 3"],
    expected: Float[np.ndarray, "n 3"],
    seen: Float[np.ndarray, "m 3"],
    places: Int[np.ndarray, " n"],
) -> tuple[Float[np.ndarray, "3 6"], Float[np.ndarray, "3 12"]]:
    """How often each class of angles and of dihedrals occurs in each secondary structure, by its probability.

    Residue i stands at candidate `places[i]` of the `positions` (Å), -1 where it is unbuilt; its secondary structure
    is the mean of what the sequence makes `expected` and the map shows at the candidate, `seen`. An angle belongs to
    its middle residue, a dihedral to the middle two of its four.
    """
    angles, dihedrals = np.zeros((3, N_ANGLES)), np.zeros((3, N_DIHEDRALS))
    count_shapes(positions.astype(np.float64), expected, seen, places.astype(np.int32), angles, dihedrals)
    return angles, dihedrals


@njit(cache=True, nogil=True)
@no_type_check
def count_shapes(positions, expected, seen, places, angles, dihedrals):
    """Add the counts of `shape_counts` to two tables."""
    run = 0  # residues built one after the other up to here
    last, normal, length = np.zeros(3), np.zeros(3), 0.0
    step, across = np.empty(3), np.empty(3)
    for i in range(places.size):
        if places[i] < 0:
            run = 0
            continue
        run += 1
        if run == 1:
            continue
        here, before = positions[places[i]], positions[places[i - 1]]
        dot = size = 0.0
        for k in range(3):
            step[k] = here[k] - before[k]
            size += step[k] * step[k]
            dot += step[k] * last[k]
        size = np.sqrt(size)
        if run >= 3:
            cosine = -dot / max(size * length, 1e-6)
            kind = 0
            while kind < ANGLES.size and cosine < ANGLES[kind]:
                kind += 1
            for s in range(3):
                angles[s, kind] += (expected[i - 1, s] + seen[places[i - 1], s]) / 2
            across[0] = last[1] * step[2] - last[2] * step[1]
            across[1] = last[2] * step[0] - last[0] * step[2]
            across[2] = last[0] * step[1] - last[1] * step[0]
            if run >= 4:
                one = two = product = turn = 0.0
                for k in range(3):
                    one += normal[k] * normal[k]
                    two += across[k] * across[k]
                    product += normal[k] * across[k]
                    turn += normal[k] * step[k]
                cosine = product / max(np.sqrt(one * two), 1e-6)
                kind = 0
                while kind < DIHEDRALS.size and cosine < DIHEDRALS[kind]:
                    kind += 1
                if turn < 0:
                    kind += DIHEDRALS.size + 1
                for s in range(3):
                    dihedrals[s, kind] += (
                        expected[i - 1, s] + seen[places[i - 1], s] + expected[i - 2, s] + seen[places[i - 2], s]
                    ) / 4
            normal[:] = across
        last[:] = step
        length = size
