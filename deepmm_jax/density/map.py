"""A density map: values on a regular grid with its place in space."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, kw_only=True)
class DensityMap:
    """A map as `data[x, y, z]`; the voxel (i, j, k) lies at xyz = origin + step · ijk, in Å.

    `data` has shape (nx, ny, nz), `step` and `origin` are 3-vectors in Å.
    `placement` says which header rule gave the origin.
    """

    data: Float[np.ndarray, "nx ny nz"]
    step: Float[np.ndarray, "3"]
    origin: Float[np.ndarray, "3"]
    placement: str = "given"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y and z."""
        nx, ny, nz = self.data.shape
        return nx, ny, nz

    def with_data(self, data: np.ndarray) -> "DensityMap":
        """The same grid with other values."""
        return replace(self, data=data)

    def to_grid(self, xyz: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        """Fractional grid indices of positions in Å."""
        return (xyz - self.origin) / self.step

    def to_xyz(self, ijk: np.ndarray) -> Float[np.ndarray, "*n 3"]:
        """Positions in Å of (fractional) grid indices."""
        return self.origin + np.asarray(ijk) * self.step
