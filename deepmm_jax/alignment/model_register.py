"""How sure the register of a Cα model is: the sequence aligned softly to the Cα of the model itself.

The paper has no such measure. Where residues fit the places beside their own as well, the posterior is wide.
"""

from collections.abc import Sequence

import jax
import numpy as np

from deepmm_jax.alignment.match import match_scores
from deepmm_jax.alignment.soft_register import parameters_of, register_alignment, register_problem
from deepmm_jax.alignment.values import CalphaModels, ModelRegister
from deepmm_jax.config import AlignmentConfig
from deepmm_jax.evidence.volumes import TypedPoints
from deepmm_jax.sequence.profile import SequenceProfile


TYPES = AlignmentConfig(match="log-odds", weight_amino_acid=1.0, weight_secondary_structure=0.0)
STANDARD_DISTANCE = 3.8
"""d_std between successive places of a path that holds Cα alone, Å."""
SIZES = (64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
"""Residues are padded to one of these, so that few programs are compiled; above, to a multiple of the last."""
BAND = 8
"""Places between two successive residues at most: registers slip by a few."""
ALIGN = jax.jit(register_alignment, static_argnames=("band",))


def model_registers(
    profile: SequenceProfile, models: CalphaModels, points: Sequence[TypedPoints], config: AlignmentConfig
) -> ModelRegister:
    """The register of every model; `points` are the places of the built residues of each, in the order of the chain."""
    if config.end_gap is None or config.skip_open is None:  # full length: a register must be free to slip all the same
        config = AlignmentConfig(match=config.match)
    parameters = parameters_of(config, STANDARD_DISTANCE)
    n = len(profile)
    size = next((size for size in SIZES if size >= n), -(-n // SIZES[-1]) * SIZES[-1])
    found = np.zeros((3, *models.built.shape), np.float32)
    for k, (built, typed) in enumerate(zip(models.built, points, strict=True)):
        own = np.where(built[:, None], models.positions[k], np.inf)
        problem = register_problem(profile, typed, own, config.match, (size, size))
        soft = ALIGN(parameters, problem, band=BAND)
        posterior = np.where(np.asarray(problem.true), np.asarray(soft.marginals), 0.0).sum(axis=1)[:n]
        rows = np.flatnonzero(built)
        log_odds = np.asarray(match_scores(profile, typed, TYPES))[rows, np.arange(len(rows))]
        found[0, k, rows] = log_odds
        found[1, k], found[2, k] = posterior, np.asarray(soft.register_entropy)[:n]
    found *= models.built[None]
    return ModelRegister(log_odds=found[0], posterior=found[1], entropy=found[2])
