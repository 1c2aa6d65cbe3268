"""The soft alignment against enumeration of all alignments, and laws it obeys."""

from functools import partial
from operator import itemgetter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from deepmm_jax.alignment import align_exact, segment_diameters, soft_align
from deepmm_jax.alignment.exact import UNREACHABLE
from deepmm_jax.alignment.skips import LONGEST_LEAP, POINTS_LEAPT, path_leaps
from deepmm_jax.alignment.soft import SoftAlignment, register_entropy
from reference.alignment_oracle import random_path
from reference.soft_alignment_oracle import enumerated


N, M, BAND = 24, 80, 9
"""All problems are padded to one shape, so that they compile once; `test_padding_changes_nothing` vouches for it."""
ENDS = [(None, None), (-1.0, None), (-1.0, (-1.0, -0.5)), (-0.1, (0.0, 0.0))]
SKIP = (-1.0, -0.5)


def random_problem(seed: int, n: int, m: int, step: float = 1.5):
    """Scores, positions, weights, d_std."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, m)) * 1.5
    return scores.astype(np.float32), random_path(seed, m, step), rng.uniform(0.7, 1.0, n).astype(np.float32), 3.4


def padded(problem, n: int = N, m: int = M):
    """The same problem with tempting residues and points appended."""
    scores, positions, weights, standard = problem
    more_n, more_m = n - len(scores), m - len(positions)
    scores = np.pad(scores, ((0, more_n), (0, more_m)), constant_values=50.0)
    return scores, np.pad(positions, ((0, more_m), (0, 0))), np.pad(weights, (0, more_n)), standard


def call(values, end_gap, skip, sizes, allowed) -> SoftAlignment:
    """`values` are the scores, positions, weights, d_std and the temperature."""
    n, m = sizes
    gaps = {"end_gap": end_gap, "skip": skip}
    return soft_align(*values, **gaps, n_residues=n, n_points=m, allowed=allowed, band=BAND)


def of_scores_and_positions(values, *others):
    """A function of all results, and the results."""
    soft = call(values, *others)
    value = soft.score + soft.register_entropy.sum() + (soft.positions**2).sum() + soft.covariance.sum()
    return value, soft


ALIGN = jax.jit(call)
DIFFERENTIATE = jax.jit(jax.grad(of_scores_and_positions, has_aux=True))


def align(problem, temperature=1.0, end_gap=-1.0, skip=SKIP, allowed=None, function: Any = ALIGN):
    """A function of a problem padded to the common shape; results of `ALIGN` are cut down again."""
    n, m = problem[0].shape
    ways = np.ones((N, M), bool)
    ways[:n, :m] = True if allowed is None else allowed
    found = function(
        [jnp.asarray(x, jnp.float32) for x in (*padded(problem), temperature)],
        None if end_gap is None else jnp.float32(end_gap),
        None if skip is None else jnp.asarray(skip, jnp.float32),
        (jnp.asarray(n), jnp.asarray(m)),
        jnp.asarray(ways),
    )
    return cut(found, n, m) if function is ALIGN else found


def cut(soft: SoftAlignment, n: int, m: int) -> SoftAlignment:
    """Results of the residues and points that are real."""
    rows = {name: np.asarray(getattr(soft, name))[:n] for name in SoftAlignment._fields[2:]}
    return soft._replace(**rows, marginals=np.asarray(soft.marginals)[:n, :m])


def hard(problem, end_gap=-1.0, skip=SKIP):
    scores, positions, weights, standard = (jnp.asarray(x, jnp.float32) for x in problem)
    leaps = None if skip is None else path_leaps(positions, jnp.float32(skip[0]), jnp.float32(skip[1]))
    sizes = (jnp.asarray(size) for size in scores.shape)
    spans = segment_diameters(positions, BAND)
    return align_exact(scores, spans, weights, standard, *sizes, leaps, end_gap=end_gap)


@pytest.mark.parametrize(("end_gap", "skip"), ENDS)
@pytest.mark.parametrize(("n", "m", "temperature"), [(1, 1, 1.0), (3, 9, 0.5), (5, 10, 1.0), (4, 11, 3.0)])
def test_equals_the_sum_over_all_alignments(n, m, temperature, end_gap, skip):
    for seed in range(2):
        problem = random_problem(seed, n, m)
        allowed = np.random.default_rng(seed).uniform(size=(n, m)) < (1.0 if seed == 0 else 0.8)
        options = {"end_gap": end_gap, "skip": skip, "allowed": allowed}
        score, marginals, found = enumerated(
            *problem, temperature, band=BAND, offsets=POINTS_LEAPT, longest=LONGEST_LEAP, **options
        )
        soft = align(problem, temperature=temperature, **options)
        assert float(soft.score) == pytest.approx(score, abs=2e-5)
        np.testing.assert_allclose(soft.marginals, marginals, atol=2e-6)
        unbuilt = [sum(np.exp((s - score) / temperature) for s, points in found if points[i] < 0) for i in range(n)]
        np.testing.assert_allclose(1 - soft.built, unbuilt, atol=2e-6)


def test_moments_and_entropy_follow_from_the_marginals():
    problem = random_problem(3, 5, 14)
    soft = align(problem)
    p, x = np.asarray(soft.marginals, np.float64), problem[1].astype(np.float64)
    share = p / p.sum(axis=1, keepdims=True)
    mean = share @ x
    np.testing.assert_allclose(soft.positions, mean, atol=1e-5)
    apart = x[None] - mean[:, None]
    np.testing.assert_allclose(soft.covariance, np.einsum("nm,nma,nmb->nab", share, apart, apart), atol=1e-4)
    whole = np.append(p, 1 - p.sum(axis=1, keepdims=True), axis=1)
    np.testing.assert_allclose(soft.register_entropy, -(whole * np.log(whole)).sum(axis=1), atol=1e-5)


def test_entropy_of_certain_and_even_places():
    marginals = jnp.asarray([[1.0, 0, 0, 0], [0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], [0.5, 0, 0, 0]], jnp.float32)
    np.testing.assert_allclose(register_entropy(marginals), [0, 0, np.log(4), np.log(2)], atol=1e-6)


@pytest.mark.parametrize(("end_gap", "skip"), ENDS)
def test_becomes_the_hard_alignment_as_the_temperature_falls(end_gap, skip):
    for seed in range(3):
        problem = random_problem(seed, N, M, 0.8)
        score, points = (np.asarray(x) for x in hard(problem, end_gap, skip))
        before = np.inf
        for temperature in (1.0, 0.1, 0.01, 1e-3):
            soft = align(problem, temperature=temperature, end_gap=end_gap, skip=skip)
            assert score - 1e-3 <= float(soft.score) <= before + 1e-3
            before = float(soft.score)
        assert before == pytest.approx(float(score), abs=1e-2)
        marginals = np.asarray(soft.marginals)
        np.testing.assert_array_equal(np.where(soft.built > 0.5, marginals.argmax(axis=1), -1), points)


def test_padding_changes_nothing():
    problem = random_problem(6, 7, 15)
    values = [jnp.asarray(x, jnp.float32) for x in (*problem, 1.0)]
    gaps = {"end_gap": jnp.float32(-1.0), "skip": jnp.asarray(SKIP, jnp.float32)}
    small, large = jax.jit(partial(soft_align, band=BAND))(*values, **gaps), align(problem)
    for name in SoftAlignment._fields:
        np.testing.assert_allclose(getattr(small, name), getattr(large, name), atol=2e-5)


@pytest.mark.slow
def test_padding_and_what_is_not_allowed_have_no_gradient():
    problem = random_problem(6, 20, 60, 0.8)
    allowed = np.random.default_rng(0).uniform(size=(20, 60)) < 0.8
    gradients, _ = align(problem, allowed=allowed, function=DIFFERENTIATE)
    real = np.zeros((N, M), bool)
    real[:20, :60] = allowed
    scores, positions = (np.asarray(values) for values in gradients[:2])
    assert not scores[~real].any()
    assert (scores[real] != 0).mean() > 0.9
    assert not positions[60:].any()


def test_turns_and_moves_with_the_points():
    problem = random_problem(4, 20, 60, 0.8)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0].astype(np.float32)
    shift = np.array([30.0, -50.0, 80.0], np.float32)
    scores, positions, weights, standard = problem
    here = align(problem)
    there = align((scores, positions @ turn.T + shift, weights, standard))
    assert float(there.score) == pytest.approx(float(here.score), abs=1e-3)
    np.testing.assert_allclose(there.marginals, here.marginals, atol=1e-4)
    np.testing.assert_allclose(there.positions, here.positions @ turn.T + shift, atol=2e-3)
    np.testing.assert_allclose(there.covariance, turn @ np.asarray(here.covariance) @ turn.T, atol=2e-2)
    np.testing.assert_allclose(there.register_entropy, here.register_entropy, atol=1e-3)


@pytest.mark.slow
def test_a_batch_over_two_devices_is_its_members():
    problems = [padded(random_problem(seed, 20, 60, 0.8)) for seed in range(2)]
    stacked = [jnp.asarray(np.stack(values), jnp.float32) for values in zip(*problems)]
    stacked.append(jnp.asarray([0.5, 2.0]))
    chains = NamedSharding(jax.make_mesh((2,), ("chains",), (AxisType.Auto,)), PartitionSpec("chains"))
    fixed = jnp.float32(-1.0), jnp.asarray(SKIP), (jnp.asarray(20), jnp.asarray(60)), jnp.ones((N, M), bool)
    batch = jax.jit(jax.vmap(DIFFERENTIATE, (0, None, None, None, None)))(jax.device_put(stacked, chains), *fixed)
    assert batch[1].marginals.sharding.num_devices == 2
    for k in range(2):
        one = DIFFERENTIATE([values[k] for values in stacked], *fixed)
        member = jax.tree.map(itemgetter(k), batch)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-3), member, one)


def test_where_no_alignment_is_possible_nothing_is_built():
    short, nowhere = random_problem(3, 6, 4), random_problem(3, 6, 20)
    none = np.zeros((6, 20), bool)
    for soft in (align(short, end_gap=None, skip=None), align(nowhere, allowed=none)):
        assert float(soft.score) < UNREACHABLE / 2
        assert not soft.marginals.any()
        np.testing.assert_array_equal(soft.register_entropy, 0)


@pytest.mark.slow
def test_where_no_alignment_is_possible_gradients_are_finite():
    none = np.zeros((6, 20), bool)
    assert_finite(align(random_problem(3, 6, 20), allowed=none, function=DIFFERENTIATE))


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [1e-3, 1.0, 100.0])
def test_extreme_input_gives_finite_values_and_gradients(temperature):
    problem = random_problem(1, 20, 60)
    scores, positions = problem[:2]
    scores[2], scores[:, 10:14] = -1e4, 1e4
    positions[20:] += 1e3
    positions[30:32] = positions[29]
    allowed = np.ones((20, 60), bool)
    allowed[:, 5:8] = allowed[4] = False
    assert_finite(align(problem, temperature=temperature, allowed=allowed, function=DIFFERENTIATE))
    assert not align(problem, temperature=temperature, allowed=allowed).marginals[4].any()


def assert_finite(values):
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(values))
