"""Stand-ins for the stages that place atoms: quick, because they know where the atoms of a chain are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from deepmm_jax import pipeline
from deepmm_jax.allatom.completion import given_atoms
from deepmm_jax.allatom.values import CB, AllAtomModel
from deepmm_jax.structure.chain import Chain


def use_known_atoms(patch: pytest.MonkeyPatch, chain: Chain) -> None:
    """Let the pipeline place the atoms of parts of a chain where they are; the minimisation moves all by 0.01 Å."""
    whole = given_atoms(chain)

    def known(letters: str, residues: np.ndarray, atoms: int) -> AllAtomModel:
        start = chain.sequence.index(letters)
        part = slice(start, start + len(letters))
        mask = whole.mask[part] & residues[:, None] & (np.arange(whole.mask.shape[1]) < atoms)
        positions = np.where(mask[..., None], whole.positions[part], np.float32(np.nan))
        return AllAtomModel(letters=letters, positions=positions, mask=mask)

    def place_backbone(calpha: np.ndarray, built: np.ndarray, letters: str, *_: Any) -> list[AllAtomModel]:
        return [known(letters, residues, CB + 1) for residues in built]

    def place_side_chains(models: Sequence[AllAtomModel], density: Any) -> list[AllAtomModel]:
        return [known(model.letters, model.mask[:, 0], model.mask.shape[1]) for model in models]

    def minimise(chains: Sequence[AllAtomModel], *_: Any) -> list[AllAtomModel]:
        shift = np.float32(0.01)
        return [AllAtomModel(letters=c.letters, positions=c.positions + shift, mask=c.mask) for c in chains]

    for function in (place_backbone, place_side_chains, minimise):
        patch.setattr(pipeline, function.__name__, function)
