"""Boxes of density, as the paper's networks see them: cut from a map with 1 Å voxels and each scaled to [0, 1].

Section 2.2; the authors' programs clip negative density for box B only, and keep three decimals of its values.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int
from numpy.lib.stride_tricks import sliding_window_view


REACH = 5
"""Voxels from the centre of box A to its faces, and those from a point that box B holds at most."""


def voxel_boxes(data: Float[np.ndarray, "nx ny nz"], voxels: Int[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 11 11 11"]:
    """Box A of voxels, given by their indices: 11³ voxels around each, 0 outside the map, scaled by its own range."""
    return scaled(_windows(data, 2 * REACH + 1, voxels))


def point_boxes(
    data: Float[np.ndarray, "nx ny nz"], grid_positions: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n 10 10 10"]:
    """Box B of points, given in voxels: from ⌊x⌋ - 4 to ⌊x⌋ + 5 along each axis, negative density and outside 0.

    The authors' upper end, ⌈x⌉ + 4, is the same but for a point on a voxel, whose box would have nine. Values are
    scaled by the box's own range to [0, 1] and rounded to three decimals. Points lie within the map.
    """
    first = np.floor(grid_positions).astype(int) + 1  # minus 4 voxels, plus the `REACH` that the map is padded by
    return np.round(scaled(_windows(np.maximum(data, 0), 2 * REACH, first)), 3)


def _windows(data: np.ndarray, side: int, first: np.ndarray) -> np.ndarray:
    """Cubes of a map padded by `REACH` zeros that begin at `first` of the padded map."""
    windows = sliding_window_view(np.pad(data, REACH), (side, side, side))
    return windows[tuple(first.T)]


def scaled(boxes: Float[np.ndarray, "n s s s"]) -> Float[np.ndarray, "n s s s"]:
    """Each box by its lowest and highest value to [0, 1]; a box that is the same everywhere is 0."""
    low = boxes.min(axis=(1, 2, 3), keepdims=True)
    extent = boxes.max(axis=(1, 2, 3), keepdims=True) - low
    return ((boxes - low) / np.where(extent > 0, extent, 1)).astype(np.float32)


def spans(count: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` rows that cover `count` rows."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
