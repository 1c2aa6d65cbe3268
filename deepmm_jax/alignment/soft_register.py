"""Likelihood of the true register under the soft alignment, and the scores and costs that it can teach; section 2.4.

The paper gives its matrices and weights without saying how they were found. Here they are parameters of a probability
over alignments, and those of greatest likelihood make the true alignments of training chains probable.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from deepmm_jax.alignment.match import log_odds_match
from deepmm_jax.alignment.soft import SoftAlignment, soft_align
from deepmm_jax.config import AlignmentConfig
from deepmm_jax.constants import (
    MATCH_AMINO_ACID,
    MATCH_SECONDARY_STRUCTURE,
    SECONDARY_STRUCTURES,
    UNKNOWN_CLASS,
    UNKNOWN_SECONDARY_STRUCTURE,
)
from deepmm_jax.errors import ConfigError
from deepmm_jax.evidence.volumes import TypedPoints
from deepmm_jax.sequence.profile import SequenceProfile


NEAR = 2.0
"""Å from a Cα within which its residue stands in the true register."""
REWARD = 50.0
"""Score by which the true alignments are those that build the most residues."""
COIL = SECONDARY_STRUCTURES.index("C")


class MatchParameters(NamedTuple):
    """All that scores an alignment. Matrices are taken as symmetric, and hold their weights w_AA and w_SS."""

    weight_types: Float[Array, ""] | None
    """Weight of the log-odds of the twenty amino acids; None in the paper's form."""
    amino_acid: Float[Array, "4 4"] | None
    """w_AA M_AA by residue class; None in the log-odds form."""
    secondary_structure: Float[Array, "3 3"]
    """w_SS M_SS over Helix, Sheet, Coil."""
    weight_calpha: Float[Array, ""]
    weight_distance: Float[Array, "3"]
    """w_Cα–Cα of Helix, Sheet, Coil."""
    standard_distance: Float[Array, ""]
    """d_std, Å."""
    end_gap: Float[Array, ""]
    skip: Float[Array, "2"]
    """Opening a gap inside, and every residue in it."""


class RegisterProblem(NamedTuple):
    """A sequence, a path through its density, and where its residues truly stand; padded to common sizes."""

    types: Float[Array, "n m"]
    """Log-odds of the residue's amino acid at the point."""
    residue_class: Float[Array, "n 4"]
    residue_state: Float[Array, "n 3"]
    point_class: Float[Array, "m 4"]
    point_state: Float[Array, "m 3"]
    """Probabilities, or the most probable class alone; zeros where nothing is known."""
    calpha: Float[Array, "m"]
    positions: Float[Array, "m 3"]
    """Å, in path order."""
    true: Bool[Array, "n m"]
    """The point is near the Cα of the residue."""
    n_residues: Int[Array, ""]
    n_points: Int[Array, ""]


def parameters_of(config: AlignmentConfig, standard_distance: float) -> MatchParameters:
    """The parameters that say what `config` says, with one of its d_std (Å).

    Raises ConfigError where the configuration builds every residue: such costs cannot be learnt.
    """
    if config.end_gap is None or config.skip_open is None:
        raise ConfigError("end_gap and skip_open must be numbers, so that they have a gradient; give -1 and -6")
    paper = config.match == "matrices"
    known = slice(0, UNKNOWN_SECONDARY_STRUCTURE)
    scalar = jnp.float32
    return MatchParameters(
        weight_types=None if paper else scalar(config.weight_amino_acid),
        amino_acid=(
            config.weight_amino_acid * jnp.asarray(MATCH_AMINO_ACID[:UNKNOWN_CLASS, :UNKNOWN_CLASS]) if paper else None
        ),
        secondary_structure=config.weight_secondary_structure * jnp.asarray(MATCH_SECONDARY_STRUCTURE[known, known]),
        weight_calpha=scalar(config.weight_calpha),
        weight_distance=jnp.asarray(config.weight_distance, jnp.float32),
        standard_distance=scalar(standard_distance),
        end_gap=scalar(config.end_gap),
        skip=jnp.asarray([config.skip_open, config.skip_extend], jnp.float32),
    )


