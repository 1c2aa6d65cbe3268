"""The pull of a density map on atoms, as a force of OpenMM.

Towards high density alone atoms would crowd together, the more the coarser the map is. What pulls here is the density
that the other atoms leave unexplained: the map less a Gaussian for each of them. That is the gradient of the squared
misfit of model and map, but for the map's being read where the atom is instead of averaged over its Gaussian.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import openmm
from jax import lax
from jaxtyping import Array, Float, Int
from openmm import unit
from scipy.spatial import KDTree

from deepmm_jax.allatom.force_field import ANGSTROM, KJ
from deepmm_jax.allatom.splined_map import SplinedMap, map_values, splined_map
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.simulate import add_gaussians


FEW_SIZES = 1024, 32
"""Numbers of atoms and of neighbours are padded to multiples of these."""
WIDTHS = tuple(np.arange(1.0, 4.01, 0.25).tolist())
"""1/e widths of an atom's density that are tried, Å."""
REACH = 2.5
"""Widths beyond which an atom has no density."""
MOVES = 1.0
"""Å by which two atoms may come closer to each other and be neighbours still."""
MARGIN, AROUND = 5.0, 3.0
"""Å around the atoms: of the map that is kept, and in which the width is fitted."""
SHARES, SHARE_ROUNDS = (0.2, 2.0), 2
"""How much weaker or stronger than the others an atom may turn out in a round, and the rounds."""


class Gaussians(NamedTuple):
    """Atoms as Gaussians: 1/e `width` (Å), `height` and a `constant` in units of the map, and each atom's `share`."""

    width: Float[Array, ""]
    height: Float[Array, ""]
    constant: Float[Array, ""]
    share: Float[Array, "m"]


def density_force(
    density: DensityMap,
    positions: Float[np.ndarray, "p 3"],
    atoms: Int[np.ndarray, "k"],
    weight: float,
) -> openmm.PythonForce | None:
    """The force that makes k of the p particles gain `weight` (kcal/mol) by each standard deviation of the density.

    That of the density at these atoms, where they are now (Å), is meant. None if the map shows nothing of them.
    OpenMM's own `Continuous3DFunction` would need 64 coefficients for every voxel.
    """
    k = len(atoms)
    gaussians = atom_density(density, positions[atoms])
    near = splined_map(density, positions[atoms], MARGIN)
    neighbours = jnp.asarray(padded_neighbours(positions[atoms], REACH * float(gaussians.width) + MOVES))
    places = np.zeros((len(neighbours), 3), np.float32)
    places[:k] = positions[atoms]
    values = np.asarray(map_values(near, jnp.asarray(places)))[:k]
    if not (float(gaussians.height) > 0 and values.std() > 0):
        return None
    for _ in range(SHARE_ROUNDS):
        found = gaussians.height * _overlap(jnp.asarray(places), jnp.asarray(places), neighbours, gaussians)
        found = np.asarray(found + gaussians.height * gaussians.share)[:k]
        share = np.asarray(gaussians.share)[:k] * np.clip((values - float(gaussians.constant)) / found, *SHARES)
        gaussians = gaussians._replace(share=_padded(share / share.mean(), len(places)))
    scale = weight * KJ / float(values.std())

    def energy_and_forces(state: Any) -> tuple[float, np.ndarray]:
        places[:k] = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)[atoms]
        gains, slopes = (np.asarray(x, np.float64)[:k] for x in gain(jnp.array(places), near, neighbours, gaussians))
        forces = np.zeros(positions.shape)
        forces[atoms] = scale / ANGSTROM * slopes
        return -scale * float(gains.sum()), forces

    return openmm.PythonForce(energy_and_forces)


@jax.jit
def gain(
    positions: Float[Array, "m 3"], density: SplinedMap, neighbours: Int[Array, "m j"], gaussians: Gaussians
) -> tuple[Float[Array, "m"], Float[Array, "m 3"]]:
    """What atoms at positions (Å) gain, the overlap of two shared between them, and the gradient of the sum."""
    fixed = lax.stop_gradient(positions)

    def total(positions: Array) -> tuple[Array, Array]:
        values = map_values(density, positions)
        overlap = gaussians.height * _overlap(positions, fixed, neighbours, gaussians)
        # Each pair is met twice, and each time only one of the two moves: the gradient is that of the pair met once.
        return gaussians.share @ (values - overlap), gaussians.share * (values - overlap / 2)

    slopes, gains = jax.grad(total, has_aux=True)(fixed)
    return gains, slopes


@jax.jit
def _overlap(positions: Array, others: Array, neighbours: Array, gaussians: Gaussians) -> Float[Array, "m"]:
    """Density of the other atoms at each, over the height of a whole one."""
    squared = jnp.square(positions[:, None] - others[neighbours]).sum(axis=-1)
    density = gaussians.share[neighbours] * jnp.exp(-squared / gaussians.width**2)
    return jnp.where(neighbours >= 0, density, 0).sum(axis=1)


def atom_density(density: DensityMap, positions: Float[np.ndarray, "k 3"]) -> Gaussians:
    """The Gaussians, all alike, at positions (Å) whose sum is most like the map there; of height 0 if none is."""
    step = float(density.step.mean())
    low = np.maximum(np.floor(density.to_grid(positions.min(axis=0) - AROUND)).astype(int), 0)
    high = np.ceil(density.to_grid(positions.max(axis=0) + AROUND)).astype(int) + 1
    observed = density.data[tuple(slice(a, max(a, b)) for a, b in zip(low, high))]
    grid = density.to_grid(positions) - low
    voxels = np.moveaxis(np.indices(observed.shape), 0, -1)
    there = np.isfinite(KDTree(grid * density.step).query(voxels * density.step, distance_upper_bound=AROUND)[0])
    best, found = 0.0, (WIDTHS[0], 0.0, 0.0)
    ones = np.ones(len(grid), np.float32)
    for width in WIDTHS if there.any() else ():
        model = add_gaussians(grid, ones, np.float32(width / step) * ones, observed.shape)
        (spread, shared), (_, own) = np.cov(model[there], observed[there])
        if spread > 0 and own > 0 and shared / np.sqrt(spread * own) > best:
            best, height = shared / np.sqrt(spread * own), shared / spread
            found = width, height, observed[there].mean() - height * model[there].mean()
    numbers = (jnp.asarray(x, jnp.float32) for x in found)
    return Gaussians(*numbers, share=_padded(ones, -(-len(grid) // FEW_SIZES[0]) * FEW_SIZES[0]))


def padded_neighbours(positions: Float[np.ndarray, "k 3"], reach: float) -> Int[np.ndarray, "m j"]:
    """The other atoms within reach (Å) of each, -1 for none."""
    lists = KDTree(positions).query_ball_point(positions, reach, return_sorted=True)
    rows, columns = (-(-size // few) * few for size, few in zip((len(lists), max(map(len, lists))), FEW_SIZES))
    out = np.full((rows, columns), -1, np.int32)
    for i, found in enumerate(lists):
        out[i, : len(found) - 1] = [j for j in found if j != i]
    return out


def _padded(values: np.ndarray, size: int) -> Array:
    return jnp.pad(jnp.asarray(values, jnp.float32), (0, size - len(values)))
