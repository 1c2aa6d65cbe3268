"""How likely backbone torsions are: −log p(φ, ψ) by residue class, and what leads back from rare ones."""

from functools import cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.ndimage import distance_transform_edt

from deepmm_jax.allatom.splines import spline_taps
from deepmm_jax.structure import ramachandran
from deepmm_jax.structure.residue_atoms import LETTERS


FLOOR = 0.005
"""Share of the uniform distribution: nothing is impossible."""
GUIDE = 0.1
"""Per degree, in units of −log p, outside of what is favoured."""


def residue_classes(letters: str) -> Int[np.ndarray, "n"]:
    """Index into `structure.ramachandran.CLASSES` of every residue."""
    return ramachandran.residue_classes(np.array([LETTERS.index(a) for a in letters], int)).astype(np.int32)


@cache
def ramachandran_table() -> Float[np.ndarray, "5 g g"]:
    """−log of the density of (φ, ψ), 1 being that of the uniform distribution, at φ and ψ = k 2π/g − π."""
    density = np.exp(ramachandran.ramachandran_table().log_density)
    return -np.log((1 - FLOOR) * density + FLOOR).astype(np.float32)


@cache
def guiding_table() -> Float[np.ndarray, "5 g g"]:
    """The same, and `GUIDE` for every degree from the nearest favoured angles.

    Where angles are rare their density has hardly a slope, and a descent would leave outliers where they are.
    """
    table, shipped = ramachandran_table(), ramachandran.ramachandran_table()
    outside = shipped.log_density < shipped.favoured[:, None, None]
    size = table.shape[-1]
    nodes = np.array([distance_transform_edt(np.tile(each, (3, 3))) for each in outside], np.float32)
    return table + np.float32(GUIDE * 360 / size) * nodes[:, size : 2 * size, size : 2 * size]


def with_unknown(table: Float[np.ndarray, "5 g g"]) -> Float[np.ndarray, "5 g+1 g+1"]:
    """A table with a last row and column for an angle that is unknown: −log of the other angle's density."""
    density = np.pad(np.exp(-table), ((0, 0), (0, 1), (0, 1)))
    density[:, -1] = density[:, :-1].mean(axis=1)
    density[:, :, -1] = density[:, :, :-1].mean(axis=2)
    return -np.log(density).astype(np.float32)


def torsion_bin(angle: Float[Array, "*s"], size: int) -> Int[Array, "*s"]:
    """The node of a table of `size` that is nearest to an angle (radians)."""
    return jnp.round((angle / (2 * jnp.pi) + 0.5) * size).astype(jnp.int32) % size


def torsion_energy(
    table: Float[Array, "5 g g"], classes: Int[Array, "n"], phi: Float[Array, "n"], psi: Float[Array, "n"]
) -> Float[Array, "n"]:
    """What a table, such as −log p(φ, ψ), says of every residue, as a smooth function of the angles (radians).

    It is a cubic B-spline over the nodes.
    """
    size = table.shape[-1]
    place = (jnp.stack([phi, psi]) / (2 * jnp.pi) + 0.5) * size
    rows, weights = spline_taps(place)
    values = table[classes[:, None, None], rows[0][:, :, None] % size, rows[1][:, None, :] % size]
    return jnp.einsum("nab,na,nb->n", values, weights[0], weights[1])
