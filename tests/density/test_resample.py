"""Laws of resampling: constants stay, 3 Å waves survive, short waves do not alias, nothing moves."""

import numpy as np
import pytest

from deepmm_jax.config import PRESETS
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.resample import resample_map
from deepmm_jax.errors import MapError


ORDERS = ("sinc", "cubic", "trilinear")


def wave_map(step, period, shape=(64, 12, 12)):
    x = np.arange(shape[0]) * step
    data = np.broadcast_to(np.cos(2 * np.pi * x / period + 0.3)[:, None, None], shape).astype(np.float32)
    return DensityMap(data=data, step=np.full(3, float(step)), origin=np.array([5.0, -3.0, 1.5]))


def amplitude(density, period):
    """Amplitude of the wave of this period along x, and RMS of what is left, away from the borders."""
    x = np.arange(density.shape[0]) * density.step[0]
    inner = slice(12, -12)
    waves = np.stack([np.cos(2 * np.pi * x / period), np.sin(2 * np.pi * x / period)], axis=1)[inner]
    profile = density.data[inner, 6, 6]
    coefficients = np.linalg.lstsq(waves, profile, rcond=None)[0]
    return np.hypot(*coefficients), np.sqrt(np.mean((profile - waves @ coefficients) ** 2))


@pytest.mark.parametrize("step", [0.65, 0.9, 1.06, 1.3])
def test_three_angstrom_wave_survives(step):
    kept, rest = amplitude(resample_map(wave_map(step, 3.0)), 3.0)
    assert kept == pytest.approx(1, abs=0.05)
    assert rest < 0.02


STATED = {
    "sinc": (100, 100, 100, 99, 84),
    "cubic": (99, 96, 92, 74, 60),
    "trilinear": (86, 73, 67, 52, 45),
}
"""The table in the docstring: per cent of a 3 Å wave's amplitude from voxels of these sizes."""
STEPS = (0.65, 0.9, 1.06, 1.3, 1.4)


@pytest.mark.parametrize("order", ORDERS)
def test_amplitudes_stated_in_the_docstring(order):
    for step, percent in zip(STEPS, STATED[order], strict=True):
        kept, _ = amplitude(resample_map(wave_map(step, 3.0), order=order), 3.0)
        assert 100 * kept == pytest.approx(percent, abs=1), step
        assert f"{percent} %" in (resample_map.__doc__ or "")


def test_cubic_and_trilinear_have_the_response_of_cardinal_splines():
    """sinc⁴ and sinc² of the frequency over the sum of sinc⁴ of its aliases, from textbooks on splines."""
    f = 1.3 / 3.0 - np.arange(-50, 51)
    cubic = np.sinc(1.3 / 3.0) ** 4 / (np.sinc(f) ** 4).sum()
    linear = np.sinc(1.3 / 3.0) ** 2
    assert amplitude(resample_map(wave_map(1.3, 3.0), order="cubic"), 3.0)[0] == pytest.approx(cubic, abs=0.01)
    assert amplitude(resample_map(wave_map(1.3, 3.0), order="trilinear"), 3.0)[0] == pytest.approx(linear, abs=0.01)


def test_presets_that_trace_as_the_paper_are_trilinear_and_all_others_keep_the_amplitude():
    for preset in PRESETS.values():
        assert preset.resampling == ("trilinear" if preset.tracer == "tabu" else "sinc")


