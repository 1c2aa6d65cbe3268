"""Secondary structure of a chain from its backbone: Helix, Sheet or Coil (section 2.1; DSSP, Kabsch & Sander 1983).

The paper labels its training residues with STRIDE, which is not to be had; DSSP agrees with it on about 95 % of
residues in three states. Helix = H, G, I; Sheet = E, B; Coil = the rest.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial.distance import cdist

from deepmm_jax.structure.chain import Chain


COUPLING = 27.9
"""q1 q2 f = 0.42 e · 0.20 e · 332 kcal Å / (mol e²)."""
BOND_ENERGY = -0.5
"""A hydrogen bond has an electrostatic energy below this, kcal/mol."""
LOWEST_ENERGY = -9.9
"""Energy of a bond between overlapping atoms (closer than 0.5 Å)."""
CALPHA_CUTOFF = 9.0
"""Residues with Cα further apart than this are not bonded, Å."""
PEPTIDE_LENGTH = 2.5
"""The chain is broken where C and the next N are further apart than this, Å."""


def assign_secondary_structure(chain: Chain) -> str:
    """Secondary structure of every residue of a chain as a string of H, E and C.

    Residues that lack N, CA, C or O take part in no hydrogen bond and break the chain; a Cα-only chain is all C.
    """
    backbone = np.stack([chain.atom(name) for name in ("N", "CA", "C", "O")], axis=1)
    return label_backbone(backbone.astype(np.float64), np.array([letter == "P" for letter in chain.sequence], bool))


def label_backbone(backbone: Float[np.ndarray, "n 4 3"], proline: Bool[np.ndarray, "n"]) -> str:
    """Secondary structure (H, E, C) from the positions of N, CA, C and O in Å, NaN where unknown.

    Precedence as in DSSP: α-helix, then strands, then 3₁₀- and π-helices, which only take residues still free
    (a π-helix may also replace an α-helix, which is H either way).
    """
    n = len(backbone)
    segment = _segments(backbone)
    bond = hydrogen_bonds(backbone, proline, segment)
    alpha = _helix(bond, segment, 4, np.ones(n, bool))
    strand = _strands(bond, segment) & ~alpha
    free = ~strand & ~alpha
    three_ten = _helix(bond, segment, 3, free)
    helix = alpha | three_ten | _helix(bond, segment, 5, (free | alpha) & ~three_ten)
    return "".join(np.where(helix, "H", np.where(strand, "E", "C")))


def hydrogen_bonds(
    backbone: Float[np.ndarray, "n 4 3"], proline: Bool[np.ndarray, "n"], segment: Int[np.ndarray, "n"]
) -> Bool[np.ndarray, "n n"]:
    """`bond[d, a]`: the amide of residue d is bonded to the carbonyl of residue a.

    The amide hydrogen is placed 1 Å from N, opposite to the carbonyl before it. Of every donor only the two
    bonds of lowest energy count. Proline and the first residue of a segment donate none.
    """
    nitrogen, calpha, carbon, oxygen = np.moveaxis(backbone, 1, 0)
    n = len(backbone)
    linked = np.zeros(n, bool)
    linked[1:] = segment[1:] == segment[:-1]
    carbonyl = np.roll(carbon - oxygen, 1, axis=0)
    hydrogen = nitrogen + carbonyl / np.maximum(np.linalg.norm(carbonyl, axis=1, keepdims=True), 1e-6)
    donors = np.flatnonzero(linked & ~proline & np.isfinite(hydrogen).all(1))
    acceptors = np.flatnonzero(np.isfinite(backbone.sum(axis=(1, 2))))
    bond = np.zeros((n, n), bool)
    if len(donors) == 0:
        return bond

    def distance(donor_atom: np.ndarray, acceptor_atom: np.ndarray) -> np.ndarray:
        return cdist(donor_atom[donors], acceptor_atom[acceptors])

    separations = np.stack(
        [distance(nitrogen, oxygen), distance(hydrogen, carbon), distance(hydrogen, oxygen), distance(nitrogen, carbon)]
    )
    signs = np.array([1.0, 1.0, -1.0, -1.0])
    energy = COUPLING * np.tensordot(signs, 1.0 / np.maximum(separations, 1e-6), axes=1)
    energy = np.where((separations < 0.5).any(0), LOWEST_ENERGY, np.maximum(energy, LOWEST_ENERGY))
    # A residue is bonded neither to itself nor to the carbonyl of its own peptide bond.
    same_peptide = np.isin(donors[:, None] - acceptors[None], (0, 1))
    near = (distance(calpha, calpha) < CALPHA_CUTOFF) & ~same_peptide
    energy = np.where(near, energy, 0.0)
    second = np.sort(energy, axis=1)[:, :2][:, -1:]
    bond[np.ix_(donors, acceptors)] = (energy < BOND_ENERGY) & (energy <= second)
    return bond


def _segments(backbone: Float[np.ndarray, "n 4 3"]) -> Int[np.ndarray, "n"]:
    """Number of the unbroken piece that each residue belongs to."""
    peptide = np.linalg.norm(backbone[1:, 0] - backbone[:-1, 2], axis=1)
    complete = np.isfinite(backbone.sum(axis=(1, 2)))
    broken = ~(peptide <= PEPTIDE_LENGTH) | ~complete[1:] | ~complete[:-1]
    return np.concatenate([[0], np.cumsum(broken)])[: len(backbone)]


def _helix(
    bond: Bool[np.ndarray, "n n"], segment: Int[np.ndarray, "n"], turn: int, free: Bool[np.ndarray, "n"]
) -> Bool[np.ndarray, "n"]:
    """Residues in helices made of two successive turns of the given size, written in the order of the chain.

    A piece of helix is only written where all its residues are `free`.
    """
    helix = np.zeros(len(bond), bool)
    starts = np.arange(max(len(bond) - turn, 0))
    turns = bond[starts + turn, starts] & (segment[starts + turn] == segment[starts])
    for i in np.flatnonzero(turns[1:] & turns[:-1]) + 1:
        if free[i : i + turn].all():
            helix[i : i + turn] = True
    return helix


def _strands(bond: Bool[np.ndarray, "n n"], segment: Int[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
    """Residues in β bridges and ladders, the residues inside β bulges too."""
    n = len(bond)
    strand = np.zeros(n, bool)
    inner = np.arange(1, n - 1)  # residues with a neighbour on either side

    def amide_to_carbonyl(a: int, b: int) -> np.ndarray:
        return bond[np.ix_(inner + a, inner + b)]

    into, across, around = amide_to_carbonyl(1, 0), amide_to_carbonyl(0, 0), amide_to_carbonyl(1, -1)
    one_way = into & amide_to_carbonyl(0, -1).T
    parallel = one_way | one_way.T
    antiparallel = (across & across.T) | (around & around.T)
    unbroken = np.equal(segment[inner - 1], segment[inner + 1])
    apart = inner[None] - inner[:, None] >= 3
    for direction, bridges in ((1, parallel), (-1, antiparallel)):
        i, j = np.nonzero(bridges & apart & unbroken[:, None] & unbroken[None])
        i, j = inner[i], inner[j]
        strand[i] = strand[j] = True
        # A bulge joins two bridges of a kind across at most one extra residue on one side and four on the other.
        step_i, step_j = i[None] - i[:, None], direction * (j[None] - j[:, None])
        narrow, wide = np.minimum(step_i, step_j), np.maximum(step_i, step_j)
        one_piece = (segment[i][None] == segment[i][:, None]) & (segment[j][None] == segment[j][:, None])
        for a, b in np.argwhere((narrow >= 1) & (narrow <= 2) & (wide <= 5) & one_piece):
            strand[i[a] : i[b] + 1] = True
            strand[min(j[a], j[b]) : max(j[a], j[b]) + 1] = True
    return strand
