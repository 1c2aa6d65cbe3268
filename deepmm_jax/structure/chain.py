"""A protein chain as arrays."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from string import ascii_uppercase

import numpy as np
from jaxtyping import Float, Int

from deepmm_jax.constants import ATOMIC_NUMBER


BACKBONE = ("N", "CA", "C", "O")


@dataclass(frozen=True, kw_only=True)
class Chain:
    """One protein chain; atoms are grouped by residue, residues in the order of `sequence`.

    Positions are in Å, B factors in Å². `residue_of_atom` counts from 0 along `sequence`;
    `numbers` holds the residue numbers of the file (or the position in a FASTA), which are labels only.
    Where the whole sequence is known, `full_sequence` holds it, unobserved residues too, and `register` the index
    of every residue in it; both are None elsewhere.
    """

    name: str
    sequence: str
    numbers: Int[np.ndarray, "n_residues"]
    positions: Float[np.ndarray, "n_atoms 3"]
    atom_names: tuple[str, ...]
    elements: tuple[str, ...]
    residue_of_atom: Int[np.ndarray, "n_atoms"]
    b_factors: Float[np.ndarray, "n_atoms"]
    full_sequence: str | None = None
    register: Int[np.ndarray, "n_residues"] | None = None

    def __len__(self) -> int:
        return len(self.sequence)

    def atom(self, name: str) -> Float[np.ndarray, "n_residues 3"]:
        """Position of the named atom of every residue, NaN where it is missing."""
        out = np.full((len(self), 3), np.nan, np.float32)
        rows = [a for a, atom_name in enumerate(self.atom_names) if atom_name == name]
        out[self.residue_of_atom[rows]] = self.positions[rows]
        return out

    @property
    def insertion_codes(self) -> tuple[str, ...]:
        """What tells residues of one number apart in a file: nothing for the first, then A, B … Z, then nothing."""
        seen: Counter[int] = Counter()
        codes = []
        for number in self.numbers.tolist():
            codes.append(("", *ascii_uppercase)[seen[number] % 27])
            seen[number] += 1
        return tuple(codes)

    @property
    def atomic_numbers(self) -> Float[np.ndarray, "n_atoms"]:
        """Z of every atom; elements that proteins lack count as carbon."""
        return np.array([ATOMIC_NUMBER.get(element, 6) for element in self.elements], np.float32)

    @cached_property
    def calpha(self) -> Float[np.ndarray, "n_residues 3"]:
        """Cα position of every residue, NaN where it is missing."""
        return self.atom("CA")
