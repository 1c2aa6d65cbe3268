"""Models that lack atoms: Cα traces, and chains of a file as all-atom models and back."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.allatom.values import ATOMS, CB, MOST_ATOMS, AllAtomModel
from deepmm_jax.structure.chain import BACKBONE, Chain


CA = BACKBONE.index("CA")
GAP = "X"
"""Letter of the unbuilt residue that stands for those missing between two of a chain."""


def calpha_only(models: CalphaModels, letters: str) -> list[AllAtomModel]:
    """Cα models as models whose residues have no other atom."""
    out = []
    for calpha, built in zip(models.positions, models.built, strict=True):
        positions = np.full((len(letters), MOST_ATOMS, 3), np.nan, np.float32)
        positions[built, CA] = calpha[built]
        out.append(AllAtomModel(letters=letters, positions=positions, mask=np.isfinite(positions[..., 0])))
    return out


def complete_residues(model: AllAtomModel) -> Bool[np.ndarray, "n"]:
    """Which residues have every heavy atom; an unknown one is an alanine."""
    wanted = np.array([len(ATOMS[letter]) for letter in model.letters])
    return (model.mask.sum(axis=1) - wanted) == 0


def given_atoms(chain: Chain) -> AllAtomModel:
    """A chain as it was read, with one unknown residue that is not built wherever some are missing.

    Atoms that the 20 amino acids do not have, and the terminal OXT, are left out.
    """
    rows = _rows(chain)
    letters = np.full(rows[-1] + 1, GAP)
    letters[rows] = list(chain.sequence)
    positions = np.full((len(letters), MOST_ATOMS, 3), np.nan, np.float32)
    for name, residue, xyz in zip(chain.atom_names, chain.residue_of_atom.tolist(), chain.positions, strict=True):
        known = ATOMS[chain.sequence[residue]]
        if name in known:
            positions[rows[residue], known.index(name)] = xyz
    return AllAtomModel(letters="".join(letters), positions=positions, mask=np.isfinite(positions[..., 0]))


def as_given(model: AllAtomModel, chain: Chain) -> Chain:
    """The model of `given_atoms(chain)` as a chain, with the name, numbers, sequence and Cα B factors of the given."""
    b_factors = np.full(len(chain), np.nan, np.float32)
    calpha = [a for a, name in enumerate(chain.atom_names) if name == "CA"]
    b_factors[chain.residue_of_atom[calpha]] = chain.b_factors[calpha]
    out = model.chain(chain.name)
    return replace(
        out,
        numbers=chain.numbers,
        b_factors=b_factors[out.residue_of_atom],
        full_sequence=chain.full_sequence,
        register=chain.register,
    )


def lacks_backbone(model: AllAtomModel) -> Bool[np.ndarray, "n"]:
    """Which residues are there, but without N, Cα, C or O."""
    return np.asarray(model.mask.any(axis=1) & ~model.mask[:, : len(BACKBONE)].all(axis=1))


def lacks_atoms(model: AllAtomModel) -> Bool[np.ndarray, "n"]:
    """Which residues are there, but without some heavy atom."""
    return model.mask.any(axis=1) & ~complete_residues(model)


def has_side_chains(model: AllAtomModel) -> bool:
    """Whether any residue has an atom beyond Cβ."""
    return bool(model.mask[:, CB + 1 :].any())


def with_residues(model: AllAtomModel, placed: AllAtomModel, residues: Bool[np.ndarray, "n"]) -> AllAtomModel:
    """The model, but these residues as they are `placed`."""
    return AllAtomModel(
        letters=model.letters,
        positions=np.where(residues[:, None, None], placed.positions, model.positions),
        mask=np.where(residues[:, None], placed.mask, model.mask),
    )


def _rows(chain: Chain) -> np.ndarray:
    """Place of every residue in the model: a step of 2 over residues that the file lacks."""
    labels = chain.numbers if chain.register is None else chain.register
    steps = np.where(np.isin(np.diff(labels), (0, 1)), 1, 2)  # residues with insertion codes share a number
    return np.concatenate([[0], np.cumsum(steps)])
