"""Local dense points: sequential merging, filtering, what is refused."""

import numpy as np
import pytest

from deepmm_jax.config import TracingConfig
from deepmm_jax.errors import NothingBuiltError
from deepmm_jax.tracing.points import find_local_dense_points, merge
from reference import tracing_oracle as oracle


UNIT, ZERO = np.ones(3), np.zeros(3)


def blobs(*centres, shape=(20, 14, 14), width=1.0):
    """The larger of Gaussian peaks, shape (nx, ny, nz)."""
    grid = np.stack(np.meshgrid(*[np.arange(float(n)) for n in shape], indexing="ij"), axis=-1)
    return np.max([np.exp(-np.square(grid - c).sum(-1) / width) for c in centres], axis=0).astype(np.float32)


@pytest.mark.parametrize("crowding", [1.0, 2.5, 6.0])
def test_merging_is_that_of_the_double_loop(rng, crowding):
    positions = rng.uniform(0, crowding, (120, 3)).astype(np.float32)
    density = np.round(rng.uniform(0, 1, 120), 1).astype(np.float32)  # ties among them
    np.testing.assert_array_equal(merge(positions, density, 0.5), oracle.merge(positions, density, 0.5))


def test_merging_follows_the_order_of_the_points():
    """0 meets 1 first and takes it; were 2 first it would have taken 1, and 0 would stand."""
    line = np.array([[0.0, 0, 0], [0.4, 0, 0], [0.8, 0, 0]], np.float32)
    np.testing.assert_array_equal(merge(line, np.array([2.0, 1.0, 3.0], np.float32), 0.5), [0, 0, 2])
    np.testing.assert_array_equal(merge(line, np.array([1.0, 2.0, 3.0], np.float32), 0.5), [2, 2, 2])


def test_two_peaks_give_two_points_that_own_their_voxels():
    centres = np.array([[5.0, 7.0, 7.0], [14.0, 7.0, 7.0]])
    step, origin = np.array([0.8, 1.0, 1.2]), np.array([10.0, -4.0, 3.0])
    points = find_local_dense_points(blobs(*centres), step, origin, TracingConfig(threshold=0.2))
    np.testing.assert_allclose(points.positions, origin + step * centres, atol=0.15)
    np.testing.assert_array_equal(points.member, (points.voxels[:, 0] > 9).astype(int))


def test_scaling_the_volume_scales_the_density_alone():
    volume = blobs((5.0, 7.2, 7.0), (8.4, 7.0, 6.6), (14.0, 7.0, 7.0))
    points = find_local_dense_points(volume, UNIT, ZERO, TracingConfig(threshold=0.05))
    scaled = find_local_dense_points(4 * volume, UNIT, ZERO, TracingConfig(threshold=0.2))
    np.testing.assert_array_equal(scaled.positions, points.positions)
    np.testing.assert_array_equal(scaled.member, points.member)
    np.testing.assert_allclose(scaled.density, 4 * points.density, rtol=1e-6)


def test_sparse_points_are_dropped_and_leave_their_voxels_without_a_point():
    volume = blobs((5.0, 7.0, 7.0)) + 0.3 * blobs((14.0, 7.0, 7.0))
    points = find_local_dense_points(volume, UNIT, ZERO, TracingConfig(threshold=0.1, min_relative_density=0.5))
    assert points.positions.shape == (1, 3)
    np.testing.assert_array_equal(points.member, np.where(points.voxels[:, 0] > 9, -1, 0))


def test_negative_values_count_as_zero():
    volume = blobs((5.0, 7.0, 7.0))
    volume[volume < 0.05] = 0.0
    trough = volume - 0.5 * blobs((16.0, 7.0, 7.0))
    trough[volume > 0] = volume[volume > 0]
    config = TracingConfig(threshold=0.0)
    points, beside = (find_local_dense_points(v, UNIT, ZERO, config) for v in (volume, trough))
    np.testing.assert_array_equal(points.positions, beside.positions)
    np.testing.assert_array_equal(points.voxels, beside.voxels)


def test_an_empty_volume_is_refused_with_its_highest_value():
    with pytest.raises(NothingBuiltError, match=r"above 0.5 \(the highest is 0.25\)"):
        find_local_dense_points(np.full((8, 8, 8), 0.25), UNIT, ZERO, TracingConfig(threshold=0.5))
