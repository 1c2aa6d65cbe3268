"""What the sequence says of each residue: letter, class, secondary structure."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from deepmm_jax.constants import AMINO_ACIDS, CLASS_OF_AMINO_ACID, UNKNOWN_AMINO_ACID


@dataclass(frozen=True, kw_only=True)
class SequenceProfile:
    """A sequence with its predicted secondary structure.

    `secondary_structure` holds P(Helix, Sheet, Coil) per residue, shape (n, 3);
    rows of zeros mean that nothing is known (`--secondary-structure none`).
    """

    name: str
    letters: str
    secondary_structure: Float[np.ndarray, "n 3"]

    def __len__(self) -> int:
        return len(self.letters)

    @property
    def amino_acids(self) -> Int[np.ndarray, "n"]:
        """Index into `AMINO_ACIDS`, 20 for X, shape (n,)."""
        return encode_letters(self.letters)

    @property
    def classes(self) -> Int[np.ndarray, "n"]:
        """Residue class 0–3 of section 2.2, 4 for unknown, shape (n,)."""
        return CLASS_OF_AMINO_ACID[self.amino_acids]

    @property
    def states(self) -> Int[np.ndarray, "n"]:
        """Most probable state 0–2 (Helix, Sheet, Coil), 3 where nothing is known, shape (n,)."""
        known = self.secondary_structure.sum(axis=1) > 0
        return np.where(known, self.secondary_structure.argmax(axis=1), 3).astype(np.int32)


def encode_letters(letters: str) -> Int[np.ndarray, "n"]:
    """One-letter codes as indices into `AMINO_ACIDS`; anything else is 20, shape (n,)."""
    index = {letter: i for i, letter in enumerate(AMINO_ACIDS)}
    return np.array([index.get(letter, UNKNOWN_AMINO_ACID) for letter in letters], dtype=np.int32)
