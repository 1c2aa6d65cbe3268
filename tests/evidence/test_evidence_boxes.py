"""Boxes are cut as section 2.2 and the authors' programs say: against one that walks over every voxel."""

import numpy as np
import pytest

from deepmm_jax.evidence.boxes import point_boxes, scaled, spans, voxel_boxes


def plain_box(data: np.ndarray, low: np.ndarray, side: int) -> np.ndarray:
    out = np.zeros((side, side, side))
    for place in np.ndindex(side, side, side):
        voxel = low + place
        if (voxel >= 0).all() and (voxel < data.shape).all():
            out[place] = data[tuple(voxel)]
    span = out.max() - out.min()
    return (out - out.min()) / span if span > 0 else np.zeros_like(out)


@pytest.fixture
def data(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(0.5, 1.0, size=(14, 9, 12)).astype(np.float32)


def test_box_a_is_around_the_voxel_and_keeps_negative_density(data: np.ndarray):
    voxels = np.array([[0, 0, 0], [7, 4, 5], [13, 8, 11], [6, 0, 11]])
    boxes = voxel_boxes(data, voxels)
    assert boxes.dtype == np.float32
    for box, voxel in zip(boxes, voxels, strict=True):
        np.testing.assert_allclose(box, plain_box(data, voxel - 5, 11), atol=1e-6)
    inside = boxes[1]  # no zero outside the map reaches the lowest density here
    assert (inside.min(), inside.max()) == (0, 1) and data.min() < 0


def test_box_b_lies_about_the_point_and_clips(data: np.ndarray, rng: np.random.Generator):
    points = np.concatenate(
        [rng.uniform(0, np.array(data.shape) - 1, size=(20, 3)), [[0.0, 0.0, 0.0], [13.0, 8.0, 11.0]]]
    )
    boxes = point_boxes(data, points.astype(np.float32))
    for box, point in zip(boxes, points, strict=True):
        low = np.floor(point).astype(int) - 4
        high = np.ceil(point).astype(int) + 4
        if (point % 1 > 0).all():
            np.testing.assert_array_equal(high - low, 9)  # ten voxels, both ends counted
        expected = plain_box(np.maximum(data, 0), low, 10)
        np.testing.assert_allclose(box, expected, atol=5.001e-4)
        np.testing.assert_allclose(box * 1000, np.rint(box * 1000), atol=1e-3)


def test_an_even_box_is_empty_and_scale_does_not_matter(data: np.ndarray):
    assert not scaled(np.full((1, 3, 3, 3), 7.0, np.float32)).any()
    voxels = np.array([[7, 4, 5]])
    np.testing.assert_allclose(voxel_boxes(data * 40, voxels), voxel_boxes(data, voxels), atol=1e-6)


@pytest.mark.parametrize(("count", "expected"), [(0, []), (2, [2]), (7, [3, 3, 1]), (6, [3, 3])])
def test_spans_cover_every_row_once(count: int, expected: list[int]):
    rows = np.arange(count)
    parts = [rows[span] for span in spans(count, 3)]
    assert [len(part) for part in parts] == expected
    np.testing.assert_array_equal(np.concatenate([*parts, rows[:0]]), rows)
