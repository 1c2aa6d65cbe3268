"""Resampling a map to the 1 Å grid on which everything else works (section 2.1)."""

from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.interpolate import make_interp_spline

from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc_header import MAX_VOXELS
from deepmm_jax.errors import MapError


Interpolation = Literal["sinc", "cubic", "trilinear"]

_HALF_WIDTH = 12
"""Reach of the windowed sinc, in samples of the coarser of the two grids."""

_KAISER_BETA = 6.0
_SAME_STEP = 1e-3


def resample_map(density: DensityMap, step: float = 1.0, order: Interpolation = "sinc") -> DensityMap:
    """The map on a cubic grid of spacing `step` (Å): same first voxel, ⌊old step · (n - 1) / step⌋ + 1 voxels a side.

    A map that has this spacing within 0.1 % is returned as it is. Of a 3 Å wave on a 1.3 Å grid, `trilinear` (the
    paper) keeps 53 % of the amplitude, a `cubic` B-spline 74 %, a `sinc` under a Kaiser window 99 %. On grids finer
    than `step` the sinc is the anti-alias filter too (waves shorter than 2 · step go); the others take point samples.
    At a sharp mask edge the sinc overshoots by 7 %, the B-spline by 5 %.
    Raises MapError if the step is not positive, or the new grid has fewer than two voxels on a side or too many in all.
    """
    if step <= 0:
        raise MapError(f"a grid spacing of {step} Å is not possible; use 1.0")
    if np.allclose(density.step, step, rtol=_SAME_STEP, atol=0):
        return density
    # The last voxel may stick out by a rounding error, not more.
    shape = np.floor(density.step / step * (np.array(density.shape) - 1) + 1e-4).astype(int) + 1
    if shape.min() < 2 or shape.prod(dtype=float) > MAX_VOXELS:
        raise MapError(
            f"steps of {step} Å make {' × '.join(map(str, shape))} voxels of the map; crop it or change the step"
        )
    data = density.data
    for axis in range(3):
        weights = _weights(data.shape[axis], int(shape[axis]), float(density.step[axis]) / step, order)
        data = np.moveaxis(np.tensordot(weights, data, axes=(1, axis)), 0, axis)
    return DensityMap(
        data=np.ascontiguousarray(data, np.float32),
        step=np.full(3, float(step)),
        origin=density.origin,
        placement=density.placement,
    )


def _weights(n: int, n_new: int, ratio: float, order: Interpolation) -> Float[np.ndarray, "n_new n"]:
    """Contribution of each of n old samples to each new one along an axis; `ratio` is old over new spacing."""
    at = np.arange(n_new) / ratio
    if order != "sinc":
        degree = {"cubic": 3, "trilinear": 1}[order]
        return make_interp_spline(np.arange(n), np.eye(n), k=degree)(at).astype(np.float32)
    distance = (at[:, None] - np.arange(n)) * min(1.0, ratio)
    window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (distance / _HALF_WIDTH) ** 2, 0, None))) * (
        np.abs(distance) < _HALF_WIDTH
    )
    weights = np.sinc(distance) * window
    # Where the window hangs over the border, and against the ripple of the window elsewhere: constants stay constant.
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
