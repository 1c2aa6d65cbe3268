"""Plain NumPy: a backbone from its torsions, and the cheapest states of peptide planes by looking at every pair."""

import gemmi
import numpy as np

from deepmm_jax.allatom.peptide_planes import STRAIN, TAU_WIDTH, Choices


def build_backbone(phi: list[float], psi: list[float]) -> np.ndarray:
    """N, Cα, C and O (n, 4, 3) in Å of a chain of trans peptides with torsions in degrees, atom by atom."""
    atoms = [np.zeros(3), np.array([1.459, 0, 0])]
    bend = np.radians(180 - 111)
    atoms.append(atoms[1] + 1.525 * np.array([np.cos(bend), np.sin(bend), 0]))
    for i in range(1, len(phi)):
        atoms.append(_extend(*atoms[-3:], 1.336, 117.2, psi[i - 1]))
        atoms.append(_extend(*atoms[-3:], 1.459, 121.7, 180))
        atoms.append(_extend(*atoms[-3:], 1.525, 111, phi[i]))
    backbone = np.reshape(atoms, (-1, 3, 3))
    oxygen = [_extend(*residue, 1.229, 120.1, angle + 180) for residue, angle in zip(backbone, psi, strict=True)]
    return np.concatenate([backbone, np.array(oxygen)[:, None]], axis=1)


def _extend(a: np.ndarray, b: np.ndarray, c: np.ndarray, length: float, angle: float, torsion: float) -> np.ndarray:
    along = (c - b) / np.linalg.norm(c - b)
    normal = np.cross(b - a, along)
    normal /= np.linalg.norm(normal)
    bend, turn = np.radians(angle), np.radians(torsion)
    aside = np.cos(turn) * np.cross(normal, along) + np.sin(turn) * normal
    return c - length * np.cos(bend) * along + length * np.sin(bend) * aside


def residue_cost(
    calpha: np.ndarray, choices: Choices, i: int, before: int, behind: int, table: np.ndarray, known: tuple[bool, bool]
) -> float:
    """Cost of residue i in one state of the peptide before it and one of that behind it."""
    size = len(table) - 1
    carbon, nitrogen = choices.before[i, before], choices.nitrogen[i, before]
    own, following = choices.carbon[i, behind], choices.after[i, behind]
    place = [gemmi.Position(*map(float, atom)) for atom in (carbon, nitrogen, calpha[i], own, following)]
    tau = np.degrees(gemmi.calculate_angle(place[1], place[2], place[3]))
    bins = []
    for torsion_known, four in zip(known, (place[:4], place[1:]), strict=True):
        turn = gemmi.calculate_dihedral(*four) / (2 * np.pi) + 0.5
        bins.append(round(turn * size) % size if torsion_known else size)
    deviation = (tau - 111) / TAU_WIDTH
    return table[bins[0], bins[1]] + STRAIN**2 / 2 * np.log1p(deviation**2 / STRAIN**2)


def best_states(
    calpha: np.ndarray, joined: np.ndarray, choices: Choices, classes: np.ndarray, tables: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """States of the peptides before and behind every residue that cost least, and that cost, piece by piece."""
    n, states = choices.cost.shape
    into, out, total = np.zeros(n, int), np.zeros(n, int), 0.0
    first = 0
    for last in np.flatnonzero(~joined):
        best = np.zeros(states)
        origins = []
        for i in range(first, last + 1):
            known = (i > first, i < last)
            costs = np.array(
                [
                    [
                        best[s] + choices.start[i, s] + choices.cost[i, t]
                        + residue_cost(calpha, choices, i, s, t, tables[classes[i]], known)
                        for t in range(states)
                    ]
                    for s in range(states)
                ]
            )  # fmt: skip
            origins.append(costs.argmin(axis=0))
            best = costs.min(axis=0)
        total += best.min()
        state = int(best.argmin())
        for i in range(last, first - 1, -1):
            out[i], into[i] = state, origins[i - first][state]
            state = into[i]
        first = last + 1
    return into, out, total
