"""MScore: the paper's alignment score per residue, on any Cα model; section 3.4, equation 4."""

import numpy as np
from jaxtyping import Bool, Float

from deepmm_jax.alignment.match import distance_weights, matrix_match
from deepmm_jax.config import AlignmentConfig
from deepmm_jax.evidence.volumes import TypedPoints
from deepmm_jax.sequence.profile import SequenceProfile


PAPER = AlignmentConfig(
    recurrence="greedy",
    match="matrices",
    weight_amino_acid=1.0,
    weight_secondary_structure=0.5,
    weight_calpha=1.6,
    weight_distance=(1.0, 0.7, 0.8),
    end_gap=None,
)
"""Matrices and weights of section 2.4, whatever the model was built with: an MScore means the same everywhere."""


def paper_mscore(
    profile: SequenceProfile,
    points: TypedPoints,
    built: Bool[np.ndarray, "n"],
    distances: Float[np.ndarray, "n"],
    standard_distance: float,
) -> float:
    """Alignment score of a model divided by the residues of the sequence (equation 4).

    `points` holds the evidence at each residue of the sequence (rows of unbuilt ones are ignored), `distances` the
    d of equation 3 to the residue before, in Å (NaN: either is unbuilt), `standard_distance` the model's d_std in Å.
    Scored with the paper's matrices and weights even if the model was aligned with log-odds. Goes past the
    paper in that unbuilt residues may exist: they add 0 instead of -10000 and count in the length.
    """
    match = matrix_match(profile.classes, profile.states, points.classes, points.states, PAPER)
    sites = match + PAPER.weight_calpha * points.calpha
    bonds = distance_weights(profile, PAPER) * np.abs(
        np.nan_to_num(distances, nan=standard_distance) - standard_distance
    )
    return float(np.where(built, sites - bonds, 0.0).sum() / len(profile))
