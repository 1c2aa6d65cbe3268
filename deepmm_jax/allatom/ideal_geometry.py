"""Ideal geometry of the backbone (Å and degrees, after `structure.engh_huber`) and what follows from it.

A peptide is planar, so its C, O and N have fixed places beside the line from one Cα to the next.
"""

import numpy as np
from jaxtyping import Float

from deepmm_jax.structure.engh_huber import C_N_CA as C_N_CA_ANGLES
from deepmm_jax.structure.engh_huber import CA_C_N as CA_C_N_ANGLES
from deepmm_jax.structure.engh_huber import PEPTIDE_BOND, ideal_angle, ideal_bond


N_CA, CA_C, C_O, CA_CB = (ideal_bond("K", *bond.split("-")) for bond in ("N-CA", "CA-C", "C-O", "CA-CB"))
C_N = PEPTIDE_BOND[""][0]
TAU, TAU_GLYCINE, TAU_PROLINE = (ideal_angle(letter, "N", "CA", "C") for letter in "LGP")
"""N–Cα–C."""
N_CA_CB, N_CA_CB_PROLINE = (ideal_angle(letter, "N", "CA", "CB") for letter in "KP")
C_CA_CB = ideal_angle("K", "C", "CA", "CB")
CA_C_O = ideal_angle("L", "CA", "C", "O")
CA_C_N, CA_C_N_CIS = CA_C_N_ANGLES[""][0], 118.2
"""Engh & Huber have none before a cis peptide."""
C_N_CA, C_N_CA_PROLINE, C_N_CA_CIS = (C_N_CA_ANGLES[key][0] for key in ("", "trans P", "cis P"))


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
