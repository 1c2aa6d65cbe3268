"""The likelihood of the true register: its parts against enumeration, against other modules, and what it teaches."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax.alignment.match import distance_weights, match_scores
from deepmm_jax.alignment.skips import LONGEST_LEAP, POINTS_LEAPT
from deepmm_jax.alignment.soft_register import (
    MatchParameters,
    distance_weights_of,
    parameters_of,
    register_accuracy,
    register_alignment,
    register_log_likelihood,
    register_problem,
    site_scores,
    within_ranges,
)
from deepmm_jax.config import AlignmentConfig
from deepmm_jax.constants import AMINO_ACIDS
from deepmm_jax.errors import ConfigError
from deepmm_jax.evidence.volumes import TypedPoints
from deepmm_jax.sequence.profile import SequenceProfile
from reference.alignment_oracle import random_path
from reference.soft_alignment_oracle import enumerated


SIZES = (8, 16)
FORMS = ("log-odds", "matrices")


def random_chain(seed: int, n: int, m: int):
    """A profile, typed points on a path, and Cα on every other point."""
    rng = np.random.default_rng(seed)
    positions = random_path(seed, m, 1.2)
    profile = SequenceProfile(
        name=f"chain {seed}",
        letters="".join(rng.choice(list(AMINO_ACIDS), n)),
        secondary_structure=rng.dirichlet(np.ones(3), n).astype(np.float32),
    )
    points = TypedPoints(
        positions=positions,
        calpha=rng.uniform(size=m).astype(np.float32),
        amino_acids=rng.dirichlet(np.ones(20), m).astype(np.float32),
        secondary_structure=rng.dirichlet(np.ones(3), m).astype(np.float32),
    )
    return profile, points, positions[2 * np.arange(n) + 1]


@pytest.mark.parametrize("form", FORMS)
def test_scores_and_weights_are_those_of_the_configuration(form):
    profile, points, calpha = random_chain(0, 6, 14)
    config = AlignmentConfig(match=form)
    parameters, problem = parameters_of(config, 3.5), register_problem(profile, points, calpha, form, SIZES)
    expected = np.asarray(match_scores(profile, points, config)) + config.weight_calpha * points.calpha
    np.testing.assert_allclose(site_scores(parameters, problem)[:6, :14], expected, atol=1e-5)
    weights = distance_weights_of(parameters, problem)
    np.testing.assert_allclose(weights[:6], distance_weights(profile, config), atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_residues_of_unknown_structure_weigh_as_coil(form):
    profile, points, calpha = random_chain(0, 6, 14)
    unknown = replace(profile, secondary_structure=np.zeros((6, 3), np.float32))
    config = AlignmentConfig(match=form)
    problem = register_problem(unknown, points, calpha, form, SIZES)
    weights = distance_weights_of(parameters_of(config, 3.5), problem)
    np.testing.assert_allclose(weights[:6], distance_weights(unknown, config), atol=1e-6)


@pytest.mark.slow
def test_likelihood_is_the_share_of_the_true_alignments():
    profile, points, calpha = random_chain(1, 4, 11)
    config = AlignmentConfig()
    parameters = parameters_of(config, 3.5)
    problem = register_problem(profile, points, calpha, "log-odds", SIZES)
    true = np.asarray(problem.true)[:4, :11]
    seen = true.any(axis=1)
    assert seen.any()
    _, marginals, found = enumerated(
        np.asarray(site_scores(parameters, problem))[:4, :11],
        points.positions,
        distance_weights(profile, config),
        3.5,
        1.0,
        end_gap=config.end_gap,
        skip=config.skip,
        band=5,
        offsets=POINTS_LEAPT,
        longest=LONGEST_LEAP,
    )
    chances = np.exp([score for score, _ in found])
    most = max(sum(j >= 0 for j in points) for _, points in found if stands(points, true))
    right = [stands(points, true) and sum(j >= 0 for j in points) == most for _, points in found]
    expected = np.log(chances[right].sum() / chances.sum())
    likelihood = jax.jit(partial(register_log_likelihood, band=5))(parameters, problem)
    assert float(likelihood) * most == pytest.approx(expected, abs=1e-3)
    soft = jax.jit(partial(register_alignment, band=5))(parameters, problem)
    assert float(register_accuracy(soft, problem)) == pytest.approx((marginals * true).sum() / seen.sum(), abs=1e-4)


def stands(points: tuple[int, ...], true: np.ndarray) -> bool:
    """Whether every residue that is built stands in a true place."""
    return all(true[i, j] for i, j in enumerate(points) if j >= 0)


@pytest.mark.slow
def test_the_gradient_raises_the_likelihood():
    profile, points, calpha = random_chain(2, 6, 14)
    problem = register_problem(profile, points, calpha, "log-odds", SIZES)
    value = jax.jit(jax.value_and_grad(register_log_likelihood))
    parameters = parameters_of(AlignmentConfig(), 3.5)
    before, gradient = value(parameters, problem)
    moved = jax.tree.map(lambda p, g: p + 1e-3 * g, parameters, gradient)
    squared = sum(float((g**2).sum()) for g in jax.tree.leaves(gradient))
    assert float(value(moved, problem)[0] - before) == pytest.approx(1e-3 * squared, rel=0.05)


def test_parameters_stay_within_their_ranges():
    parameters = parameters_of(AlignmentConfig(), 3.5)
    assert jax.tree.all(jax.tree.map(jnp.array_equal, within_ranges(parameters), parameters))
    low = jax.tree.map(lambda x: jnp.full_like(x, -9.0), parameters)
    high = jax.tree.map(lambda x: jnp.full_like(x, 9.0), parameters)
    bounded: list[MatchParameters] = [within_ranges(low), within_ranges(high)]
    assert float(bounded[0].weight_calpha) == 0.0 and float(bounded[0].standard_distance) == 2.0
    assert float(bounded[1].end_gap) == 0.0 and float(bounded[1].standard_distance) == 5.0
    assert not np.asarray(bounded[1].skip).any() and not np.asarray(bounded[0].weight_distance).any()


def test_what_cannot_be_learnt_or_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="end_gap"):
        parameters_of(AlignmentConfig(end_gap=None), 3.5)
    with pytest.raises(ConfigError, match="chain 0 has 6 residues"):
        register_problem(*random_chain(0, 6, 14), "log-odds", (5, 16))
