"""Segment diameters against brute force, and laws they obey."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax.alignment.segments import aligned_distances, segment_diameters
from reference.alignment_oracle import diameters


@pytest.mark.parametrize(("m", "band"), [(1, 1), (12, 12), (20, 7)])
def test_diameters_equal_brute_force(m, band):
    positions = np.random.default_rng(m).normal(size=(m, 3)).astype(np.float32) * 3
    np.testing.assert_allclose(segment_diameters(jnp.asarray(positions), band), diameters(positions, band), atol=2e-6)


def test_a_hairpin_is_as_wide_as_it_is_long():
    out = np.linspace(0, 10, 11)
    positions = np.stack([np.append(out, out[::-1]), np.repeat([0.0, 1.0], 11), np.zeros(22)], axis=1)
    whole = segment_diameters(jnp.asarray(positions, jnp.float32), 21)[20, 21]
    assert whole == pytest.approx(np.hypot(10, 1), abs=1e-5)
    assert np.linalg.norm(positions[0] - positions[-1]) == pytest.approx(1.0)


def test_longer_segments_are_never_narrower():
    positions = jnp.asarray(np.random.default_rng(0).normal(size=(40, 3)), jnp.float32)
    assert np.all(np.diff(segment_diameters(positions, 39), axis=0) >= 0)


def test_gradient_is_finite_where_points_coincide():
    positions = jnp.asarray([[0.0, 0, 0], [0, 0, 0], [1, 0, 0]], jnp.float32)
    assert np.isfinite(jax.grad(lambda x: segment_diameters(x, 2).sum())(positions)).all()


def test_unbuilt_residues_have_no_distance_to_either_side():
    spans = jnp.asarray(np.random.default_rng(1).uniform(size=(9, 9)), jnp.float32)
    found = aligned_distances(jnp.asarray([-1, 1, 3, -1, 5, 8]), spans)
    np.testing.assert_array_equal(found, [np.nan, np.nan, spans[1, 3], np.nan, np.nan, spans[2, 8]])