def register_problem(
    profile: SequenceProfile,
    points: TypedPoints,
    calpha: Float[np.ndarray, "k 3"],
    match: Literal["log-odds", "matrices"],
    sizes: tuple[int, int],
) -> RegisterProblem:
    """The problem of one chain; `points` stand in path order, `calpha` is the truth in their frame, Å.

    With `matrices` classes and states are the most probable ones, as in the paper, else probabilities. Everything is
    padded to `sizes`, residues and points. Raises ConfigError where the chain or its path is longer.
    """
    n, m = len(profile), len(points.positions)
    if n > sizes[0] or m > sizes[1]:
        raise ConfigError(
            f"{profile.name} has {n} residues and {m} points on its path, and there is room for {sizes[0]} and "
            f"{sizes[1]}; leave it out"
        )
    log_odds = AlignmentConfig(match="log-odds", weight_amino_acid=1.0, weight_secondary_structure=0.0)
    types = log_odds_match(
        jnp.asarray(profile.amino_acids),
        jnp.asarray(profile.secondary_structure),
        jnp.asarray(points.amino_acids),
        jnp.asarray(points.secondary_structure),
        log_odds,
    )
    states, point_states = profile.secondary_structure, points.secondary_structure
    if match == "matrices":
        states, point_states = np.eye(4, 3)[profile.states], np.eye(3)[points.states]
    apart = np.linalg.norm(calpha[:, None] - points.positions[None], axis=-1)
    rows, columns = (0, sizes[0] - n), (0, sizes[1] - m)

    def padded(values: np.ndarray, *axes: tuple[int, int]) -> Array:
        more = axes + ((0, 0),) * (values.ndim - len(axes))
        return jnp.asarray(np.pad(values, more), bool if values.dtype == bool else jnp.float32)

    return RegisterProblem(
        types=padded(np.asarray(types), rows, columns),
        residue_class=padded(np.eye(5, 4)[profile.classes], rows),
        residue_state=padded(states, rows),
        point_class=padded(np.eye(4)[points.classes], columns),
        point_state=padded(point_states, columns),
        calpha=padded(points.calpha, columns),
        positions=padded(points.positions, columns),
        true=padded(apart < NEAR, rows, columns),
        n_residues=jnp.asarray(n),
        n_points=jnp.asarray(m),
    )


def site_scores(parameters: MatchParameters, problem: RegisterProblem) -> Float[Array, "n m"]:
    """M + w_Cα P_Cα of every residue at every point (equations 2 and 3); a residue X has no type."""
    structure = _symmetric(parameters.secondary_structure)
    scores = problem.residue_state @ structure @ problem.point_state.T
    scores = scores + parameters.weight_calpha * problem.calpha[None]
    if parameters.weight_types is not None:
        scores = scores + parameters.weight_types * problem.types
    if parameters.amino_acid is not None:
        scores = scores + problem.residue_class @ _symmetric(parameters.amino_acid) @ problem.point_class.T
    return scores


def distance_weights_of(parameters: MatchParameters, problem: RegisterProblem) -> Float[Array, "n"]:
    """w_Cα–Cα of every residue; one of which nothing is known weighs as Coil."""
    unknown = 1.0 - problem.residue_state.sum(axis=1)
    return problem.residue_state @ parameters.weight_distance + unknown * parameters.weight_distance[COIL]


def register_alignment(
    parameters: MatchParameters,
    problem: RegisterProblem,
    *,
    truly: bool = False,
    band: int = 40,
) -> SoftAlignment:
    """The soft alignment at temperature 1; with `truly` of those that put no residue in a wrong place.

    Of these the ones that build the most residues count, at `REWARD` a residue: to leave out one that has a place of
    its own is no true register.
    """
    scores = site_scores(parameters, problem)
    return soft_align(
        scores + REWARD if truly else scores,
        problem.positions,
        distance_weights_of(parameters, problem),
        parameters.standard_distance,
        jnp.float32(1.0),
        end_gap=parameters.end_gap,
        skip=parameters.skip,
        n_residues=problem.n_residues,
        n_points=problem.n_points,
        allowed=problem.true if truly else None,
        band=band,
    )


def register_log_likelihood(
    parameters: MatchParameters, problem: RegisterProblem, *, band: int = 40
) -> Float[Array, ""]:
    """Logarithm of the probability of the true register, per residue that stands in it.

    An alignment is true when no residue is farther than `NEAR` from its Cα, and as many are built as the path allows.
    """
    truth = register_alignment(parameters, problem, truly=True, band=band)
    count = lax.stop_gradient(jnp.maximum(jnp.round(truth.built.sum()), 1.0))
    score = truth.score - REWARD * count
    return (score - register_alignment(parameters, problem, band=band).score) / count


def register_accuracy(soft: SoftAlignment, problem: RegisterProblem) -> Float[Array, ""]:
    """Mean probability with which residues that have a true place on the path stand there."""
    right = jnp.where(problem.true, soft.marginals, 0.0).sum(axis=1)
    return right.sum() / jnp.maximum(jnp.count_nonzero(problem.true.any(axis=1)), 1)


def within_ranges(parameters: MatchParameters) -> MatchParameters:
    """The nearest parameters of which no weight is negative, no gap is rewarded, and d_std lies within 2 to 5 Å."""
    weights = {
        name: None if value is None else jax.nn.relu(value)
        for name in ("weight_types", "weight_calpha", "weight_distance")
        for value in (getattr(parameters, name),)
    }
    gaps = {name: jnp.minimum(getattr(parameters, name), 0.0) for name in ("end_gap", "skip")}
    return parameters._replace(**weights, **gaps, standard_distance=jnp.clip(parameters.standard_distance, 2.0, 5.0))


def _symmetric(matrix: Float[Array, "k k"]) -> Float[Array, "k k"]:
    return (matrix + matrix.T) / 2
