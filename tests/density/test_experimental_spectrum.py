"""What the experimental simulator does to Fourier coefficients: gains are those of the formulas, shell by shell."""

import numpy as np
import pytest
import scipy.fft

from deepmm_jax.density.experimental.atoms import unit_vector
from deepmm_jax.density.experimental.spectrum import (
    TABLE,
    Anisotropy,
    LowFrequencies,
    PostProcessing,
    Sampling,
    anisotropic_gain,
    low_frequency_gain,
    post_processing_gain,
    radial,
    resample_through,
)


SHAPE = (32, 30, 28)


def frequencies(shape: tuple[int, ...]) -> np.ndarray:
    """Frequency vectors of every coefficient of a half transform, 1/Å."""
    axes = [np.fft.fftfreq(shape[0]), np.fft.fftfreq(shape[1]), np.fft.rfftfreq(shape[2])]
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def test_radial_tables_are_spread_over_shells():
    s = np.linalg.norm(frequencies(SHAPE), axis=0)
    np.testing.assert_allclose(radial(TABLE, SHAPE), s, atol=TABLE[0] * 1.01)


@pytest.mark.parametrize("fall_off", [-0.3, 0.0, 2.0])
@pytest.mark.parametrize("resolution", [2.5, 4.0])
def test_atoms_fall_off_as_it_is_told(fall_off: float, resolution: float):
    post = PostProcessing(fall_off=fall_off, cutoff=1.1, edge=0.01)
    gain = post_processing_gain(TABLE, post, resolution, np.ones_like(TABLE), 120.0)
    atom = np.exp(-120.0 * TABLE**2 / 4)
    inside = TABLE * resolution < 1
    expected = np.exp(-fall_off * (TABLE * resolution) ** 2)
    np.testing.assert_allclose((gain * atom)[inside], expected[inside], rtol=1e-3)
    at_resolution = np.interp(1 / resolution, TABLE, gain * atom)
    assert np.log(at_resolution) == pytest.approx(-fall_off, abs=0.02)


def test_the_low_pass_halves_at_its_cutoff_and_ends():
    post = PostProcessing(fall_off=0.0, cutoff=0.9, edge=0.03)
    gain = post_processing_gain(TABLE, post, 3.0, np.ones_like(TABLE), 0.0)
    assert np.interp(0.3, TABLE, gain) == pytest.approx(0.5, abs=0.02)
    assert gain[TABLE > 0.3 + 0.1].max() < 1e-3 and gain[TABLE < 0.3 - 0.07].min() > 0.99
    assert (np.diff(gain) <= 1e-9).all()


def test_the_figure_of_merit_weights_by_the_fsc():
    fsc = np.clip(1 - TABLE, 0.05, 1)
    plain, weighted = (post_processing_gain(TABLE, PostProcessing(merit=merit), 3.0, fsc, 80.0) for merit in (0.0, 1.0))
    np.testing.assert_allclose(weighted, plain * np.sqrt(2 * fsc / (1 + fsc)))


@pytest.mark.parametrize("change", [-0.6, 1.0])
def test_low_frequencies_change_alone(change: float):
    gain = low_frequency_gain(TABLE, LowFrequencies(gain=change, b=300.0))
    assert gain[0] == pytest.approx(1 + change, abs=0.01) and np.abs(gain[TABLE > 0.25] - 1).max() < 0.01
    assert (low_frequency_gain(TABLE, LowFrequencies()) == 1).all()


def test_anisotropy_weakens_one_direction():
    axis = np.array([1.0, 2.0, -2.0]) / 3
    gain = anisotropic_gain(SHAPE, Anisotropy(strength=0.8), 3.0, axis)
    vectors = frequencies(SHAPE)
    along = np.tensordot(axis, vectors, axes=1) ** 2
    squared = (vectors**2).sum(axis=0)
    inside = squared < 1 / 9
    expected = np.exp(-0.8 * 9 * (along - squared / 3))
    np.testing.assert_allclose(gain[inside], expected[inside], rtol=0.02)
    # Over directions the logarithm averages to nothing, so that the resolution stays what it was.
    shell = np.abs(np.sqrt(squared) - 0.3) < 0.03
    assert np.log(gain[shell]).mean() == pytest.approx(0, abs=0.06)


def test_directions_are_unit_vectors_without_preference(rng: np.random.Generator):
    axes = np.array([unit_vector(rng) for _ in range(400)])
    np.testing.assert_allclose(np.linalg.norm(axes, axis=1), 1)
    assert np.abs(axes.mean(axis=0)).max() < 0.12


@pytest.mark.parametrize("voxel", [1.3, 2.0])
def test_coarse_voxels_cut_a_cube_out_of_the_transform(rng: np.random.Generator, voxel: float):
    density = rng.normal(size=SHAPE).astype(np.float32)
    out = resample_through(density, Sampling(voxel=voxel))
    gain = np.abs(scipy.fft.rfftn(out)) / np.abs(scipy.fft.rfftn(density))
    largest = np.abs(frequencies(SHAPE)).max(axis=0)
    assert gain[largest < 0.5 / voxel - 0.03].min() > 0.99
    assert gain[largest > 0.5 / voxel + 0.03].max() < 0.01


def test_fine_voxels_change_nothing(rng: np.random.Generator):
    density = rng.normal(size=SHAPE).astype(np.float32)
    assert resample_through(density, Sampling(voxel=0.7)) is density


def test_trilinear_interpolation_weakens_as_it_does_in_truth(rng: np.random.Generator):
    # A wave on a 1.3 Å grid, interpolated linearly at random places: the part of it that comes back.
    voxel, s = 1.3, 0.25
    x = rng.uniform(0, 1000, 40000)
    samples = np.cos(2 * np.pi * s * voxel * np.arange(1000))
    read = np.interp(x, voxel * np.arange(1000), samples)
    kept = 2 * np.mean(read * np.cos(2 * np.pi * s * x))
    wave = np.cos(2 * np.pi * s * np.arange(32)).astype(np.float32)[:, None, None] * np.ones((1, 8, 8), np.float32)
    out = resample_through(wave, Sampling(voxel=voxel, trilinear=1.0))
    assert out.std() / wave.std() == pytest.approx(kept, abs=0.02)
