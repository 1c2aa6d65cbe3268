"""Covalent geometry of a model: bonds and angles against Engh & Huber, peptides, D residues, missing atoms."""

import numpy as np
from jaxtyping import Float

from deepmm_jax.constants import AMINO_ACIDS
from deepmm_jax.structure.engh_huber import ANGLES, BONDS, C_N_CA, C_N_CD, CA_C_N, O_C_N, PEPTIDE_BOND, Ideal
from deepmm_jax.structure.residue_atoms import DISULFIDE_LENGTH, KNOWN_ATOMS, LETTERS, SLOT, ResidueAtoms, before


TWISTED = 30.0
"""Degrees that ω may be away from 0 and 180."""
GLYCINE, PROLINE = LETTERS.index("G"), LETTERS.index("P")


def bond_deviations(atoms: ResidueAtoms) -> Float[np.ndarray, "k"]:
    """By how many standard deviations each bond between atoms that are there is longer than ideal."""
    found = [_within(atoms, letter, bond) for letter in LETTERS for bond in BONDS[letter]]
    length = measure(before(atoms.atom("C")), atoms.atom("N"))
    keys = np.select([atoms.letters == GLYCINE, atoms.letters == PROLINE], ["G", "P"], "")
    return _present([*found, _deviation(length[atoms.joined], keys[atoms.joined], PEPTIDE_BOND)])


def angle_deviations(atoms: ResidueAtoms, omega: Float[np.ndarray, "n"]) -> Float[np.ndarray, "k"]:
    """By how many standard deviations each bond angle is wider than ideal; `omega` tells cis prolines."""
    found = [_within(atoms, letter, angle) for letter in LETTERS for angle in ANGLES[letter]]
    n, ca, cd = (atoms.atom(name) for name in ("N", "CA", "CD"))
    c, o, ca_before = (before(atoms.atom(name)) for name in ("C", "O", "CA"))
    proline = atoms.letters == PROLINE
    at_carbon = np.select([proline, before(atoms.letters) == GLYCINE], ["P", "G"], "")
    isomer = np.where(np.abs(omega) < 90.0, "cis P", "trans P")
    at_nitrogen = np.where(proline, isomer, np.where(atoms.letters == GLYCINE, "G", ""))
    for rows, angle, keys, table in (
        (atoms.joined, measure(ca_before, c, n), at_carbon, CA_C_N),
        (atoms.joined, measure(o, c, n), at_carbon, O_C_N),
        (atoms.joined, measure(c, n, ca), at_nitrogen, C_N_CA),
        (atoms.joined & proline, measure(c, n, cd), at_nitrogen, C_N_CD),
    ):
        found.append(_deviation(angle[rows], keys[rows], table))
    return _present(found)


def measure(*points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n"]:
    """Distance of two points in Å, or the angle at the second of three in degrees."""
    if len(points) == 2:
        return np.linalg.norm(points[0] - points[1], axis=-1)
    a, b = points[0] - points[1], points[2] - points[1]
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(-1)))


def rms(deviations: Float[np.ndarray, "k"]) -> float | None:
    """Root mean square; None of nothing."""
    return float(np.sqrt(np.mean(deviations**2))) if len(deviations) else None


def peptide_figures(atoms: ResidueAtoms, omega: Float[np.ndarray, "n"]) -> dict[str, int]:
    """Peptides whose ω (degrees) is more than 30° from 0 and 180, and cis ones before proline and before others."""
    away = np.abs(omega)  # NaN compares as False
    cis = away <= TWISTED
    proline = atoms.letters == PROLINE
    return {
        "twisted_peptides": int(((away > TWISTED) & (away < 180.0 - TWISTED)).sum()),
        "cis_proline": int((cis & proline).sum()),
        "cis_non_proline": int((cis & ~proline).sum()),
    }


def d_residues(atoms: ResidueAtoms) -> int:
    """Residues whose Cα has the wrong hand: seen from Hα, C, CB and N do not follow clockwise (CORN)."""
    n, ca, c, cb = (atoms.atom(name) for name in ("N", "CA", "C", "CB"))
    volume = ((n - ca) * np.cross(c - ca, cb - ca)).sum(axis=-1)  # +2.6 Å³ in L residues
    return int((volume < 0).sum())


def incomplete_residues(atoms: ResidueAtoms) -> int:
    """Residues of the 20 types that lack a heavy atom of theirs; OXT may be missing."""
    absent = np.asarray(np.isnan(atoms.positions).any(axis=-1))
    count = 0
    for letter in AMINO_ACIDS:
        slots = [SLOT[name] for name in KNOWN_ATOMS[letter] if name != "OXT"]
        count += int(absent[atoms.of(letter)][:, slots].any(axis=1).sum())
    return count


def disulfides(atoms: ResidueAtoms) -> list[tuple[int, int]]:
    """Pairs of cysteines with sulphurs within 2.5 Å."""
    rows = atoms.of("C")
    sulphur = atoms.atom("SG")[rows]
    apart = np.linalg.norm(sulphur[:, None] - sulphur[None], axis=-1)
    return [(int(rows[i]), int(rows[j])) for i, j in np.argwhere(apart < DISULFIDE_LENGTH) if i < j]


def _within(atoms: ResidueAtoms, letter: str, ideal: Ideal) -> np.ndarray:
    rows = atoms.of(letter)
    return (measure(*(atoms.atom(name)[rows] for name in ideal.atoms)) - ideal.mean) / ideal.deviation


def _deviation(values: np.ndarray, keys: np.ndarray, table: dict[str, tuple[float, float]]) -> np.ndarray:
    expected = np.array([table[key] for key in keys.tolist()]).reshape(-1, 2)
    return (values - expected[:, 0]) / expected[:, 1]


def _present(parts: list[np.ndarray]) -> np.ndarray:
    values = np.concatenate(parts)
    return values[np.isfinite(values)]
