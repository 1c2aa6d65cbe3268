"""Letters as indices, classes and states."""

import numpy as np

from deepmm_jax.constants import AMINO_ACIDS, RESIDUE_CLASSES
from deepmm_jax.sequence import SequenceProfile, encode_letters


def test_letters_are_indices_into_the_amino_acids():
    np.testing.assert_array_equal(encode_letters(AMINO_ACIDS + "X?"), [*range(20), 20, 20])


def test_profile_tells_class_and_state_of_every_residue():
    states = np.array([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0, 0, 0]], np.float32)
    profile = SequenceProfile(name="three", letters="WKX", secondary_structure=states)
    assert len(profile) == 3
    np.testing.assert_array_equal(profile.states, [0, 2, 3])
    np.testing.assert_array_equal(profile.classes, [3, 2, 4])
    assert all(letter in RESIDUE_CLASSES[c] for letter, c in zip("WK", profile.classes, strict=False))
