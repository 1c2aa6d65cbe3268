"""Scaling a map so that protein density is about one, whatever units the map came in (standardising, section 2.1)."""

import numpy as np
from jaxtyping import Float

from deepmm_jax.density.map import DensityMap
from deepmm_jax.errors import MapError


RESIDUE_VOLUME = 133.0
"""Mean volume of a residue in a protein, Å³ (110 Da at 1.21 Å³/Da)."""

LARGEST = 1e12
"""Larger values are refused: sums of their squares over a map, times those of a model, do not fit into float32."""

_CONTOUR_SHARE = 0.2
_MOLECULE_TO_TOP_VOLUME = 1.15
_ENOUGH_VOXELS = 2**24


def top_volume_scale(data: Float[np.ndarray, "nx ny nz"], voxel_volume: float, n_residues: int | None = None) -> float:
    """Mean of the voxels that fill the volume of `n_residues` residues (133 Å³ each), counted from the highest down.

    `voxel_volume` in Å³; voxels that are not positive never count. If the number of residues is unknown, the mean above
    `contour_level` stands in, divided by 1.15, the mean ratio of the two over the 14 trainable real maps that hold one
    molecule (it scatters by 20 %). Raises MapError if no voxel is positive or one is infinite.
    """
    positive = _positive(data)
    if n_residues is None:
        return _mean(positive[positive > contour_level(data)]) / _MOLECULE_TO_TOP_VOLUME
    count = int(np.clip(RESIDUE_VOLUME * n_residues / voxel_volume, 1, positive.size))
    positive.partition(positive.size - count)
    return _mean(positive[positive.size - count :])


def scale_map(density: DensityMap, n_residues: int | None = None) -> DensityMap:
    """The map divided by its `top_volume_scale`: protein is about 1.

    Raises MapError if no voxel is positive, or if a value is not finite or over 10¹² times the scale.
    """
    scale = top_volume_scale(density.data, float(np.prod(density.step)), n_residues)
    largest = max(float(density.data.max()), -float(density.data.min()))
    if not largest / scale < LARGEST:
        raise MapError(f"the map reaches {largest:.4g}, but protein has about {scale:.4g}; remove the outliers")
    return density.with_data(np.asarray(density.data / scale, np.float32))


def contour_level(data: Float[np.ndarray, "nx ny nz"]) -> float:
    """Estimate of the contour that encloses the molecule: a fifth of the ρ²-weighted median of positive voxels.

    The weight makes solvent noise and the empty part of the box irrelevant. Over the 14 trainable real maps that hold
    one molecule, masked and unmasked, the level encloses 0.5–1.2 times its volume (median 0.89) and at least 95 % of
    the Cα atoms of all but one. A level that an author recommends may be higher, drawn to show side chains: 7.68 for
    EMD-8923, where this gives 2.47. Of maps with more than 2²⁴ positive voxels some are left out, evenly.
    Raises MapError if no voxel is positive or one is infinite.
    """
    positive = _positive(data)
    ranked = np.sort(positive[:: 1 | positive.size // _ENOUGH_VOXELS])
    weight = np.cumsum(np.square(ranked / ranked[-1], dtype=np.float64))
    return _CONTOUR_SHARE * float(ranked[np.searchsorted(weight, weight[-1] / 2)])


def default_threshold(data: Float[np.ndarray, "nx ny nz"], recommended: float | None = None) -> float:
    """Voxels above this are looked at: half the recommended contour (section 2.1), or half the estimated one."""
    return (contour_level(data) if recommended is None else recommended) / 2


def _positive(data: np.ndarray) -> np.ndarray:
    positive = data[data > 0]
    if not positive.size:
        raise MapError("the map has no positive density; check that it is the right file and not inverted")
    if np.isinf(positive.max()):
        raise MapError("the map holds values that are not finite; replace them by 0")
    return positive


def _mean(values: np.ndarray) -> float:
    return float(values.mean(dtype=np.float64))
