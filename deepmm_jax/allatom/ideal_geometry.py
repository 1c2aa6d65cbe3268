"""Ideal geometry of the backbone (Engh & Huber 1991, 2001; Å and degrees) and what follows from it.

A peptide is planar, so its C, O and N have fixed places beside the line from one Cα to the next.
"""

import numpy as np
from jaxtyping import Float


N_CA, CA_C, C_N, C_O, CA_CB = 1.459, 1.525, 1.336, 1.229, 1.532
TAU, TAU_GLYCINE, TAU_PROLINE = 111.0, 113.1, 112.1
"""N–Cα–C."""
N_CA_CB, N_CA_CB_PROLINE, C_CA_CB = 110.6, 103.3, 110.3
CA_C_O = 120.1
CA_C_N, CA_C_N_CIS = 117.2, 118.2
C_N_CA, C_N_CA_PROLINE, C_N_CA_CIS = 121.7, 119.3, 126.0


def chord(first: float, second: float, angle: float) -> float:
    """Distance between the ends of two bonds that make an angle."""
    return float(np.sqrt(first**2 + second**2 - 2 * first * second * np.cos(np.radians(angle))))


def peptide_plane(*, cis: bool) -> tuple[Float[np.ndarray, "3 2"], float]:
    """C, O and N in the plane, along the line between the two Cα and towards O, and the Cα–Cα distance."""
    bend, turn = (CA_C_N_CIS, C_N_CA_CIS) if cis else (CA_C_N, C_N_CA)
    carbon = np.array([CA_C, 0.0])
    nitrogen = carbon + C_N * _direction(180 - bend)
    following = nitrogen + N_CA * _direction(180 - bend + (1 if cis else -1) * (180 - turn))
    oxygen = carbon + C_O * _direction(CA_C_O - 180)
    along = following / np.linalg.norm(following)
    aside = np.array([-along[1], along[0]])
    aside = aside * np.sign(aside @ oxygen)
    return np.stack([carbon, oxygen, nitrogen]) @ np.stack([along, aside], axis=1), float(np.linalg.norm(following))


def _direction(degrees: float) -> np.ndarray:
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


def beta_weights() -> Float[np.ndarray, "3"]:
    """Cβ − Cα of an L residue as a sum of Cα→N, Cα→C and their cross product, with these weights (of τ = 111°)."""
    n, c = N_CA * _direction(0.0), CA_C * _direction(TAU)
    gram = np.array([[n @ n, n @ c], [n @ c, c @ c]])
    wanted = CA_CB * np.array([N_CA * np.cos(np.radians(N_CA_CB)), CA_C * np.cos(np.radians(C_CA_CB))])
    in_plane = np.linalg.solve(gram, wanted)
    beside = np.sqrt(CA_CB**2 - in_plane @ wanted)
    return np.append(in_plane, beside / (n[0] * c[1]))
