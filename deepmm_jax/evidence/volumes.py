"""Evidence: what the map says of each voxel, and of each point on the main chain."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from deepmm_jax.constants import CLASS_OF_AMINO_ACID, UNKNOWN_CLASS


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Volumes on one 1 Å grid, all `[x, y, z]`; xyz = origin + ijk · step.

    `main_chain` and `calpha` are probabilities (equation 1). The others are None where the network
    has no such head: `atoms` (N, Cα, C, O, Cβ probabilities), `offset` (vector to the nearest Cα, Å),
    `directions` (unit vectors to the previous and the next Cα), `amino_acids` (20 probabilities),
    `secondary_structure` (P(Helix, Sheet, Coil)). `density` is the map itself, for
    types that are read from boxes of it and for the confidence.
    """

    main_chain: Float[np.ndarray, "nx ny nz"]
    calpha: Float[np.ndarray, "nx ny nz"]
    step: Float[np.ndarray, "3"]
    origin: Float[np.ndarray, "3"]
    atoms: Float[np.ndarray, "nx ny nz 5"] | None = None
    offset: Float[np.ndarray, "nx ny nz 3"] | None = None
    directions: Float[np.ndarray, "nx ny nz 6"] | None = None
    amino_acids: Float[np.ndarray, "nx ny nz 20"] | None = None
    secondary_structure: Float[np.ndarray, "nx ny nz 3"] | None = None
    density: Float[np.ndarray, "nx ny nz"] | None = None


@dataclass(frozen=True, kw_only=True)
class TypedPoints:
    """Points on the main chain with what the evidence says there (all in the same order).

    `positions` (n, 3) in Å, `calpha` (n,) Cα probability in [0, 1], `amino_acids` (n, 20) and
    `secondary_structure` (n, 3) probabilities (rows sum to one).
    """

    positions: Float[np.ndarray, "n 3"]
    calpha: Float[np.ndarray, "n"]
    amino_acids: Float[np.ndarray, "n 20"]
    secondary_structure: Float[np.ndarray, "n 3"]

    @property
    def classes(self) -> np.ndarray:
        """Most probable residue class 0–3 (section 2.2): amino-acid probabilities summed by class, shape (n,)."""
        one_hot = np.eye(UNKNOWN_CLASS, dtype=np.float32)[CLASS_OF_AMINO_ACID[:20]]
        return (self.amino_acids @ one_hot).argmax(axis=1).astype(np.int32)

    @property
    def states(self) -> np.ndarray:
        """Most probable secondary structure 0–2, shape (n,)."""
        return self.secondary_structure.argmax(axis=1).astype(np.int32)
