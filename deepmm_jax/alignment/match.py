"""Scores of a residue at a main-chain point and weights of the Cα–Cα distance; section 2.4, equations 2 and 3."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from deepmm_jax.config import AlignmentConfig
from deepmm_jax.constants import (
    MATCH_AMINO_ACID,
    MATCH_SECONDARY_STRUCTURE,
    SECONDARY_STRUCTURES,
    UNKNOWN_AMINO_ACID,
    UNKNOWN_SECONDARY_STRUCTURE,
)
from deepmm_jax.errors import ConfigError
from deepmm_jax.evidence.volumes import TypedPoints
from deepmm_jax.sequence.profile import SequenceProfile


BACKGROUND_FREQUENCIES = np.array(
    [
        8.25, 1.38, 5.46, 6.72, 3.86, 7.07, 2.27, 5.91, 5.80, 9.65,
        2.41, 4.06, 4.74, 3.93, 5.53, 6.64, 5.35, 6.86, 1.10, 2.92,
    ],
    dtype=np.float32,
)  # fmt: skip
"""Amino-acid composition in the order of `AMINO_ACIDS`, per cent (UniProtKB/Swiss-Prot release statistics)."""

PROBABILITY_FLOOR = 1e-3
"""Least amino-acid probability believed: one confident mistake costs a residue at most log(1000) + log p0."""


def match_scores(profile: SequenceProfile, points: TypedPoints, config: AlignmentConfig) -> Float[Array, "n m"]:
    """M(i, j) of equation 2 for every residue and every point.

    `config.match` chooses between the paper's `matrices` (M_AA and M_SS on the most probable classes) and
    `log-odds`, which goes past the paper: w_AA [log p(aa_i | x_j) - log p0(aa_i)] over the twenty amino
    acids, 0 for X, plus w_SS times M_SS averaged over both secondary-structure distributions (0 where the
    sequence prediction is unknown). Raises ConfigError for any other mode.
    """
    if config.match == "matrices":
        residues = profile.classes[:, None], profile.states[:, None]
        return jnp.asarray(matrix_match(*residues, points.classes, points.states, config))
    if config.match == "log-odds":
        return log_odds_match(
            jnp.asarray(profile.amino_acids),
            jnp.asarray(profile.secondary_structure),
            jnp.asarray(points.amino_acids),
            jnp.asarray(points.secondary_structure),
            config,
        )
    raise ConfigError(f"alignment match is {config.match!r}; use 'matrices' or 'log-odds'")


def matrix_match(
    residue_class: Int[np.ndarray, "..."],
    residue_state: Int[np.ndarray, "..."],
    point_class: Int[np.ndarray, "..."],
    point_state: Int[np.ndarray, "..."],
    config: AlignmentConfig,
) -> Float[np.ndarray, "..."]:
    """Equation 2 on class (0-4) and state (0-3) indices of residues and points, which broadcast."""
    return (
        config.weight_amino_acid * MATCH_AMINO_ACID[residue_class, point_class]
        + config.weight_secondary_structure * MATCH_SECONDARY_STRUCTURE[residue_state, point_state]
    )


@partial(jax.jit, static_argnames="config")
def log_odds_match(
    amino_acids: Int[Array, "n"],
    predicted_structure: Float[Array, "n 3"],
    point_amino_acids: Float[Array, "m 20"],
    point_structure: Float[Array, "m 3"],
    config: AlignmentConfig,
) -> Float[Array, "n m"]:
    """Log-odds form of equation 2, differentiable in all three probabilities (see `match_scores`)."""
    background = jnp.log(BACKGROUND_FREQUENCIES / BACKGROUND_FREQUENCIES.sum())
    log_odds = jnp.log(jnp.maximum(point_amino_acids, PROBABILITY_FLOOR)) - background[None]
    log_odds = jnp.pad(log_odds, ((0, 0), (0, 1)))  # the column of X
    known = MATCH_SECONDARY_STRUCTURE[:UNKNOWN_SECONDARY_STRUCTURE, :UNKNOWN_SECONDARY_STRUCTURE]
    structure = predicted_structure @ known @ point_structure.T
    return (
        config.weight_amino_acid * log_odds[:, jnp.minimum(amino_acids, UNKNOWN_AMINO_ACID)].T
        + config.weight_secondary_structure * structure
    )


def distance_weights(profile: SequenceProfile, config: AlignmentConfig) -> Float[np.ndarray, "n"]:
    """w_Cα–Cα of every residue, from the secondary structure predicted from the *sequence* (not the point's).

    The most probable state decides with `matrices`, the expectation over states with `log-odds`;
    a residue about which nothing is known weighs as Coil.
    """
    weights = np.array(config.weight_distance, np.float32)
    coil = weights[SECONDARY_STRUCTURES.index("C")]
    if config.match == "matrices":
        return np.append(weights, coil)[profile.states]
    known = profile.states != UNKNOWN_SECONDARY_STRUCTURE
    return np.where(known, profile.secondary_structure @ weights, coil).astype(np.float32)
