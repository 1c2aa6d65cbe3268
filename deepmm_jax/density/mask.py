"""Which density counts: a user's mask, a contour level, and the part of the box that holds any."""

from dataclasses import replace

import numpy as np

from deepmm_jax.density.map import DensityMap
from deepmm_jax.errors import MapError


def apply_mask(density: DensityMap, mask: DensityMap, name: str) -> DensityMap:
    """The map with density only where `mask` is above 0. Raises MapError unless both have one grid."""
    same_place = np.allclose(mask.origin, density.origin, atol=0.5 * float(density.step.min()))
    if mask.shape != density.shape or not same_place or not np.allclose(mask.step, density.step, rtol=1e-3):
        raise MapError(
            f"mask {name} has {_grid(mask)} and the map {_grid(density)}; give a mask on the grid of the map"
        )
    kept = np.where(mask.data > 0, density.data, 0).astype(np.float32)
    if not kept.any():
        raise MapError(f"mask {name} leaves no density; check that it belongs to the map")
    return density.with_data(kept)


def check_contour(density: DensityMap, contour: float, name: str) -> None:
    """Raise MapError for a contour level that no voxel reaches."""
    highest = float(density.data.max())
    if contour >= highest:
        raise MapError(f"--contour {contour:g} is above the maximum of {name}, {highest:.4g}; give a lower level")


def crop_to_density(density: DensityMap, threshold: float, margin: int) -> DensityMap:
    """The smallest box around the voxels above `threshold`, with `margin` voxels on every side where the map has them.

    A map without such a voxel is returned whole. Deposited boxes are mostly solvent, which costs time and memory.
    """
    above = density.data > threshold
    along = [np.flatnonzero(above.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    if not len(along[0]):
        return density
    low = np.maximum([where[0] - margin for where in along], 0)
    high = np.minimum([where[-1] + 1 + margin for where in along], density.shape)
    inner = density.data[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return replace(density, data=np.ascontiguousarray(inner), origin=density.origin + low * density.step)


def _grid(density: DensityMap) -> str:
    voxels, place = (" × ".join(f"{n}" for n in density.shape), ", ".join(f"{x:.1f}" for x in density.origin))
    return f"{voxels} voxels of {density.step[0]:.3f} Å from ({place})"
