"""Typed points: classes sum the probabilities of their amino acids."""

import numpy as np

from deepmm_jax.constants import AMINO_ACIDS
from deepmm_jax.evidence.volumes import TypedPoints


def test_class_is_that_of_the_summed_probability():
    amino_acids = np.zeros((3, 20), np.float32)
    # Tryptophan is the best single type, but L, D and N together are class 1.
    for letter, probability in {"W": 0.4, "L": 0.2, "D": 0.2, "N": 0.2}.items():
        amino_acids[0, AMINO_ACIDS.index(letter)] = probability
    amino_acids[1, AMINO_ACIDS.index("K")] = 1.0
    amino_acids[2, AMINO_ACIDS.index("Y")] = 1.0
    points = TypedPoints(
        positions=np.zeros((3, 3), np.float32),
        calpha=np.ones(3, np.float32),
        amino_acids=amino_acids,
        secondary_structure=np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2], [0.1, 0.8, 0.1]], np.float32),
    )
    np.testing.assert_array_equal(points.classes, [1, 2, 3])
    np.testing.assert_array_equal(points.states, [2, 0, 1])
