"""How near atoms that are not bonded come to each other in good structures, by kind.

    python benchmarks/contact_distances.py

Of the first 120 chains of the training split that are X-ray structures at 1.6 Å or better, pairs of atoms with B
factors below 30 Å² count that have a side-chain atom and are two residues or more apart; cysteine, which may be bonded,
is left out. Printed is, for each pair of kinds of `allatom/contacts.py`, the distance from which on they are a third as
dense as at 4.2 to 5 Å, in steps of 0.1 Å, beside the table there.
"""

import numpy as np
from scipy.spatial import KDTree

from deepmm_jax.allatom.contacts import KINDS, NEAREST, NOTHING, atom_kind
from deepmm_jax.allatom.values import ATOMS, CB
from deepmm_jax.benchmark.targets import MANIFEST, manifest_rows
from deepmm_jax.files import data_directory
from deepmm_jax.structure.read import read_chains


CHAINS, RESOLUTION, B_FACTOR = 120, 1.6, 30.0
EDGES = np.arange(2.0, 5.01, 0.1)
BULK, DENSE = 4.2, 1 / 3


def main() -> None:
    data = data_directory() / "structures"
    rows = [r for r in manifest_rows(data / MANIFEST) if r["split"] == "train" and r["method"].startswith("X-RAY")]
    names = [row["name"] for row in rows if float(row["resolution"]) <= RESOLUTION][:CHAINS]
    counts = np.zeros((NOTHING, NOTHING, len(EDGES) - 1))
    for name in names:
        (chain,) = read_chains(data / f"{name}.pdb.gz")
        atoms = [
            (k, atom_kind(chain.sequence[residue], atom), ATOMS[chain.sequence[residue]].index(atom) > CB)
            for k, (atom, residue) in enumerate(zip(chain.atom_names, chain.residue_of_atom, strict=True))
            if atom in ATOMS[chain.sequence[residue]] and chain.b_factors[k] < B_FACTOR
        ]
        if not atoms:
            continue
        place, kind, side = (np.array(column) for column in zip(*atoms, strict=True))
        positions, residue = chain.positions[place], chain.residue_of_atom[place]
        one, other = KDTree(positions).query_pairs(EDGES[-1], output_type="ndarray").T
        counted = (np.abs(residue[one] - residue[other]) >= 2) & (side[one] | side[other])
        counted &= np.maximum(kind[one], kind[other]) != KINDS.index("G")
        one, other = one[counted], other[counted]
        apart = np.linalg.norm(positions[one] - positions[other], axis=1)
        np.add.at(counts, (kind[one], kind[other], np.clip(np.digitize(apart, EDGES) - 1, 0, len(EDGES) - 2)), 1)
    middle = (EDGES[1:] + EDGES[:-1]) / 2
    for i, first in enumerate(KINDS[:-1]):
        for j, second in enumerate(KINDS[i:-1], start=i):
            dense = (counts[i, j] + (counts[j, i] if i != j else 0)) / middle**2
            nearest = middle[np.argmax(dense > DENSE * dense[middle > BULK].mean())]
            print(f"{first}{second}: {nearest:.2f} Å, in the table {NEAREST[i, j]:.2f} Å")


if __name__ == "__main__":
    main()
