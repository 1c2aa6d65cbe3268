"""The part of a map around one chain, and how well the chain fits it (section 2.6.1)."""

from dataclasses import replace

import numpy as np

from deepmm_jax.assessment.map_correlation import correlate
from deepmm_jax.density.experimental.masks import distance_to_atoms
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.resample import resample_map
from deepmm_jax.errors import MapError
from deepmm_jax.structure.chain import Chain
from deepmm_jax.training.curation.settings import CurationSettings


MARGIN = 8.0
"""Å around the atoms in the map that is kept."""
REACH = 16.0
"""Å more are resampled: voxels at the border have but one-sided neighbours."""


def zoned_map(density: DensityMap, chain: Chain, radius: float = 4.0) -> DensityMap:
    """The density within `radius` (Å) of the atoms of a chain on a grid of 1 Å, and 0 elsewhere in a box around it.

    It is resampled first and zoned then, so that the edge of the zone does not ring. Density of other chains in the
    zone stays, as in the paper. Raises MapError where the box of the map holds none of it, or nothing but zeros.
    """
    low, high = chain.positions.min(axis=0), chain.positions.max(axis=0)
    near = resample_map(_cropped(density, low - MARGIN - REACH, high + MARGIN + REACH))
    near = _cropped(near, low - MARGIN, high + MARGIN)
    distance = distance_to_atoms(near.to_grid(chain.positions).astype(np.float32), near.shape, radius + 1.0)
    zoned = np.where(distance <= radius, near.data, 0).astype(np.float32)
    if not np.ptp(zoned) > 0:
        raise MapError("the map has no density around the chain")
    return near.with_data(zoned)


def why_not_fit(density: DensityMap, chain: Chain, resolution: float, settings: CurationSettings) -> tuple[str, float]:
    """The reason to leave a chain out that does not fit its zoned map, or "", and the correlation (CC_mask).

    `resolution` in Å; at a better one than the grid can show, that of the grid counts.
    """
    try:
        found = correlate(density, [chain], max(resolution, 2 * float(density.step.max()))).mask
    except MapError as error:
        return f"no correlation: {error}", 0.0
    if found <= settings.correlation:
        return f"poor fit: correlation {found:.3f}", found
    return "", found


def wrong_resolution(resolution: float, settings: CurationSettings) -> str:
    """A resolution (Å) outside the limits."""
    if settings.best_resolution <= resolution <= settings.worst_resolution:
        return ""
    return f"resolution: {resolution:g} Å"


def _cropped(density: DensityMap, low: np.ndarray, high: np.ndarray) -> DensityMap:
    """The voxels between two corners (Å). Raises MapError if the box of the map does not reach there."""
    first = np.maximum(np.floor(density.to_grid(low)).astype(int), 0)
    last = np.minimum(np.ceil(density.to_grid(high)).astype(int) + 1, density.shape)
    if (last - first < 2).any():
        raise MapError("the chain lies outside the map")
    inner = density.data[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]
    return replace(density, data=np.ascontiguousarray(inner), origin=density.origin + first * density.step)
