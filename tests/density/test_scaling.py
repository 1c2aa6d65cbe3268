"""Scaling: the mean of the voxels that fill the molecule, whatever the units, the box and the solvent noise."""

import numpy as np
import pytest

from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc import read_map
from deepmm_jax.density.scaling import contour_level, default_threshold, scale_map, top_volume_scale
from deepmm_jax.errors import MapError


def molecule(n_residues=60, box=40, noise=0.0, seed=0):
    """Voxels of 1 Å³, of which 133 a residue have a density spread around 1."""
    rng = np.random.default_rng(seed)
    data = np.zeros(box**3, np.float32)
    inside = rng.choice(data.size, 133 * n_residues, replace=False)
    data += noise * rng.normal(size=data.size).astype(np.float32)
    data[inside] = np.clip(rng.normal(1, 0.3, inside.size), 0.4, None)
    return data.reshape(box, box, box)


def test_known_volume_gives_the_mean_inside_it():
    data = molecule()
    assert top_volume_scale(data, 1.0, 60) == pytest.approx(float(data[data > 0].mean()), rel=1e-5)


@pytest.mark.parametrize("n_residues", [60, None])
def test_scale_follows_the_units(n_residues):
    data = molecule(noise=0.05)
    scale = top_volume_scale(data, 1.0, n_residues)
    assert top_volume_scale(data * 317, 1.0, n_residues) == pytest.approx(317 * scale, rel=1e-4)


def test_voxel_volume_counts():
    """The top voxels of twice the volume each are half as many."""
    data = molecule()
    assert top_volume_scale(data, 2.0, 60) == pytest.approx(top_volume_scale(data, 1.0, 30), rel=1e-6)


def test_empty_voxels_never_count():
    data = molecule(n_residues=10)
    assert top_volume_scale(data, 1.0, 100) == pytest.approx(float(data[data > 0].mean()), rel=1e-5)


@pytest.mark.parametrize("box, noise", [(24, 0.0), (40, 0.0), (40, 0.07), (80, 0.07)])
def test_unknown_length_is_near_the_known_one(box, noise):
    data = molecule(box=box, noise=noise)
    assert top_volume_scale(data, 1.0) == pytest.approx(top_volume_scale(data, 1.0, 60), rel=0.2)


def test_scaled_map_has_scale_one():
    density = DensityMap(data=molecule() * 40, step=np.ones(3), origin=np.zeros(3))
    scaled = scale_map(density, 60)
    assert top_volume_scale(scaled.data, 1.0, 60) == pytest.approx(1, rel=1e-5)
    assert scaled.data.dtype == np.float32
    np.testing.assert_array_equal(scaled.origin, density.origin)


def test_contour_separates_molecule_from_noise():
    data = molecule(box=60, noise=0.05)
    assert (data > contour_level(data)).sum() == pytest.approx(133 * 60, rel=0.02)


def test_threshold_is_half_the_contour():
    data = molecule()
    assert default_threshold(data, 0.08) == 0.04
    assert default_threshold(data) == contour_level(data) / 2


@pytest.mark.parametrize("function", [contour_level, default_threshold, lambda data: top_volume_scale(data, 1.0, 5)])
def test_no_positive_voxel_is_refused(function):
    with pytest.raises(MapError, match="no positive density"):
        function(-molecule())


@pytest.mark.parametrize("n_residues", [60, None])
def test_the_mean_of_large_values_does_not_overflow(n_residues):
    data = molecule()
    scale = top_volume_scale(data, 1.0, n_residues)
    assert top_volume_scale(data * np.float32(1e36), 1.0, n_residues) == pytest.approx(1e36 * scale, rel=1e-4)
    density = DensityMap(data=data * np.float32(1e36), step=np.ones(3), origin=np.zeros(3))
    np.testing.assert_allclose(scale_map(density, n_residues).data, data / scale, rtol=1e-4)


@pytest.mark.parametrize(
    ("outlier", "sentence"),
    [(np.inf, "not finite"), (-np.inf, "reaches inf"), (np.nan, "reaches nan"), (-3e38, r"reaches 3e\+38")],
)
def test_outliers_are_refused(outlier, sentence):
    data = molecule()
    data[0, 0, 0] = outlier
    with pytest.raises(MapError, match=sentence):
        scale_map(DensityMap(data=data, step=np.ones(3), origin=np.zeros(3)))


def test_top_volume_is_the_rule_written_out():
    """V = 133 Å³ a residue; the highest V / voxel volume voxels; their mean."""
    data = np.random.default_rng(2).normal(size=(20, 21, 22)).astype(np.float32)
    voxel, n_residues = 1.1**3, 7
    count = int(133 * n_residues / voxel)
    assert count == 699
    expected = np.sort(data.ravel())[::-1][:count].mean()
    assert top_volume_scale(data, voxel, n_residues) == pytest.approx(expected, rel=1e-5)


def test_large_maps_are_judged_by_a_part_of_their_voxels(monkeypatch):
    data = molecule(box=60, noise=0.05)
    whole = contour_level(data)
    monkeypatch.setattr("deepmm_jax.density.scaling._ENOUGH_VOXELS", 10_000)
    assert contour_level(data) == pytest.approx(whole, rel=0.05)


TRAINABLE = ("emd5137_3los_A", "emd8923_6dw1_A", "emd12528_7nqk_AB", "emd32143_gs_ABGN", "emd6187_3j8x_K")


def real_map(data_directory, name):
    """A map that may be trained on, the densities at its Cα atoms, and how many these are."""
    density = read_map(data_directory / "maps" / f"{name}.mrc.gz")
    lines = (data_directory / "maps" / f"{name}.pdb").read_text().splitlines()
    xyz = [
        [float(line[i : i + 8]) for i in (30, 38, 46)]
        for line in lines
        if line.startswith("ATOM") and line[12:16] == " CA "
    ]
    ijk = np.clip(np.rint(density.to_grid(np.array(xyz))).astype(int), 0, np.array(density.shape) - 1)
    return density, density.data[tuple(ijk.T)], len(xyz)


@pytest.mark.parametrize("name", TRAINABLE)
def test_estimates_on_real_maps(data_directory, name):
    """What the docstrings state of the contour and of the scale without a length."""
    density, at_calpha, n_residues = real_map(data_directory, name)
    volume = float(np.prod(density.step))
    ratio = top_volume_scale(density.data, volume) / top_volume_scale(density.data, volume, n_residues)
    assert 0.7 < ratio < 1.4
    contour = contour_level(density.data)
    assert 0.5 < (density.data > contour).sum() * volume / (133 * n_residues) < 1.25
    assert (at_calpha > contour).mean() >= 0.95


def test_a_recommended_contour_may_be_higher_than_the_estimate(data_directory):
    """EMD-8923, contour 7.68: half of it, the paper's threshold, holds the chain, and so does half the estimate."""
    density, at_calpha, _ = real_map(data_directory, "emd8923_6dw1_A")
    assert contour_level(density.data) == pytest.approx(2.47, abs=0.01)
    assert default_threshold(density.data, 7.68) == 3.84
    assert (at_calpha > 3.84).mean() > 0.95
    assert (at_calpha > default_threshold(density.data)).mean() > 0.99
