"""What the evidence says of places, and with it how far the residues that stand there can be believed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from deepmm_jax.alignment.model_register import model_registers
from deepmm_jax.alignment.values import CalphaModels, ModelRegister
from deepmm_jax.confidence.residues import residue_confidence
from deepmm_jax.config import AlignmentConfig, BuildConfig, TypingConfig
from deepmm_jax.evidence.points import type_points
from deepmm_jax.evidence.volumes import Evidence, TypedPoints
from deepmm_jax.networks.box_inference import type_boxes
from deepmm_jax.networks.checkpoints import find_checkpoint
from deepmm_jax.sequence.profile import SequenceProfile


def typing_of(config: BuildConfig) -> tuple[TypingConfig, Path | None]:
    """How places are typed, and the network that does it from boxes."""
    return config.typing, find_checkpoint(config.box_b) if config.evidence == "boxes" else None


def typed(
    evidence: Evidence, positions: Float[np.ndarray, "n 3"], typing: TypingConfig, box_b: Path | None
) -> TypedPoints:
    """What the evidence says of places (Å): by the whole-map network's volumes, or by DenseNet B (section 2.4)."""
    if box_b is None:
        return type_points(evidence, positions, typing.pool_radius, vote=typing.vote)
    return type_boxes(evidence, positions, box_b)


def rate_models(
    evidence: Evidence,
    models: CalphaModels,
    profile: SequenceProfile,
    alignment: AlignmentConfig,
    typing: TypingConfig,
    box_b: Path | None,
) -> CalphaModels:
    """The same models with the confidence of every residue (the paper stops at equation 4, a score of the whole)."""
    register = register_of(evidence, models, profile, alignment, typing, box_b)
    return replace(models, confidence=residue_confidence(evidence, models, register))


def register_of(
    evidence: Evidence,
    models: CalphaModels,
    profile: SequenceProfile,
    alignment: AlignmentConfig,
    typing: TypingConfig,
    box_b: Path | None,
) -> ModelRegister:
    """How sure the register of every model is, by what the evidence says of the places of its Cα."""
    here = replace(typing, vote=False)  # a Cα is judged where it stands
    places = [positions[built] for positions, built in zip(models.positions, models.built, strict=True)]
    points = [typed(evidence, positions, here, box_b) for positions in places]
    return model_registers(profile, models, points, alignment)
