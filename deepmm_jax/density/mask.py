"""Which density counts: a user's mask and a contour level."""

import numpy as np

from deepmm_jax.density.map import DensityMap
from deepmm_jax.errors import MapError


def apply_mask(density: DensityMap, mask: DensityMap, name: str) -> DensityMap:
    """The map with density only where `mask` is above 0. Raises MapError unless both have one grid."""
    if mask.shape != density.shape or not np.allclose(mask.step, density.step, rtol=1e-3):
        raise MapError(
            f"mask {name} has {' × '.join(map(str, mask.shape))} voxels of {mask.step[0]:.3f} Å and the map "
            f"{' × '.join(map(str, density.shape))} of {density.step[0]:.3f} Å; give a mask on the grid of the map"
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
