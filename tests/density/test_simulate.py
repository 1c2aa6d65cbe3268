"""Simulated maps: the sum of Gaussians, the box of EMAN2, and the figure of its map of 1YFQ."""

from pathlib import Path

import numpy as np
import pytest

from deepmm_jax.density.simulate import add_gaussians, eman2_box, simulate_map
from deepmm_jax.errors import MapError
from deepmm_jax.structure.read import read_chains
from reference.density_oracle import gaussian_sum, voxels


@pytest.mark.parametrize(("resolution", "step"), [(5.0, 1.0), (3.0, 0.8)])
def test_density_is_the_sum_over_atoms(rng: np.random.Generator, resolution: float, step: float):
    positions = rng.uniform(-4, 5, (12, 3))
    numbers = rng.choice([6.0, 7.0, 8.0, 16.0], 12)
    density = simulate_map(positions, numbers, resolution, step)
    places = density.to_xyz(voxels(density.shape))
    expected = gaussian_sum(places, positions, numbers, np.full(12, resolution / np.pi))
    np.testing.assert_allclose(density.data.ravel(), expected, atol=2e-4)
    np.testing.assert_array_equal(density.step, step)


def test_atoms_have_their_own_width_and_may_lie_outside(rng: np.random.Generator):
    positions = rng.uniform(-3, 11, (20, 3)).astype(np.float32)
    weights, widths = rng.uniform(1, 5, 20), rng.uniform(0.6, 3.0, 20)
    data = add_gaussians(positions, weights, widths, (8, 7, 9))
    expected = gaussian_sum(voxels((8, 7, 9)), positions, weights, widths)
    np.testing.assert_allclose(data.ravel(), expected, atol=2e-4)
    alone = add_gaussians(np.array([[4.0, 3.0, 99.0]]), np.ones(1), np.ones(1), (8, 7, 9))
    assert not alone.any()


def test_box_follows_the_rule_of_eman2():
    # Extents 10.7, 3.2 and 0: int(extent) + 2R = 20, 13, 10 voxels, rounded up to even.
    positions = np.array([[1.0, -2.0, 5.0], [11.7, 1.2, 5.0]])
    shape, origin = eman2_box(positions, 5.0, 1.0)
    assert shape == (20, 14, 10)
    np.testing.assert_allclose(origin, [1 - 10 + 5.35, -2 - 7 + 1.6, 5 - 5])
    # At 2 Å voxels: int(5.35) + 5 = 10, int(1.6) + 5 = 6, 5 -> 6.
    shape, origin = eman2_box(positions, 5.0, 2.0)
    assert shape == (10, 6, 6)
    np.testing.assert_allclose(origin, [1 - 10 + 5.35, -2 - 6 + 1.6, 5 - 6])


@pytest.mark.parametrize(
    ("reach", "resolution", "step", "sentence"),
    [
        (9000.0, 5.0, 1.0, r"atoms over 9000 × 9000 × 9000 Å need 7\.3\d+e\+11 voxels of 1 Å at 5 Å, more than"),
        (100.0, 50.0, 0.11, r"voxels of 0\.11 Å at 50 Å, more than"),
        (10.0, 1e308, 1.0, "more than"),
        (10.0, 5.0, 1e-300, "voxels of 1e-300 Å cannot be right"),
        (10.0, 5.0, np.nan, "voxels of nan Å cannot be right"),
        (10.0, 1.0, 10.0, "a resolution of 1 Å cannot be right; give at least the voxel size, 10 Å"),
        (10.0, np.inf, 1.0, "a resolution of inf Å cannot be right"),
    ],
)
def test_what_no_map_can_hold_is_refused(reach: float, resolution: float, step: float, sentence: str):
    with pytest.raises(MapError, match=sentence):
        simulate_map(np.array([[0.0] * 3, [reach] * 3]), np.full(2, 6.0), resolution, step)


def test_moving_the_atoms_moves_the_map(rng: np.random.Generator):
    positions, numbers = rng.uniform(0, 8, (10, 3)), np.full(10, 6.0)
    here = simulate_map(positions, numbers, 4.0)
    there = simulate_map(positions + [3.3, -7.1, 0.4], numbers, 4.0)
    np.testing.assert_allclose(there.origin - here.origin, [3.3, -7.1, 0.4])
    np.testing.assert_allclose(there.data, here.data, atol=1e-4)


def test_1yfq_has_the_maximum_of_the_authors_map(data_directory: Path):
    chain = read_chains(data_directory / "structures" / "1yfq_A.pdb.gz")[0]
    density = simulate_map(chain.positions, chain.atomic_numbers, 5.0)
    assert density.data.max() == pytest.approx(19.8, abs=0.1)
