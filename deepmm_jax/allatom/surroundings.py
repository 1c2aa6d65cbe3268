"""What the map says around each residue: the cost of each backbone atom at each voxel, in cubes of one size.

Cubes instead of the map: compiled functions see one shape for all maps.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from deepmm_jax.allatom.splines import spline_taps
from deepmm_jax.density.map import DensityMap
from deepmm_jax.evidence.points import interpolate
from deepmm_jax.evidence.volumes import Evidence


REACH = 5
"""Voxels from a Cα to the faces of its cube: no backbone atom of its residue is farther than 2.5 Å off."""
SIZE = 2 * REACH + 1
LEAST_PROBABILITY = 0.02
"""No atom is believed to be less likely than this in any one voxel."""


class Surroundings(NamedTuple):
    """Cubes around residues: the position of the first voxel (Å), the voxel's sides (Å), and costs of N, CA, C, O, CB.

    Costs are −log of the atom's probability and minus the density in its standard deviations, each times a weight.
    """

    corner: Float[Array, "*k n 3"]
    step: Float[Array, "3"]
    cost: Float[Array, "*k n 11 11 11 5"]


def surroundings_of(
    calpha: Float[np.ndarray, "k n 3"],
    built: Bool[np.ndarray, "k n"],
    evidence: Evidence | None,
    density: DensityMap | None,
    evidence_weight: float,
    density_weight: float,
) -> Surroundings:
    """Cubes around every built Cα (Å); all costs are 0 where there is neither evidence of atoms nor a map."""
    step = np.ones(3) if evidence is None else np.asarray(evidence.step, float)
    origin = np.zeros(3) if evidence is None else np.asarray(evidence.origin, float)
    voxel = np.rint((calpha[built] - origin) / step).astype(int)
    cube = np.moveaxis(np.indices((SIZE,) * 3), 0, -1) - REACH
    here = np.zeros((len(voxel), *cube.shape[:3], 5), np.float16)
    for residue, middle in enumerate(voxel):
        place = middle + cube
        if evidence is not None and evidence.atoms is not None:
            last = np.array(evidence.calpha.shape) - 1
            inside = ((place >= 0) & (place <= last)).all(axis=-1)[..., None]
            seen = np.where(inside, evidence.atoms[tuple(np.moveaxis(np.clip(place, 0, last), -1, 0))], 0)
            here[residue] = -evidence_weight * np.log(seen.astype(np.float32) + LEAST_PROBABILITY)
    if density is not None and len(voxel):
        grid = density.to_grid(origin + (voxel[:, None, None, None] + cube) * step).reshape(-1, 3)
        values = interpolate(density.data, grid.astype(np.float32)).reshape(here.shape[:-1])
        here -= (density_weight * values / max(values.std(), 1e-9)).astype(np.float16)[..., None]
    cost = np.zeros((*built.shape, *here.shape[1:]), np.float16)
    cost[built] = here
    corner = np.zeros((*built.shape, 3), np.float32)
    corner[built] = origin + (voxel - REACH) * step
    return Surroundings(jnp.asarray(corner), jnp.asarray(step, jnp.float32), jnp.asarray(cost))


def atom_costs(
    around: Surroundings, positions: Float[Array, "n m 3"], kinds: Int[np.ndarray, "m"]
) -> Float[Array, "n m"]:
    """Costs of m atoms of each residue, of the kinds given (0–4: N, CA, C, O, CB), by cubic B-splines of its cube."""

    def of_residue(corner: Array, cost: Array, positions: Array) -> Array:
        place = jnp.clip((positions - corner[None]) / around.step[None], 1, SIZE - 2.001)
        rows, weights = spline_taps(place)
        x, y, z = rows[:, 0, :, None, None], rows[:, 1, None, :, None], rows[:, 2, None, None, :]
        values = cost[x, y, z, kinds[:, None, None, None]].astype(jnp.float32)
        return jnp.einsum("mxyz,mx,my,mz->m", values, weights[:, 0], weights[:, 1], weights[:, 2])

    return jax.vmap(of_residue)(around.corner, around.cost, positions)
