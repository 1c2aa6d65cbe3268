"""Stretches of a chain without a break, and chains cut down to one."""

from dataclasses import replace

import numpy as np

from deepmm_jax.structure.chain import Chain


NEIGHBOUR_DISTANCES = (2.5, 4.5)
PEPTIDE_LENGTH = 2.0
"""Å; residues in a row are neighbours if their Cα lie within the first, and C and N below the second."""


def longest_piece(chain: Chain) -> Chain:
    """The longest stretch of a chain without a break, the first on a tie; a residue without C or N ends one."""
    step = np.linalg.norm(np.diff(chain.calpha, axis=0), axis=1)
    bond = np.linalg.norm(chain.atom("N")[1:] - chain.atom("C")[:-1], axis=1)
    joined = (step > NEIGHBOUR_DISTANCES[0]) & (step < NEIGHBOUR_DISTANCES[1]) & (bond < PEPTIDE_LENGTH)
    ends = np.concatenate([[0], np.flatnonzero(~joined) + 1, [len(chain)]])
    longest = int(np.diff(ends).argmax())
    return cut_out(chain, int(ends[longest]), int(ends[longest + 1]))


def cut_out(chain: Chain, first: int, last: int) -> Chain:
    """Residues `first` to `last` of a chain, counted from 0, the last left out."""
    if (first, last) == (0, len(chain)):
        return chain
    kept = np.flatnonzero((chain.residue_of_atom >= first) & (chain.residue_of_atom < last))
    return replace(
        chain,
        sequence=chain.sequence[first:last],
        numbers=chain.numbers[first:last],
        positions=chain.positions[kept],
        atom_names=tuple(chain.atom_names[a] for a in kept),
        elements=tuple(chain.elements[a] for a in kept),
        residue_of_atom=chain.residue_of_atom[kept] - first,
        b_factors=chain.b_factors[kept],
        register=None if chain.register is None else chain.register[first:last],
    )
