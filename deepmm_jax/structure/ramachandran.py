"""Ramachandran classes and densities: which (φ, ψ) are favoured, and which are outliers.

The densities are the project's own, smoothed from training chains (X-ray, 2.0 Å or better, B below 40 Å²) by
`benchmarks/fit_geometry.py`. As in MolProbity (Chen et al. 2010), 98 % of good residues are inside the favoured
contour and 99.95 % inside that of the outliers.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import map_coordinates

from deepmm_jax.structure.residue_atoms import LETTERS, after


CLASSES = ("general", "glycine", "proline", "pre-proline", "isoleucine or valine")
GENERAL, GLYCINE, PROLINE, PRE_PROLINE, BRANCHED = range(5)

FAVOURED, ALLOWED = 0.98, 0.9995
"""Shares of good residues inside the contours."""

TABLE = Path(__file__).with_name("ramachandran.npz")


class RamachandranTable(NamedTuple):
    """Densities by class (as `CLASSES`) and their contours.

    `log_density` is the logarithm of the density over that of evenly spread angles, at φ and ψ from -180° in even
    steps. A residue is favoured from the level `favoured` of its class on, and an outlier below `outlier`.
    """

    log_density: Float[np.ndarray, "5 s s"]
    favoured: Float[np.ndarray, "5"]
    outlier: Float[np.ndarray, "5"]


@cache
def ramachandran_table() -> RamachandranTable:
    """The table that the package ships."""
    with np.load(TABLE) as file:
        return RamachandranTable(*(file[name].astype(np.float64) for name in RamachandranTable._fields))


def residue_classes(letters: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """Class of every residue, from its type (index in `LETTERS`) and that of the next.

    Glycine and proline stay in their class before a proline. The last residue has no ψ, so its class is of no account.
    """
    glycine, proline = letters == LETTERS.index("G"), letters == LETTERS.index("P")
    branched = (letters == LETTERS.index("I")) | (letters == LETTERS.index("V"))
    return np.select([glycine, proline, after(proline), branched], [GLYCINE, PROLINE, PRE_PROLINE, BRANCHED], GENERAL)


def periodic_values(table: Float[np.ndarray, "s t"], *angles: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Values between the nodes of a table over all angles from -180° on, linear in between; NaN at NaN."""
    known = np.isfinite(np.sum(angles, axis=0))
    out = np.full(known.shape, np.nan)
    nodes = [(angle[known] + 180.0) * size / 360.0 for angle, size in zip(angles, table.shape)]
    out[known] = map_coordinates(table, nodes, order=1, mode="grid-wrap", output=np.float64)
    return out


def log_densities(
    classes: Int[np.ndarray, "n"], phi: Float[np.ndarray, "n"], psi: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """Logarithm of each residue's density over that of evenly spread angles (degrees); NaN where one is missing."""
    table = ramachandran_table().log_density
    values = [periodic_values(each, phi, psi) for each in table]
    return np.choose(classes, values)


def ramachandran_figures(
    letters: Int[np.ndarray, "n"], phi: Float[np.ndarray, "n"], psi: Float[np.ndarray, "n"]
) -> dict[str, float | None]:
    """Shares of the residues with both angles (degrees) that are favoured and that are outliers; None without any."""
    classes = residue_classes(letters)
    density = log_densities(classes, phi, psi)
    judged = np.isfinite(density)
    table = ramachandran_table()
    favoured = (density >= table.favoured[classes])[judged]
    outlier = (density < table.outlier[classes])[judged]
    return {
        "ramachandran_favoured": float(favoured.mean()) if judged.any() else None,
        "ramachandran_outliers": float(outlier.mean()) if judged.any() else None,
    }
