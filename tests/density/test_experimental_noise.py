"""Noise of the experimental simulator: the FSC it gives, its colour, solvent, and transplanted residuals."""

import numpy as np
import pytest

from deepmm_jax.density.experimental.noise import (
    ATOM_VOLUME,
    Noise,
    coloured_noise,
    drift_gain,
    half_map_correlation,
    noise_gain,
    signal_to_noise,
    solvent_share,
    transplanted,
    turn_cube,
)
from deepmm_jax.density.experimental.spectrum import TABLE


def frequency(shape: tuple[int, ...]) -> np.ndarray:
    return np.linalg.norm(np.stack(np.meshgrid(*map(np.fft.fftfreq, shape), indexing="ij")), axis=0)


@pytest.mark.parametrize("half", [0.9, 1.0, 1.2])
def test_the_ratio_is_a_third_at_the_stated_resolution(half: float):
    ssnr = signal_to_noise(np.array([half / 3.5]), Noise(half=half, slope=4.0), 3.5)
    np.testing.assert_allclose(ssnr, 1 / 3)
    # A perfect model correlates by √(SSNR / (1 + SSNR)) = 0.5 there, half maps by 1/7.
    np.testing.assert_allclose(np.sqrt(ssnr / (1 + ssnr)), 0.5)
    np.testing.assert_allclose(half_map_correlation(ssnr), 1 / 7)
    low, high = signal_to_noise(np.array([0.0, half / 3.5]), Noise(half=half, slope=4.0), 3.5)
    assert np.log(low / high) == pytest.approx(4.0)


def test_noise_gives_the_wanted_fsc_with_a_perfect_model(rng: np.random.Generator):
    shape, resolution = (40, 40, 40), 3.0
    ssnr = signal_to_noise(TABLE, Noise(slope=5.0), resolution)
    # A box full of atoms of power 1/(1 + 9 s²) each, one per ATOM_VOLUME.
    power = 1 / (1 + 9 * TABLE**2)
    signal = coloured_noise(shape, np.sqrt(power / ATOM_VOLUME), rng)
    a, b = np.fft.fftn(signal), np.fft.fftn(signal + coloured_noise(shape, noise_gain(power, ssnr), rng))
    s = frequency(shape)
    for centre in (0.2, 0.27, 1 / 3):
        shell = np.abs(s - centre) < 0.015
        fsc = (a[shell] * b[shell].conj()).real.sum() / np.sqrt((abs(a[shell]) ** 2).sum() * (abs(b[shell]) ** 2).sum())
        ratio = np.interp(centre, TABLE, ssnr)
        assert fsc == pytest.approx(np.sqrt(ratio / (1 + ratio)), abs=0.05)


def test_noise_has_the_colour_of_its_gain(rng: np.random.Generator):
    shape = (36, 34, 32)
    gain = np.exp(-6 * TABLE)
    power = np.abs(np.fft.fftn(coloured_noise(shape, gain, rng))) ** 2 / np.prod(shape)
    s = frequency(shape)
    for low in (0.1, 0.2, 0.3, 0.4):
        shell = (s > low) & (s < low + 0.05)
        assert power[shell].mean() == pytest.approx(np.interp(s[shell], TABLE, gain**2).mean(), rel=0.15)


@pytest.mark.parametrize("length", [5.0, 8.0])
def test_drift_is_slow_and_of_unit_variance(rng: np.random.Generator, length: float):
    drift = coloured_noise((48, 48, 48), drift_gain(Noise(drift_length=length)), rng)
    assert drift.std() == pytest.approx(1, rel=0.2)
    power = np.abs(np.fft.fftn(drift)) ** 2
    assert power[frequency(drift.shape) > 1.5 / length].sum() < 0.03 * power.sum()


def test_solvent_has_its_own_strength():
    share = solvent_share(np.array([[[0.0, 2.0, 3.5, 5.0, 9.0]]], np.float32), 0.4)
    np.testing.assert_allclose(share.ravel(), [1, 1, 0.7, 0.4, 0.4], atol=1e-6)


def test_the_cube_has_24_rotations_and_no_mirror_image(rng: np.random.Generator):
    data = rng.normal(size=(3, 3, 3))
    turned = [turn_cube(data, number) for number in range(24)]
    assert len({t.tobytes() for t in turned}) == 24
    mirrored = data[::-1]
    assert not any(np.array_equal(t, mirrored) for t in turned)
    corner = np.zeros((3, 3, 3))
    corner[0, 0, 0], corner[1, 0, 0], corner[0, 1, 0], corner[0, 0, 1] = 1, 2, 3, 4
    for number in range(24):  # the three neighbours of a corner keep their sense of rotation
        turn = turn_cube(corner, number)
        at = [np.argwhere(turn == value)[0].astype(float) for value in (1, 2, 3, 4)]
        assert np.linalg.det(np.array(at[1:]) - at[0]) == pytest.approx(1)


def test_transplants_fill_the_box_with_pieces_of_a_residual(rng: np.random.Generator):
    residuals = [rng.normal(size=(9, 11, 10)).astype(np.float32) for _ in range(2)]
    out = transplanted(residuals, (16, 12, 14), rng)
    assert out.shape == (16, 12, 14) and out.dtype == np.float32
    assert any(np.isin(out, residual).all() for residual in residuals)
    piece = out[:3, :3, :3]  # a block without a seam is found in one of the turned residuals
    different = [transplanted(residuals, (16, 12, 14), rng) for _ in range(3)]
    assert all(np.abs(d - out).max() > 0 for d in different) and piece.std() > 0
