"""Tables the whole program shares, each with its source: residue classes, scoring matrices, chemistry."""

import numpy as np


AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
"""One-letter codes in the order of every amino-acid axis; index 20 means unknown (X)."""

UNKNOWN_AMINO_ACID = 20

ONE_TO_THREE = {
    "A": "ALA", "C": "CYS", "D": "ASP", "E": "GLU", "F": "PHE", "G": "GLY", "H": "HIS",
    "I": "ILE", "K": "LYS", "L": "LEU", "M": "MET", "N": "ASN", "P": "PRO", "Q": "GLN",
    "R": "ARG", "S": "SER", "T": "THR", "V": "VAL", "W": "TRP", "Y": "TYR", "X": "UNK",
}  # fmt: skip
THREE_TO_ONE = {three: one for one, three in ONE_TO_THREE.items()}

SECONDARY_STRUCTURES = "HEC"
"""Helix, Sheet, Coil: the order of every secondary-structure axis; index 3 means unknown."""

UNKNOWN_SECONDARY_STRUCTURE = 3

RESIDUE_CLASSES = ("GASCVTIP", "LDNEQM", "KR", "HFYW")
"""The four classes by size and shape of the side-chain density (section 2.2, figure 2d)."""

UNKNOWN_CLASS = 4

CLASS_OF_AMINO_ACID = np.array(
    [next(c for c, members in enumerate(RESIDUE_CLASSES) if a in members) for a in AMINO_ACIDS] + [UNKNOWN_CLASS],
    dtype=np.int32,
)
"""Residue class (0–3, 4 unknown) of each amino-acid index, shape (21,)."""

MATCH_AMINO_ACID = np.array(
    [
        [0.7, -0.4, -0.8, -1.4, -0.1],
        [-0.4, 0.6, -0.5, -1.2, -0.1],
        [-0.8, -0.5, 1.1, -1.2, -0.1],
        [-1.4, -1.2, -1.2, 1.2, -0.1],
        [-0.1, -0.1, -0.1, -0.1, -0.1],
    ],
    dtype=np.float32,
)
"""M_AA of equation 2 (figure 2b), rows and columns by residue class, the last one unknown."""

MATCH_SECONDARY_STRUCTURE = np.array(
    [
        [1.5, -1.0, -0.5, -0.1],
        [-1.0, 1.0, -0.5, -0.1],
        [-0.5, -0.5, 0.5, -0.1],
        [-0.1, -0.1, -0.1, -0.1],
    ],
    dtype=np.float32,
)
"""M_SS of equation 2 (figure 2b), rows and columns Helix, Sheet, Coil, unknown."""

CALPHA_DISTANCES = (3.1, 3.2, 3.3, 3.4, 3.5, 3.6, 3.7, 3.8)
"""The eight standard Cα–Cα distances d_std in Å (section 2.5)."""

ATOMIC_NUMBER = {"H": 1, "C": 6, "N": 7, "O": 8, "P": 15, "S": 16, "SE": 34}
