"""Gradients of the soft alignment against finite differences in float64, and how exact float32 is on long chains."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import Jaxpr, jaxprs_in_params

from deepmm_jax.alignment import soft_align
from reference.alignment_oracle import random_path


ARGUMENTS = ("scores", "positions", "weights", "standard_distance", "temperature", "end_gap", "skip")
N, M, BAND = 9, 30, 7


@pytest.fixture
def problem() -> dict[str, np.ndarray]:
    """Values of all that can be differentiated, in float64."""
    rng = np.random.default_rng(3)
    values = (rng.normal(size=(N, M)), random_path(3, M), rng.uniform(0.7, 1, N), 3.4, 0.8, -0.7, [-1.3, -0.4])
    return {name: np.asarray(value, np.float64) for name, value in zip(ARGUMENTS, values, strict=True)}


def score(values: dict[str, jax.Array]) -> jax.Array:
    return soft_align(**values, band=BAND).score


def results(values: dict[str, jax.Array], factors: dict[str, jax.Array]) -> jax.Array:
    """A sum of all results with fixed factors."""
    soft = soft_align(**values, band=BAND)
    return sum((jnp.asarray(factors[name], soft.score.dtype) * getattr(soft, name)).sum() for name in factors)


def random_factors() -> dict[str, np.ndarray]:
    shapes = {"score": (), "marginals": (N, M), "positions": (N, 3), "covariance": (N, 3, 3), "register_entropy": (N,)}
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


@pytest.mark.slow
@pytest.mark.parametrize("function", [score, partial(results, factors=random_factors())], ids=["score", "results"])
def test_gradients_equal_finite_differences(problem, function):
    with jax.enable_x64(True):
        value, gradient = jax.jit(function), jax.jit(jax.grad(function))
        found = gradient(problem)
        rng = np.random.default_rng(1)
        for name in ARGUMENTS:
            direction = rng.normal(size=problem[name].shape)
            step = 1e-6
            ends = [value(problem | {name: problem[name] + sign * step * direction}) for sign in (1, -1)]
            expected = float(ends[0] - ends[1]) / (2 * step)
            assert (found[name] * direction).sum() == pytest.approx(expected, rel=1e-6, abs=1e-6), name
        found = {name: np.asarray(values) for name, values in found.items()}
    single = jax.jit(jax.grad(function))({name: jnp.asarray(value, jnp.float32) for name, value in problem.items()})
    for name in ARGUMENTS:
        np.testing.assert_allclose(single[name], found[name], rtol=1e-3, atol=1e-4, err_msg=name)


def test_ways_into_a_cell_are_not_kept():
    """No array of the differentiated program is as large as n m band, whatever is differentiated."""
    n, m, band = 60, 200, 40
    shapes = {"scores": (n, m), "positions": (m, 3), "weights": (n,), "skip": (2,)}
    values = {name: jnp.zeros(shapes.get(name, ())) for name in ARGUMENTS}

    def value(values):
        soft = soft_align(**values, band=band)
        return soft.score + soft.positions.sum()

    assert largest(jax.make_jaxpr(jax.grad(value))(values).jaxpr) < 4 * n * m


def largest(program: Jaxpr) -> int:
    """Numbers in the largest array of a program, those of its loops included."""
    here = max((variable.aval.size for equation in program.eqns for variable in equation.outvars), default=0)
    return max([here, *(largest(inner) for equation in program.eqns for inner in jaxprs_in_params(equation.params))])


@pytest.mark.slow
def test_float32_is_exact_on_a_thousand_residues():
    """Four points a residue and scores that favour the diagonal: the best alignment scores some thousands."""
    n, m = 1000, 4000
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(n, m)) - 1.0
    scores[np.arange(n), 4 * np.arange(n)] += 4.0
    positions = np.cumsum(rng.normal(size=(m, 3)) * 0.5, axis=0)
    values = scores, positions, np.full(n, 0.8), 3.5, 1.0
    single = long_alignment(values, jnp.float32)
    with jax.enable_x64(True):
        double = long_alignment(values, jnp.float64)
    assert single[0] == pytest.approx(double[0], rel=1e-6)
    for a, b, allowed in zip(single[1:], double[1:], (2e-3, 2e-3, 5e-3), strict=True):
        assert np.abs(a - b).max() < allowed
    assert single[1].sum(axis=1).max() < 1 + 1e-4


def long_alignment(values, dtype) -> tuple[np.ndarray, ...]:
    """Score, marginals, expected positions and entropies."""
    align = jax.jit(partial(soft_align, band=40))
    gaps = {"end_gap": dtype(-1.0), "skip": jnp.asarray([-6.0, -1.0], dtype)}
    soft = align(*(jnp.asarray(value, dtype) for value in values), **gaps)
    return tuple(np.asarray(x) for x in (soft.score, soft.marginals, soft.positions, soft.register_entropy))
