"""Which density counts: a user's mask and a contour level."""

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


def _grid(density: DensityMap) -> str:
    voxels, place = (" × ".join(f"{n}" for n in density.shape), ", ".join(f"{x:.1f}" for x in density.origin))
    return f"{voxels} voxels of {density.step[0]:.3f} Å from ({place})"
