"""Masks and contour levels: what is kept, and the sentences for those that do not fit."""

from dataclasses import replace

import numpy as np
import pytest

from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mask import apply_mask, check_contour, crop_to_density
from deepmm_jax.errors import MapError


def as_map(data: np.ndarray, step: float = 1.0) -> DensityMap:
    return DensityMap(data=data.astype(np.float32), step=np.full(3, step), origin=np.array([1.0, 2.0, 3.0]))


def test_density_stays_where_the_mask_is_above_zero(rng: np.random.Generator):
    density, mask = as_map(rng.normal(size=(4, 5, 6))), as_map(rng.normal(size=(4, 5, 6)))
    kept = apply_mask(density, mask, "mask.mrc")
    inside = mask.data > 0
    np.testing.assert_array_equal(kept.data[inside], density.data[inside])
    assert inside.any() and not kept.data[~inside].any()
    np.testing.assert_array_equal(kept.origin, density.origin)


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (as_map(np.ones((4, 5, 7))), "mask cut.mrc has 4 × 5 × 7 voxels"),
        (as_map(np.ones((4, 5, 6)), step=1.1), r"voxels of 1\.100 Å from \(1\.0, 2\.0, 3\.0\) and the map 4 × 5 × 6"),
        (replace(as_map(np.ones((4, 5, 6))), origin=np.array([1.0, 2.0, 9.0])), r"from \(1\.0, 2\.0, 9\.0\)"),
        (as_map(np.zeros((4, 5, 6))), "mask cut.mrc leaves no density"),
    ],
)
def test_mask_that_does_not_fit_is_refused(mask: DensityMap, sentence: str):
    with pytest.raises(MapError, match=sentence):
        apply_mask(as_map(np.ones((4, 5, 6))), mask, "cut.mrc")


def test_step_of_the_mask_may_differ_by_rounding():
    density = as_map(np.ones((3, 3, 3)))
    assert apply_mask(density, as_map(np.ones((3, 3, 3)), step=1.0005), "mask.mrc").data.all()


def test_contour_must_lie_below_the_maximum():
    density = as_map(np.arange(27.0).reshape(3, 3, 3))
    check_contour(density, 25.9, "map.mrc")
    for level in (26.0, 100.0):
        with pytest.raises(MapError, match=rf"--contour {level:g} is above the maximum of map\.mrc, 26"):
            check_contour(density, level, "map.mrc")


def test_crop_keeps_the_density_and_its_place():
    density = as_map(np.zeros((30, 20, 12)), step=1.5)
    density.data[12:15, 4, 10] = 2.0
    cropped = crop_to_density(density, 1.0, margin=3)
    assert cropped.shape == (9, 7, 5)  # the last axis ends before its margin does
    np.testing.assert_array_equal(cropped.data[3:6, 3, 3], 2.0)
    np.testing.assert_allclose(cropped.to_xyz(np.array([3, 3, 3])), density.to_xyz(np.array([12, 4, 10])))
    assert crop_to_density(density, 5.0, margin=3) is density
