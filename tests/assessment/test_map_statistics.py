"""Statistics of maps: amplitudes, shell correlation, fall-off, density at Cα, correlation with a model."""

import csv

import numpy as np
import pytest

from deepmm_jax.assessment.map_statistics import (
    density_at_calpha,
    fall_off,
    fourier_shell_correlation,
    fsc_resolution,
    model_density,
    model_map_correlation,
    radial_amplitude,
    soft_mask,
)
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc import read_map
from deepmm_jax.errors import MapError
from deepmm_jax.structure.read import read_chains
from deepmm_jax.training.real_maps import listed_maps
from reference.map_statistics_oracle import correlation_by_shell, mean_amplitude_by_shell


def gaussian(side: int, step: float, sigma: float) -> np.ndarray:
    """Unit integral, in the middle of a box."""
    x = (np.arange(side) - side // 2) * step
    squared = x[:, None, None] ** 2 + x[None, :, None] ** 2 + x[None, None] ** 2
    return np.exp(-squared / (2 * sigma**2)) / (2 * np.pi * sigma**2) ** 1.5


@pytest.mark.parametrize(("shape", "step"), [((12, 10, 9), 1.0), ((8, 12, 11), np.array([1.1, 0.9, 1.0]))])
def test_shells_agree_with_a_loop_over_the_full_transform(rng, shape, step):
    a, b = rng.normal(size=(2, *shape))
    s, amplitude = radial_amplitude(a, step)
    expected_s, expected = mean_amplitude_by_shell(a, step)
    np.testing.assert_allclose(s, expected_s)
    np.testing.assert_allclose(amplitude, expected, rtol=1e-10)
    np.testing.assert_allclose(fourier_shell_correlation(a, b, step)[1], correlation_by_shell(a, b, step), atol=1e-10)


def test_amplitude_of_a_gaussian_is_its_transform_whatever_the_grid_and_box():
    for side, step in ((40, 1.0), (64, 1.0), (60, 0.7)):
        s, amplitude = radial_amplitude(gaussian(side, step, 2.0), step)
        # Shells are as wide as 1 / box: at low s their mean is not the value in their middle.
        inner = (s > 0.1) & (s < 0.2)
        np.testing.assert_allclose(amplitude[inner], np.exp(-2 * (np.pi * 2.0 * s[inner]) ** 2), rtol=0.12)
        # exp(-2 π² σ² s²) is exp(-B s² / 4) with B = 8 π² σ².
        assert fall_off(s, amplitude, 0.08, 0.22) == pytest.approx(8 * np.pi**2 * 4, rel=0.02)


def test_fall_off_is_exact_on_an_exponential_and_nan_without_shells():
    s = np.linspace(0.01, 0.5, 50)
    assert fall_off(s, 3 * np.exp(-120 * s**2 / 4), 0.1, 0.4) == pytest.approx(120)
    assert np.isnan(fall_off(s, np.ones(50), 0.1, 0.11))


def test_shell_correlation_of_a_map_with_itself_and_with_its_negative(rng):
    data = rng.normal(size=(16, 16, 16))
    np.testing.assert_allclose(fourier_shell_correlation(data, 3 * data + 5, 1.0)[1], 1)
    np.testing.assert_allclose(fourier_shell_correlation(data, -data, 1.0)[1], -1)


def test_shell_correlation_of_signal_and_noise_is_the_root_of_the_share_of_signal(rng):
    signal, noise = rng.normal(size=(2, 32, 32, 32))
    _, fsc = fourier_shell_correlation(signal, signal + np.sqrt(3) * noise, 1.0)
    assert fsc[4:].mean() == pytest.approx(0.5, abs=0.02)


def test_a_mask_hides_what_lies_beyond_it(rng):
    data = gaussian(32, 1.0, 1.5)
    foreign = data.copy()
    foreign[24:, 24:, 24:] += rng.normal(size=(8, 8, 8))
    mask = soft_mask(np.hypot(*np.indices((32, 32, 32))[:2] - 16.0) < 6, 3.0)
    assert fourier_shell_correlation(data, foreign, 1.0)[1][:8].min() < 0.5
    np.testing.assert_allclose(fourier_shell_correlation(data, foreign, 1.0, mask)[1][:8], 1, atol=1e-6)


def test_soft_mask_falls_from_one_to_zero_over_its_edge():
    inside = np.zeros((4, 4, 20), bool)
    inside[:, :, :5] = True
    profile = soft_mask(inside, 4.0)[0, 0]
    np.testing.assert_allclose(profile[:5], 1)
    np.testing.assert_allclose(profile[4:10], [1, 0.854, 0.5, 0.146, 0, 0], atol=1e-3)


def test_resolution_is_where_the_curve_crosses():
    s = np.array([0.1, 0.2, 0.3, 0.4])
    assert fsc_resolution(s, np.array([0.3, 0.9, 0.6, 0.2])) == pytest.approx(1 / 0.325)
    assert fsc_resolution(s, np.array([0.9, 0.8, 0.7, 0.6])) == pytest.approx(2.5)
    assert np.isnan(fsc_resolution(s, np.full(4, 0.4)))


def test_density_at_calpha_counts_standard_deviations_between_voxels():
    data = np.zeros((10, 10, 10))
    data[5] = 1.0
    at = density_at_calpha(data, np.array([[5.0, 2.2, 3.7], [4.5, 5.0, 5.0]]))
    np.testing.assert_allclose(at, [(1 - 0.1) / 0.3, (0.5 - 0.1) / 0.3])


def test_model_density_keeps_the_weight_of_atoms_inside_the_box():
    positions = np.array([[10.2, 9.6, 10.9], [-20.0, 5.0, 5.0]])
    density = model_density(positions, np.array([7.0, 100.0]), 1.2, (20, 20, 20))
    assert density.sum() == pytest.approx(7, rel=1e-4)
    centre = np.stack(np.indices(density.shape), -1).reshape(-1, 3).T @ density.ravel() / density.sum()
    np.testing.assert_allclose(centre, positions[0], atol=1e-3)


@pytest.mark.parametrize("name", ["6spe_r", "emd6187_3j8x_K", "emd8923_6dw1_A"])
def test_correlation_with_the_model_is_the_one_in_the_manifest(data_directory, name):
    maps = data_directory / "maps"
    assert name in {row.name for row in listed_maps()}
    with (maps / "MANIFEST.csv").open() as stream:
        row = next(row for row in csv.DictReader(stream) if row["name"] == name)
    density, chains = read_map(maps / f"{name}.mrc.gz"), read_chains(maps / f"{name}.pdb")
    correlation = model_map_correlation(density, chains, float(row["resolution"]))
    assert correlation == pytest.approx(float(row["cc"]), abs=6e-4)


def test_correlation_wants_cubic_voxels():
    skew = DensityMap(data=np.ones((4, 4, 4), np.float32), step=np.array([1.0, 1.0, 1.5]), origin=np.zeros(3))
    with pytest.raises(MapError, match="no cubes"):
        model_map_correlation(skew, [], 3.0)
