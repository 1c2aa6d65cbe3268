"""Zones: what stays of a map around a chain, and whether the chain fits it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.errors import MapError
from deepmm_jax.structure.chain import Chain
from deepmm_jax.training.curation.settings import CurationSettings
from deepmm_jax.training.curation.zone import why_not_fit, wrong_resolution, zoned_map
from reference.curation_inputs import part


SETTINGS = CurationSettings()


@pytest.fixture(scope="module")
def density(ubiquitin: Chain) -> DensityMap:
    """Ubiquitin and a copy 45 Å away, on a grid of 1.3 Å."""
    both = np.concatenate([ubiquitin.positions, part(ubiquitin, 0, 76, "B", shift=45.0).positions])
    return simulate_map(both, np.tile(ubiquitin.atomic_numbers, 2), 3.5, 1.3)


def test_zone_is_what_lies_within_four_angstrom(density: DensityMap, ubiquitin: Chain):
    zoned = zoned_map(density, ubiquitin)
    assert zoned.step.tolist() == [1, 1, 1]
    voxels = zoned.to_xyz(np.stack(np.indices(zoned.shape), axis=-1).reshape(-1, 3))
    distance, _ = cKDTree(ubiquitin.positions).query(voxels)
    distance = distance.reshape(zoned.shape)
    assert (zoned.data[distance > 4.001] == 0).all()
    assert (zoned.data[distance < 3.999] != 0).all()
    assert zoned.shape[0] < 1.3 * density.shape[0] / 1.5, "the copy's part of the box is cut away"
    whole = simulate_map(ubiquitin.positions, ubiquitin.atomic_numbers, 3.5, 1.0)
    assert zoned_map(whole, ubiquitin, 3.0).data.max() == whole.data.max()


def test_a_chain_fits_its_own_place_alone(density: DensityMap, ubiquitin: Chain):
    reason, correlation = why_not_fit(zoned_map(density, ubiquitin), ubiquitin, 3.5, SETTINGS)
    assert reason == "" and correlation > 0.8
    moved = part(ubiquitin, 0, 76, shift=5.0)
    reason, correlation = why_not_fit(zoned_map(density, moved), moved, 3.5, SETTINGS)
    assert reason == f"poor fit: correlation {correlation:.3f}" and correlation < 0.5
    lenient = replace(SETTINGS, correlation=0.0)
    assert why_not_fit(zoned_map(density, moved), moved, 3.5, lenient) == ("", correlation)


def test_a_chain_without_density_is_told(density: DensityMap, ubiquitin: Chain):
    for shift, sentence in ((400.0, "lies outside the map"), (-400.0, "lies outside the map")):
        with pytest.raises(MapError, match=sentence):
            zoned_map(density, part(ubiquitin, 0, 76, shift=shift))
    emptied = np.where(np.indices(density.shape)[0] > density.shape[0] // 2, density.data, 0)
    with pytest.raises(MapError, match="no density around the chain"):
        zoned_map(density.with_data(emptied.astype(np.float32)), part(ubiquitin, 0, 76, shift=-40.0))


def test_a_map_that_cannot_be_correlated_is_a_reason(density: DensityMap, ubiquitin: Chain):
    assert why_not_fit(zoned_map(density, ubiquitin), ubiquitin, 1.2, SETTINGS)[1] > 0.5
    reason, correlation = why_not_fit(zoned_map(density, ubiquitin), ubiquitin, 25.0, SETTINGS)
    assert reason.startswith("no correlation: ") and correlation == 0.0


def test_resolutions_are_limits_included():
    assert [wrong_resolution(r, SETTINGS) for r in (1.9, 2.0, 5.0, 5.1)] == [
        "resolution: 1.9 Å", "", "", "resolution: 5.1 Å",
    ]  # fmt: skip
