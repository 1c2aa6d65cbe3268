"""Side chains in conformations that hardly occur: rotamer outliers.

Densities of χ angles are the project's own, smoothed from training chains by `benchmarks/fit_geometry.py`. Of two or
more χ the joint density is p(χ1, χ2) p(χ3 | χ2) p(χ4 | χ3): angles that are not neighbours hardly meet. An outlier
lies below the contour outside which 0.3 % of good side chains are (as in MolProbity; Hintze et al. 2016).
"""

from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from deepmm_jax.structure.ramachandran import periodic_values
from deepmm_jax.structure.residue_atoms import CHI_COUNT, LETTERS


OUTSIDE = 0.003
"""Share of good side chains outside the contour."""

TABLE = Path(__file__).with_name("rotamer_densities.npz")


@cache
def rotamer_densities() -> dict[str, np.ndarray]:
    """By residue type the logarithms of its densities over even ones, (pairs of χ, s, s), χ from -180° in even steps.

    The first is that of χ1 and χ2 (the same for all χ2 where there is none), those after it of one χ given the one
    before. `levels` are the contours by index in `AMINO_ACIDS`.
    """
    with np.load(TABLE) as file:
        return {name: file[name].astype(np.float64) for name in file.files}


def log_rotamer_densities(letters: Int[np.ndarray, "n"], chi: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n"]:
    """Logarithm of the density of each side chain (χ in degrees); NaN where it has no χ or an atom is missing."""
    out = np.full(len(letters), np.nan)
    chi = with_second_chi(letters, chi)
    for kind in np.unique(letters[CHI_COUNT[letters] > 0]):
        rows = np.flatnonzero(letters == kind)
        out[rows] = joint_density(rotamer_densities()[LETTERS[kind]], chi[rows])
    return out


def with_second_chi(letters: Int[np.ndarray, "n"], chi: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
    """χ with 0 for the χ2 that a residue type lacks, so that every type has a pair."""
    second = np.where(CHI_COUNT[letters] == 1, 0.0, chi[:, 1])
    return np.column_stack([chi[:, 0], second, chi[:, 2:]])


def joint_density(pairs: Float[np.ndarray, "k s s"], chi: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n"]:
    """Sum of the log densities of the pairs of neighbouring χ (degrees) of one residue type."""
    return np.sum([periodic_values(pair, chi[:, k], chi[:, k + 1]) for k, pair in enumerate(pairs)], axis=0)


def rotamer_figures(letters: Int[np.ndarray, "n"], chi: Float[np.ndarray, "n 4"]) -> dict[str, float | None]:
    """Share of the complete side chains with χ (degrees) that are rotamer outliers; None without any."""
    density = log_rotamer_densities(letters, chi)
    judged = np.isfinite(density)
    outlier = density[judged] < rotamer_densities()["levels"][letters[judged]]
    return {"rotamer_outliers": float(outlier.mean()) if judged.any() else None}
