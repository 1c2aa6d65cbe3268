"""The turns of a cube: proper, complete, and undone exactly, vectors included."""

import numpy as np
import pytest

from deepmm_jax.networks.turns import cube_turns


def test_there_are_24_proper_turns_and_the_first_four_are_a_group():
    matrices = [turn.matrix for turn in cube_turns(24)]
    assert len({m.tobytes() for m in matrices}) == 24
    for matrix in matrices:
        np.testing.assert_array_equal(matrix @ matrix.T, np.eye(3))
        assert np.linalg.det(matrix) == pytest.approx(1)
    np.testing.assert_array_equal(matrices[0], np.eye(3))
    for count in (4, 24):
        group = [turn.matrix.tolist() for turn in cube_turns(count)]
        for first in cube_turns(count):
            for second in cube_turns(count):
                product = first.matrix @ second.matrix + 0.0  # no -0.0
                assert product.tolist() in group
    assert [round(np.trace(m)) for m in matrices[1:4]] == [-1, -1, -1], "half turns"


@pytest.mark.parametrize("number", range(24))
def test_voxels_and_vectors_turn_as_the_matrix_says(number: int, rng: np.random.Generator):
    turn = cube_turns(24)[number]
    volume = rng.normal(size=(6, 6, 6, 2)).astype(np.float32)
    turned = turn.turned(volume)
    voxel = np.array([1, 4, 2])
    place = (turn.matrix @ (voxel - 2.5) + 2.5).round().astype(int)
    np.testing.assert_array_equal(turned[tuple(place)], volume[tuple(voxel)])
    np.testing.assert_array_equal(turn.back(turned), volume)
    np.testing.assert_array_equal(turn.back(turn.turned(volume[..., 0])), volume[..., 0])

    vectors = rng.normal(size=(6, 6, 6, 2, 3)).astype(np.float32)
    after = turn.turned(vectors) @ turn.matrix.T.astype(np.float32)
    back = turn.vectors_back(after.reshape(6, 6, 6, 6))
    np.testing.assert_allclose(back, vectors.reshape(6, 6, 6, 6), atol=1e-6)
