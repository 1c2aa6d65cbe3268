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


def test_real_maps_without_a_length(data_directory):
    """The estimate without a length stays within the spread that the docstring states (three of the 24 maps)."""
    for name in ("emd6272_3j9s_A", "emd5185_3j06_deepmm", "vp6_unmasked"):
        density = read_map(data_directory / "maps" / f"{name}.mrc.gz")
        atoms = (data_directory / "maps" / f"{name}.pdb").read_text().splitlines()
        n_residues = sum(line.startswith("ATOM") and line[12:16] == " CA " for line in atoms)
        volume = float(np.prod(density.step))
        ratio = top_volume_scale(density.data, volume) / top_volume_scale(density.data, volume, n_residues)
        assert 0.7 < ratio < 1.4, name
