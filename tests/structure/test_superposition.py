"""Superposition: a known motion is recovered, with NumPy and JAX alike, and the result is the best there is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from deepmm_jax.structure.superposition import move, rmsd, superpose, superposed_rmsd


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(5, 40, 3)) * 15.0 + 100.0


@pytest.mark.parametrize("xp", [np, jnp])
def test_a_known_motion_is_recovered(points, xp):
    rotations = Rotation.random(5, rng=np.random.default_rng(1)).as_matrix()
    shifts = np.random.default_rng(2).normal(size=(5, 3)) * 30.0
    target = np.einsum("bij,bnj->bni", rotations, points) + shifts[:, None]
    solve = superpose if xp is np else jax.jit(superpose)
    rotation, translation, deviation = solve(xp.asarray(points), xp.asarray(target))
    assert isinstance(rotation, np.ndarray if xp is np else jax.Array)
    tolerance = 1e-9 if xp is np else 1e-3
    np.testing.assert_allclose(rotation, rotations, atol=tolerance)
    np.testing.assert_allclose(deviation, 0.0, atol=tolerance)
    np.testing.assert_allclose(move(xp.asarray(points), rotation, translation), target, atol=max(tolerance, 1e-8))


def test_a_mirror_image_is_not_superposed_by_a_reflection(points):
    mirrored = points * np.array([1.0, 1.0, -1.0])
    rotation, _, deviation = superpose(points, mirrored)
    np.testing.assert_allclose(np.linalg.det(rotation), 1.0)
    assert (deviation > 5.0).all()


def test_no_other_rotation_does_better(points):
    rng = np.random.default_rng(3)
    model, target = points[0], points[0] + rng.normal(size=(40, 3)) * 4.0
    rotation, translation, deviation = superpose(model, target)
    centre = model.mean(0)
    for turn in Rotation.from_rotvec(rng.normal(size=(50, 3)) * 0.05).as_matrix():
        moved = (model - centre) @ (turn @ rotation).T + (rotation @ centre + translation)
        assert np.sqrt(np.mean(np.sum((moved - target) ** 2, axis=1))) >= deviation
    reference, value = Rotation.align_vectors(target - target.mean(0), model - centre)
    np.testing.assert_allclose(rotation, reference.as_matrix(), atol=1e-6)
    np.testing.assert_allclose(deviation, value / np.sqrt(40))


def test_unbuilt_and_weightless_points_take_no_part(points):
    rng = np.random.default_rng(4)
    target = points + rng.normal(size=points.shape)
    spoilt, weights = points.copy(), np.ones(points.shape[:2])
    spoilt[:, 5:10] = np.nan
    spoilt[:, 20:25] += 1000.0
    weights[:, 20:25] = 0.0
    keep = np.r_[0:5, 10:20, 25:40]
    for ours, theirs in zip(
        superpose(spoilt, target, weights), superpose(points[:, keep], target[:, keep]), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-8)
    np.testing.assert_allclose(
        rmsd(spoilt, target, weights), np.sqrt(((points - target)[:, keep] ** 2).sum(-1).mean(-1)), rtol=1e-12
    )


def test_nothing_in_common_has_no_rmsd(points):
    rotation, translation, deviation = superpose(np.full_like(points[0], np.nan), points[0])
    assert np.isfinite(rotation).all() and np.isfinite(translation).all() and np.isnan(deviation)


def test_one_target_for_a_batch_and_the_transformations_of_jax(points):
    batch = jnp.asarray(points, jnp.float32)
    target = batch[0]
    at_once = jax.jit(superposed_rmsd)(batch, target)
    mapped, gradients = jax.jit(jax.vmap(jax.value_and_grad(superposed_rmsd), in_axes=(0, None)))(batch, target)
    expected = superposed_rmsd(points, points[0])
    np.testing.assert_allclose(at_once, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(mapped, expected, rtol=1e-4, atol=1e-4)
    gradient = np.asarray(gradients[1], np.float64)
    step = 1e-3 * gradient / np.linalg.norm(gradient)
    slope = (superposed_rmsd(points[1] + step, points[0]) - superposed_rmsd(points[1] - step, points[0])) / 2e-3
    np.testing.assert_allclose(slope, np.linalg.norm(gradient), rtol=1e-3)
