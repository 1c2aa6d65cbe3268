"""An all-atom model of one chain: every heavy atom at a fixed place in an array."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from deepmm_jax.constants import AMINO_ACIDS
from deepmm_jax.structure.chain import BACKBONE, Chain


_SIDE_CHAINS = {
    "A": "", "C": "SG", "D": "CG OD1 OD2", "E": "CG CD OE1 OE2", "F": "CG CD1 CD2 CE1 CE2 CZ",
    "G": "", "H": "CG ND1 CD2 CE1 NE2", "I": "CG1 CG2 CD1", "K": "CG CD CE NZ", "L": "CG CD1 CD2",
    "M": "CG SD CE", "N": "CG OD1 ND2", "P": "CG CD", "Q": "CG CD OE1 NE2", "R": "CG CD NE CZ NH1 NH2",
    "S": "OG", "T": "OG1 CG2", "V": "CG1 CG2", "W": "CG CD1 CD2 NE1 CE2 CE3 CZ2 CZ3 CH2",
    "Y": "CG CD1 CD2 CE1 CE2 CZ OH", "X": "",
}  # fmt: skip
ATOMS = {
    letter: (*BACKBONE, *(("CB",) if letter != "G" else ()), *_SIDE_CHAINS[letter].split())
    for letter in (*AMINO_ACIDS, "X")
}
"""Heavy atoms of each residue in the order of the Chemical Component Dictionary, the terminal OXT left out; an unknown
residue is an alanine."""
MOST_ATOMS = max(map(len, ATOMS.values()))
"""Places for atoms in every residue: those of tryptophan."""
CB = 4
"""Place of Cβ in every residue but glycine."""


@dataclass(frozen=True, kw_only=True)
class AllAtomModel:
    """Heavy atoms of one chain: `positions` (n, 14, 3) in Å in the order of `ATOMS`; `mask` says which are built.

    `letters` has one letter per residue. Positions of atoms that are not built are NaN.
    """

    letters: str
    positions: Float[np.ndarray, "n 14 3"]
    mask: Bool[np.ndarray, "n 14"]

    def __len__(self) -> int:
        return len(self.letters)

    def chain(self, name: str, confidence: Float[np.ndarray, "n"] | None = None) -> Chain:
        """The residues that have an atom, as a chain, numbered by their place in the sequence from 1.

        B factors are confidence × 100, as `structure.write.calpha_chain` has it.
        """
        residue, place = np.nonzero(self.mask)
        built, residue_of_atom = np.unique(residue, return_inverse=True)
        names = tuple(ATOMS[self.letters[r]][a] for r, a in zip(residue, place, strict=True))
        b_factors = np.zeros(len(residue)) if confidence is None else 100.0 * confidence[residue]
        return Chain(
            name=name,
            sequence="".join(self.letters[r] for r in built),
            numbers=(built + 1).astype(np.int32),
            positions=self.positions[residue, place].astype(np.float32),
            atom_names=names,
            elements=tuple(atom[0] for atom in names),
            residue_of_atom=residue_of_atom.astype(np.int32),
            b_factors=b_factors.astype(np.float32),
            full_sequence=self.letters,
            register=built.astype(np.int32),
        )
