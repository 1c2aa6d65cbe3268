"""Mean shift: the oracle, the symmetries of the grid, the stopping rules."""

import numpy as np
import pytest

from deepmm_jax.tracing.mean_shift import kernel_density, shift_points
from reference import tracing_oracle as oracle


CUBIC = np.ones(3)


def smooth_volume(rng, shape):
    """Positive noise with empty voxels."""
    return np.maximum(rng.normal(0.3, 0.5, shape), 0.0).astype(np.float32)


@pytest.mark.parametrize("step", [(1.0, 1.0, 1.0), (0.9, 1.1, 1.4)])
def test_points_and_densities_are_those_of_the_oracle(rng, step):
    step, volume = np.array(step), smooth_volume(rng, (9, 7, 11))
    seeds = np.argwhere(volume > 1.0).astype(np.float32)
    position, density = shift_points(volume, seeds, step, bandwidth=2.0, max_shift=10.0)
    expected = [oracle.shift_point(volume, s, step, 2.0, 10.0) for s in seeds]
    np.testing.assert_allclose(position, [p for p, _ in expected], atol=2e-4)
    np.testing.assert_allclose(density, [d for _, d in expected], rtol=1e-3)


def test_kernel_density_is_the_sum_over_the_cube(rng):
    volume = smooth_volume(rng, (6, 9, 8))
    positions = rng.uniform(0, 1, (20, 3)) * (np.array(volume.shape) - 1)
    density = kernel_density(volume, positions, CUBIC, bandwidth=2.0)
    np.testing.assert_allclose(density, [oracle.weighted_mean(volume, p, CUBIC, 2.0)[0] for p in positions], rtol=1e-5)


def test_seeds_of_a_gaussian_meet_at_its_centre():
    centre = np.array([8.3, 7.6, 9.1])
    grid = np.stack(np.meshgrid(*[np.arange(18.0)] * 3, indexing="ij"), axis=-1)
    volume = np.exp(-np.square(grid - centre).sum(-1) / 4.0)
    seeds = np.argwhere(volume > 0.1).astype(np.float32)
    # A wide kernel, exp(-0.375 r²): over a narrow one the sum on the grid is not quite the integral.
    position, _ = shift_points(volume, seeds, CUBIC, bandwidth=4.0, max_shift=10.0)
    # Each step covers two fifths of the way (0.25 / (0.25 + 0.375)), so a last step of 0.032 Å leaves 0.047 Å.
    assert np.linalg.norm(position - centre, axis=1).max() < 0.06


def test_a_quarter_turn_of_the_map_turns_the_points(rng):
    volume = smooth_volume(rng, (12, 9, 10))
    seeds = np.argwhere(volume > 0.9).astype(np.float32)
    position, density = shift_points(volume, seeds, CUBIC, bandwidth=2.0, max_shift=10.0)
    turned = np.rot90(volume, axes=(0, 1))  # (x, y) -> (ny - 1 - y, x)

    def turn(xyz):
        return np.stack([volume.shape[1] - 1 - xyz[:, 1], xyz[:, 0], xyz[:, 2]], axis=1)

    turned_position, turned_density = shift_points(turned, turn(seeds), CUBIC, bandwidth=2.0, max_shift=10.0)
    np.testing.assert_allclose(turned_position, turn(position), atol=1e-3)
    np.testing.assert_allclose(turned_density, density, rtol=1e-3)


def test_many_batches_give_what_each_seed_gives_alone(rng):
    volume = smooth_volume(rng, (18, 17, 16))
    seeds = np.argwhere(volume > 0).astype(np.float32)
    assert len(seeds) > 2048
    position, density = shift_points(volume, seeds, CUBIC, bandwidth=2.0, max_shift=10.0)
    some = rng.choice(len(seeds), 50, replace=False)
    alone, alone_density = shift_points(volume, seeds[some], CUBIC, bandwidth=2.0, max_shift=10.0)
    np.testing.assert_allclose(alone, position[some], atol=1e-4)
    np.testing.assert_allclose(alone_density, density[some], rtol=1e-4)


def test_a_point_stops_beyond_the_longest_shift():
    volume = np.exp(np.linspace(0, 8, 40))[:, None, None] * np.ones((1, 9, 9))  # climbs for ever along x
    seed = np.array([[4.0, 4.0, 4.0]], np.float32)
    position, _ = shift_points(volume, seed, CUBIC, bandwidth=2.0, max_shift=3.0)
    stride = oracle.weighted_mean(volume, seed[0], CUBIC, 2.0)[1][0] - 4.0
    assert 3.0 < position[0, 0] - 4.0 < 3.0 + 2 * stride


def test_a_seed_in_emptiness_stays_where_it_is():
    seed = np.array([[3.0, 2.0, 4.0]], np.float32)
    position, density = shift_points(np.zeros((8, 8, 8)), seed, CUBIC, bandwidth=2.0, max_shift=10.0)
    np.testing.assert_array_equal(position, seed)
    assert density[0] == 0.0