def test_sinc_is_fourier_interpolation_without_the_wrap():
    """Where a box's own period is whole, both are exact: a random band-limited map, away from the borders."""
    rng = np.random.default_rng(5)
    n, step = 60, 1.2
    spectrum = np.zeros(n, complex)
    spectrum[1:22] = rng.normal(size=21) + 1j * rng.normal(size=21)  # up to 3.3 Å
    waves = np.exp(2j * np.pi * np.outer(np.arange(72) / 72, np.arange(n)))
    fourier = (waves @ spectrum).real  # 72 voxels of 1 Å
    old = (np.exp(2j * np.pi * np.outer(np.arange(n) / n, np.arange(n))) @ spectrum).real
    data = np.broadcast_to(old[:, None, None], (n, 4, 4)).astype(np.float32)
    found = resample_map(DensityMap(data=data, step=np.full(3, step), origin=np.zeros(3))).data[:, 1, 1]
    inner = slice(15, 56)
    assert np.abs(found[inner] - fourier[inner]).max() < 0.01 * fourier.std()


def test_waves_beyond_the_new_nyquist_are_removed():
    assert np.abs(resample_map(wave_map(0.65, 1.6, (96, 12, 12))).data[12:-12]).max() < 0.02


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("step", [0.7, 1.34])
def test_constant_stays_constant(order, step):
    flat = DensityMap(data=np.full((14, 11, 9), 2.5, np.float32), step=np.full(3, step), origin=np.zeros(3))
    np.testing.assert_allclose(resample_map(flat, order=order).data, 2.5, rtol=1e-5)


@pytest.mark.parametrize("order", ORDERS)
def test_size_and_place(order):
    """Voxel sizes differ per axis; the first voxel stays where it is and the last lies inside the old grid."""
    data = np.random.default_rng(0).normal(size=(20, 31, 17)).astype(np.float32)
    density = DensityMap(
        data=data, step=np.array([1.3, 0.8, 1.0]), origin=np.array([3.0, 4.0, 5.0]), placement="origin"
    )
    out = resample_map(density, order=order)
    assert out.shape == (25, 25, 17)
    assert out.placement == "origin"
    np.testing.assert_array_equal(out.origin, density.origin)
    np.testing.assert_array_equal(out.step, 1.0)
    if order != "sinc":
        np.testing.assert_allclose(out.data[0, 0], data[0, 0], atol=1e-5)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("step", [0.9, 1.2])
def test_blob_stays_where_it_is(order, step):
    centre = np.array([14.2, 11.7, 12.9])
    shape = (30, 27, 28)
    xyz = np.stack(np.meshgrid(*(np.arange(n) * step for n in shape), indexing="ij"), axis=-1)
    data = np.exp(-((xyz - centre) ** 2).sum(-1) / 8).astype(np.float32)
    out = resample_map(DensityMap(data=data, step=np.full(3, step), origin=np.zeros(3)), order=order)
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in out.shape), indexing="ij"), axis=-1)
    found = (grid * out.data[..., None]).sum((0, 1, 2)) / out.data.sum()
    np.testing.assert_allclose(found, centre, atol=0.02)
    tolerance = 0.1 if order == "trilinear" else 0.003
    np.testing.assert_allclose(out.data, np.exp(-((grid - centre) ** 2).sum(-1) / 8), atol=tolerance)


def test_doubling_keeps_the_samples():
    data = np.random.default_rng(1).normal(size=(12, 12, 12)).astype(np.float32)
    out = resample_map(DensityMap(data=data, step=np.full(3, 2.0), origin=np.zeros(3)))
    np.testing.assert_allclose(out.data[::2, ::2, ::2], data, atol=1e-5)


def test_map_on_the_grid_is_returned_as_it_is():
    density = wave_map(1.0005, 4.0)
    assert resample_map(density) is density


def test_impossible_steps_are_refused():
    with pytest.raises(MapError, match="0 Å is not possible"):
        resample_map(wave_map(1.3, 4.0), 0.0)
    with pytest.raises(MapError, match="2 × 1 × 1 voxels"):
        resample_map(wave_map(1.3, 4.0), 50.0)
    with pytest.raises(MapError, match="voxels of 4.5 Å hold nothing finer than 9 Å"):
        resample_map(wave_map(4.5, 20.0))
    with pytest.raises(MapError, match="crop it"):
        resample_map(wave_map(1.3, 4.0), 0.001)
