"""Standard radial amplitudes: the same whatever the sharpening, bounded in gain, and in place."""

import numpy as np
import pytest

from deepmm_jax.density.amplitudes import LARGEST_GAIN, STANDARD_B, spatial_frequency, standard_amplitudes
from deepmm_jax.density.simulate import add_gaussians


def blobs(width: float, seed: int = 3, side: int = 48) -> np.ndarray:
    """Atoms that fill the middle of a box."""
    rng = np.random.default_rng(seed)
    atoms = rng.uniform(0.3 * side, 0.7 * side, (400, 3)).astype(np.float32)
    return add_gaussians(atoms, np.full(400, 6.0), np.full(400, width), (side, side, side))


def shell_amplitudes(data: np.ndarray, edges: np.ndarray) -> np.ndarray:
    power = np.abs(np.fft.rfftn(data)) ** 2
    shell = np.digitize(spatial_frequency(data.shape), edges)
    return np.sqrt([power[shell == i].mean() for i in range(1, len(edges))])


def test_frequencies_are_those_of_the_transform():
    s = spatial_frequency((6, 8, 10), 2.0)
    assert s.shape == (6, 8, 6)
    assert s[1, 0, 0] == pytest.approx(1 / 12) and s[0, -1, 0] == pytest.approx(1 / 16)
    assert s[3, 4, 5] == pytest.approx(np.sqrt(3) * 0.25)


def test_sharpened_and_blurred_maps_come_out_alike():
    edges = np.array([0.12, 0.16, 0.2, 0.24, 0.28, 0.32])
    outs = [standard_amplitudes(blobs(width)) for width in (1.2, 1.6)]
    assert np.corrcoef(blobs(1.2).ravel(), blobs(1.6).ravel())[0, 1] < 0.97
    assert np.corrcoef(outs[0].ravel(), outs[1].ravel())[0, 1] > 0.995
    middle = (edges[:-1] + edges[1:]) / 2
    for out in outs:
        measured = np.log(shell_amplitudes(out, edges))
        slope = np.polyfit(middle**2, measured, 1)[0]
        assert slope == pytest.approx(-STANDARD_B / 4, rel=0.15)


def test_the_scale_of_a_map_stays_its_scale():
    data = blobs(1.4)
    np.testing.assert_allclose(standard_amplitudes(7 * data), 7 * standard_amplitudes(data), rtol=1e-3, atol=1e-3)
    edges = np.array([0.0, 0.06])
    assert shell_amplitudes(standard_amplitudes(data), edges) == pytest.approx(shell_amplitudes(data, edges), rel=0.02)


def test_no_frequency_is_raised_beyond_the_limit():
    data = blobs(3.0)  # nothing is left of it at 3 Å
    before, after = (np.abs(np.fft.rfftn(d.astype(float))) for d in (data, standard_amplitudes(data)))
    rounding = 1e-6 * before.max()
    assert (after <= 1.01 * LARGEST_GAIN * before + LARGEST_GAIN * rounding).all()
    assert (after[before > 1e-4 * before.max()] > 5 * before[before > 1e-4 * before.max()]).any()


def test_a_cut_box_is_faded_out_at_its_faces():
    data = blobs(1.4)[:, 24:, :].copy()  # cut through the middle of the molecule
    faded = standard_amplitudes(data, taper=6)
    assert np.abs(faded[:, 0]).max() < 0.3 * np.abs(standard_amplitudes(data)[:, 0]).max()
    whole = standard_amplitudes(blobs(1.4))[:, 24:]
    inner = np.s_[8:-8, 8:-8, 8:-8]
    assert np.corrcoef(faded[inner].ravel(), whole[inner].ravel())[0, 1] > 0.97


@pytest.mark.parametrize("side", [4, 9, 13])
def test_small_maps_are_not_blown_up(side: int):
    data = blobs(1.4)[18 : 18 + side, 18 : 18 + side, 18 : 18 + side]
    out = standard_amplitudes(data, taper=2)
    assert 0.1 < out.std() / data.std() < 3 and out.max() < 3 * data.max()


def test_an_empty_map_stays_empty():
    assert not standard_amplitudes(np.zeros((12, 13, 14), np.float32)).any()
