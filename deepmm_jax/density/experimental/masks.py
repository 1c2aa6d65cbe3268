"""Masks of deposited and segmented maps, as functions of the distance to the nearest atom (section 2.6.1)."""

from dataclasses import dataclass
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter


@dataclass(frozen=True, kw_only=True)
class Masking:
    """`kind` is none, soft, zone or filled; density is kept up to `radius` (Å) and fades over `edge` (Å).

    A `filled` zone is positive, keeps the share `kept` of its voxels, and interpolates the others smoothly.
    `clip` sets negative density to zero; `whole` counts distance from neighbours too.
    """

    kind: str = "none"
    radius: float = 4.0
    edge: float = 0.0
    kept: float = 0.25
    clip: bool = False
    whole: bool = False

    @property
    def reach(self) -> float:
        """Distance (Å) from the atoms beyond which the mask is 0 everywhere."""
        return 0.0 if self.kind == "none" else self.radius + self.edge


def apply_mask(
    density: Float[np.ndarray, "nx ny nz"],
    distance: Float[np.ndarray, "nx ny nz"],
    masking: Masking,
    rng: np.random.Generator,
) -> Float[np.ndarray, "nx ny nz"]:
    """The masked density; `distance` in Å."""
    if masking.kind == "filled":
        density = fill_in(density, distance <= masking.radius, masking.kept, rng)
    if masking.kind != "none":
        density = density * keep(distance, masking.radius, masking.edge)
    return np.maximum(density, 0) if masking.clip else density


def keep(distance: Float[np.ndarray, "nx ny nz"], radius: float, edge: float) -> Float[np.ndarray, "nx ny nz"]:
    """1 up to `radius` Å, 0 beyond `radius` + `edge`, a half cosine between; without an edge a plain zone."""
    if edge == 0:
        return (distance <= radius).astype(np.float32)
    beyond = np.clip((distance - radius) / np.float32(edge), 0, 1)
    return 0.5 + 0.5 * np.cos(np.float32(np.pi) * beyond)


def fill_in(
    density: Float[np.ndarray, "nx ny nz"], zone: np.ndarray, kept: float, rng: np.random.Generator
) -> Float[np.ndarray, "nx ny nz"]:
    """Positive density, known at a random share `kept` of `zone` and smoothly interpolated elsewhere.

    Weighted means of known voxels (σ 0.9 Å), then of what they miss (σ 0.6 Å).
    """
    known = (zone & (rng.random(density.shape, np.float32) < kept)).astype(np.float32)
    positive = np.maximum(density, 0)

    def mean(values: np.ndarray, width: float) -> np.ndarray:
        weight = gaussian_filter(known, width, truncate=3.0)
        return gaussian_filter(values * known, width, truncate=3.0) / np.maximum(weight, 1e-4)

    smooth = mean(positive, 0.9)
    smooth += mean(positive - smooth, 0.6)
    return np.where(known > 0, positive, np.maximum(smooth, 0))


def distance_to_atoms(
    positions: Float[np.ndarray, "n 3"], shape: tuple[int, int, int], cutoff: float
) -> Float[np.ndarray, "nx ny nz"]:
    """Distance (voxels) of every voxel from the nearest atom, at most `cutoff`."""
    squared = np.full(shape, cutoff**2, np.float32)
    _lower_to_nearest(np.ascontiguousarray(positions, np.float32), np.float32(cutoff), squared)
    return np.sqrt(squared)


@numba.njit(cache=True, nogil=True, fastmath=True)
@no_type_check
def _lower_to_nearest(positions, cutoff, squared):
    nx, ny, nz = squared.shape
    for p in range(len(positions)):
        x, y, z = positions[p, 0], positions[p, 1], positions[p, 2]
        for i in range(max(0, int(np.ceil(x - cutoff))), min(nx - 1, int(np.floor(x + cutoff))) + 1):
            in_x = (np.float32(i) - x) ** 2
            half = np.sqrt(max(cutoff * cutoff - in_x, np.float32(0)))
            for j in range(max(0, int(np.ceil(y - half))), min(ny - 1, int(np.floor(y + half))) + 1):
                in_xy = in_x + (np.float32(j) - y) ** 2
                reach = np.sqrt(max(cutoff * cutoff - in_xy, np.float32(0)))
                row = squared[i, j]
                for k in range(max(0, int(np.ceil(z - reach))), min(nz - 1, int(np.floor(z + reach))) + 1):
                    row[k] = min(row[k], in_xy + (np.float32(k) - z) ** 2)
