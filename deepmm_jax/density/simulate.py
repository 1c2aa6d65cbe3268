"""Simulated maps: a sum of Gaussians over atoms, in the form of EMAN2's e2pdb2mrc (section 2.6.1)."""

import math
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float

from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc_header import MAX_VOXELS, STEP_RANGE
from deepmm_jax.errors import MapError


NEGLIGIBLE = 1e-7
"""EMAN2 cuts the kernel where exp(-r²/width²) falls below this."""


def simulate_map(
    positions: Float[np.ndarray, "n 3"], atomic_numbers: Float[np.ndarray, "n"], resolution: float, step: float = 1.0
) -> DensityMap:
    """Density ρ(x) = Σ Z·exp(-|x - x_a|² / (R/π)²) of atoms at resolution R, in EMAN2's units and box.

    `positions`, `resolution` and `step` (voxel size) in Å. The box holds the atoms and about one
    resolution on every side; its sides are even numbers of voxels. Agrees with EMAN2 2.12 (map correlation 0.999999).
    Raises MapError as `eman2_box` does.
    """
    shape, origin = eman2_box(positions, resolution, step)
    widths = np.full(len(positions), resolution / np.pi / step, np.float32)
    data = add_gaussians((positions - origin) / step, atomic_numbers, widths, shape)
    return DensityMap(data=data, step=np.full(3, float(step)), origin=origin, placement="simulated")


def eman2_box(
    positions: Float[np.ndarray, "n 3"], resolution: float, step: float
) -> tuple[tuple[int, int, int], Float[np.ndarray, "3"]]:
    """Shape and origin (Å) of the box that EMAN2 puts around atoms.

    Raises MapError for a voxel size or resolution (Å) that no map has, and for a box that no map may fill.
    """
    if not STEP_RANGE[0] < step < STEP_RANGE[1]:
        raise MapError(f"voxels of {step:g} Å cannot be right; give {STEP_RANGE[0]:g} to {STEP_RANGE[1]:g} Å")
    if not step <= resolution < np.inf:
        raise MapError(f"a resolution of {resolution:g} Å cannot be right; give at least the voxel size, {step:g} Å")
    low, high = positions.min(axis=0).astype(float), positions.max(axis=0).astype(float)
    extent = high - low
    sides = 2 * np.ceil((np.floor(extent / step) + np.floor(2 * resolution / step)) / 2)
    voxels = math.prod(sides.tolist())
    if not voxels <= MAX_VOXELS:
        raise MapError(
            f"atoms over {' × '.join(f'{side:.6g}' for side in extent)} Å need {voxels:.4g} voxels of {step:g} Å "
            f"at {resolution:g} Å, more than {MAX_VOXELS}; give larger voxels or fewer chains"
        )
    nx, ny, nz = (int(side) for side in sides)
    return (nx, ny, nz), low - step * (sides // 2) + extent / 2


def add_gaussians(
    grid_positions: Float[np.ndarray, "n 3"],
    weights: Float[np.ndarray, "n"],
    widths: Float[np.ndarray, "n"],
    shape: tuple[int, int, int],
    negligible: float = NEGLIGIBLE,
) -> Float[np.ndarray, "nx ny nz"]:
    """Σ weight·exp(-r²/width²) on a grid; positions and 1/e widths in voxels. Atoms may lie outside the grid.

    The kernel is cut where the exponential falls below `negligible`.
    """
    out = np.zeros(shape, np.float32)
    _splat(
        np.ascontiguousarray(grid_positions, np.float32),
        np.asarray(weights, np.float32),
        np.asarray(widths, np.float32),
        np.float32(negligible),
        out,
    )
    return out


@numba.njit(cache=True, nogil=True, fastmath=True)
@no_type_check
def _splat(positions, weights, widths, negligible, out):
    # A Gaussian is a product of three, so an atom costs one multiplication a voxel instead of an exponential.
    reach = np.sqrt(-np.log(negligible))
    longest = 0 if len(widths) == 0 else int(2 * reach * widths.max()) + 2
    factors = np.empty((3, longest), np.float32)
    for a in range(len(weights)):
        low = np.empty(3, np.int64)
        high = np.empty(3, np.int64)
        for axis in range(3):
            centre = positions[a, axis]
            radius = reach * widths[a]
            low[axis] = max(0, int(np.ceil(centre - radius)))
            high[axis] = min(out.shape[axis] - 1, int(np.floor(centre + radius)))
            for i in range(low[axis], high[axis] + 1):
                factors[axis, i - low[axis]] = np.exp(-(((i - centre) / widths[a]) ** 2))
        for i in range(low[0], high[0] + 1):
            along_x = weights[a] * factors[0, i - low[0]]
            for j in range(low[1], high[1] + 1):
                along_xy = along_x * factors[1, j - low[1]]
                if along_xy > weights[a] * negligible:
                    for k in range(low[2], high[2] + 1):
                        out[i, j, k] += along_xy * factors[2, k - low[2]]
