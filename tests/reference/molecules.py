"""Molecules made up for tests of the simulator."""

import numpy as np

from deepmm_jax.density.experimental.molecule import Molecule


def random_coil(n_residues: int, rng: np.random.Generator, centre: float = 24.0) -> Molecule:
    """A compact walk of Cα atoms with six atoms a residue: N, CA, C, O and two of a side chain, the last one acidic."""
    calpha = np.zeros((n_residues, 3))
    for i in range(1, n_residues):
        step = rng.normal(size=3) - 0.08 * calpha[i - 1]
        calpha[i] = calpha[i - 1] + 3.8 * step / np.linalg.norm(step)
    calpha += centre - calpha.mean(axis=0)
    residue = np.repeat(np.arange(n_residues), 6)
    offsets = rng.normal(scale=1.0, size=(n_residues, 6, 3))
    offsets[:, 1] = 0
    return Molecule(
        positions=(calpha[:, None] + offsets).reshape(-1, 3).astype(np.float32),
        atomic_numbers=np.tile([7, 6, 6, 8, 6, 8], n_residues),
        depth=np.tile(np.array([0, 0, 0, 1, 1, 2], np.float32), n_residues),
        acidic=np.tile([False] * 5 + [True], n_residues),
        residue_of_atom=residue.astype(np.int32),
        calpha=calpha.astype(np.float32),
    )


def single_atoms(positions: np.ndarray, atomic_numbers: np.ndarray) -> Molecule:
    """Atoms without bonds, each a residue of its own."""
    n = len(positions)
    return Molecule(
        positions=positions.astype(np.float32),
        atomic_numbers=atomic_numbers,
        depth=np.zeros(n, np.float32),
        acidic=np.zeros(n, bool),
        residue_of_atom=np.arange(n, dtype=np.int32),
        calpha=positions.astype(np.float32),
    )
