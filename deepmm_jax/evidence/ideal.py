"""Ideal evidence: what a perfect network would say of a known structure (equation 1)."""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float, Int

from deepmm_jax.constants import SECONDARY_STRUCTURES
from deepmm_jax.density.map import DensityMap
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.sequence.profile import encode_letters
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.secondary_structure import assign_secondary_structure


DECAY_RADIUS = 1.0
"""r_0 of equation 1, Å."""
CUTOFF_RADIUS = 2.0
"""r_cut of equation 1, Å."""
ATOM_KINDS = ("N", "CA", "C", "O", "CB")


def atom_probability(
    grid_positions: Float[np.ndarray, "n 3"], shape: tuple[int, int, int]
) -> Float[np.ndarray, "nx ny nz"]:
    """P(a) = exp(-d²/r_0²) to the *nearest* atom within r_cut, else 0, on a 1 Å grid (positions in voxels).

    Equation 1 prints the minimum over atoms; only the maximum gives a probability that peaks at atoms.
    Rows with NaN are left out.
    """
    known = grid_positions[np.isfinite(grid_positions).all(axis=1)]
    _, squared = nearest_point(known, shape, CUTOFF_RADIUS)
    return np.where(np.isfinite(squared), np.exp(-squared / DECAY_RADIUS**2), 0.0).astype(np.float32)


def nearest_point(
    grid_positions: Float[np.ndarray, "n 3"], shape: tuple[int, int, int], cutoff: float
) -> tuple[Int[np.ndarray, "nx ny nz"], Float[np.ndarray, "nx ny nz"]]:
    """Index of the nearest point (-1 beyond `cutoff`) and its squared distance (inf), for every voxel; in voxels."""
    index = np.full(shape, -1, np.int32)
    squared = np.full(shape, np.inf, np.float32)
    _mark_nearest(np.ascontiguousarray(grid_positions, np.float32), np.float32(cutoff), index, squared)
    return index, squared


@numba.njit(cache=True, nogil=True)
@no_type_check
def _mark_nearest(positions, cutoff, index, squared):
    for p in range(len(positions)):
        low = np.empty(3, np.int64)
        high = np.empty(3, np.int64)
        for axis in range(3):
            low[axis] = max(0, int(np.ceil(positions[p, axis] - cutoff)))
            high[axis] = min(index.shape[axis] - 1, int(np.floor(positions[p, axis] + cutoff)))
        for i in range(low[0], high[0] + 1):
            for j in range(low[1], high[1] + 1):
                for k in range(low[2], high[2] + 1):
                    d2 = (i - positions[p, 0]) ** 2 + (j - positions[p, 1]) ** 2 + (k - positions[p, 2]) ** 2
                    if d2 <= cutoff * cutoff and d2 < squared[i, j, k]:
                        squared[i, j, k] = d2
                        index[i, j, k] = p


def calpha_directions(calpha: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 6"]:
    """Unit vectors from each Cα to the previous and to the next one; zeros at the ends and across chain breaks."""
    out = np.zeros((len(calpha), 6), np.float32)
    bond = np.diff(calpha, axis=0)
    length = np.linalg.norm(bond, axis=1, keepdims=True)
    unit = np.where((length > 0) & (length < 4.5), bond / np.maximum(length, 1e-6), 0.0)
    out[1:, :3], out[:-1, 3:] = -unit, unit
    return out


def ideal_evidence(chain: Chain, grid: DensityMap) -> Evidence:
    """Evidence with all volumes from the true atoms, on the grid of a map with 1 Å voxels.

    Types, offsets and directions are those of the nearest Cα within 4 Å, and uniform or zero elsewhere.
    """
    atoms = np.stack([atom_probability(grid.to_grid(chain.atom(kind)), grid.shape) for kind in ATOM_KINDS], axis=-1)
    main_chain = atoms[..., :3].max(axis=-1)
    calpha = grid.to_grid(chain.calpha).astype(np.float32)
    nearest, _ = nearest_point(calpha, grid.shape, 4.0)
    known = (nearest >= 0)[..., None]
    voxels = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    amino_acids = np.full((21, 20), 1 / 20, np.float32)
    amino_acids[:20] = np.eye(20)
    states = np.array([SECONDARY_STRUCTURES.index(s) for s in assign_secondary_structure(chain)])
    return Evidence(
        main_chain=main_chain,
        calpha=atoms[..., 1],
        step=grid.step,
        origin=grid.origin,
        atoms=atoms,
        offset=np.where(known, (calpha[nearest] - voxels) * grid.step, 0).astype(np.float32),
        directions=np.where(known, calpha_directions(chain.calpha)[nearest], 0).astype(np.float32),
        amino_acids=np.where(known, amino_acids[encode_letters(chain.sequence)][nearest], 1 / 20).astype(np.float32),
        secondary_structure=np.where(known, np.eye(3)[states][nearest], 1 / 3).astype(np.float32),
    )
