"""The values that tracing hands on: local dense points and main-chain paths."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True, kw_only=True)
class LocalDensePoints:
    """Local dense points (LDPs, section 2.3): `positions` (n, 3) in Å and mean-shift `density` (n,).

    `voxels` (v, 3) are the grid indices of the seeds and `member` (v,) the point each seed belongs to
    (-1 where its point was filtered out): two points are joined by an edge if their voxels touch.
    """

    positions: Float[np.ndarray, "n 3"]
    density: Float[np.ndarray, "n"]
    voxels: Int[np.ndarray, "v 3"]
    member: Int[np.ndarray, "v"]


@dataclass(frozen=True, kw_only=True)
class MainChainPaths:
    """Longest paths of the refined trees: arrays of indices into the local dense points, in order along the chain."""

    points: LocalDensePoints
    paths: tuple[Int[np.ndarray, "_"], ...]
