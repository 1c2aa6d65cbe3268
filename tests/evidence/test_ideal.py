"""Ideal evidence: equation 1, the nearest Cα, directions along the chain, types."""

from pathlib import Path

import numpy as np
import pytest

from deepmm_jax.constants import AMINO_ACIDS, SECONDARY_STRUCTURES
from deepmm_jax.density.map import DensityMap
from deepmm_jax.evidence.ideal import (
    ATOM_KINDS,
    atom_probability,
    calpha_directions,
    ideal_evidence,
    nearest_point,
)
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.secondary_structure import assign_secondary_structure
from reference import evidence_oracle


EXAMPLE = Path(__file__).parents[2] / "examples" / "1ake_A.pdb.gz"
SHAPE = (24, 26, 22)


@pytest.fixture(scope="module")
def chain() -> Chain:
    return read_chains(EXAMPLE)[0]


@pytest.fixture(scope="module")
def evidence(chain: Chain) -> Evidence:
    """A box in the middle of the chain, off the grid of the atoms."""
    origin = chain.calpha.mean(axis=0).astype(float) - [12.3, 12.8, 11.1]
    return ideal_evidence(chain, DensityMap(data=np.zeros(SHAPE, np.float32), step=np.ones(3), origin=origin))


def test_probability_is_equation_1(rng: np.random.Generator):
    positions = rng.uniform(-2, 12, (15, 3)).astype(np.float32)
    with_missing = np.concatenate([positions, np.full((2, 3), np.nan, np.float32)])
    expected = evidence_oracle.atom_probability(positions, (9, 10, 11))
    np.testing.assert_allclose(atom_probability(with_missing, (9, 10, 11)), expected, atol=1e-6)
    assert not atom_probability(np.full((1, 3), np.nan, np.float32), (3, 3, 3)).any()


def test_nearest_point_is_the_nearest(rng: np.random.Generator):
    positions = rng.uniform(-2, 12, (15, 3)).astype(np.float32)
    index, squared = nearest_point(positions, (9, 10, 11), 4.0)
    apart = evidence_oracle.distances(positions, (9, 10, 11))
    within = apart.min(axis=-1) <= 4.0
    assert 0 < within.mean() < 1
    np.testing.assert_array_equal(index, np.where(within, apart.argmin(axis=-1), -1))
    np.testing.assert_allclose(squared[within], apart.min(axis=-1)[within] ** 2, rtol=1e-5, atol=1e-6)
    assert np.isinf(squared[~within]).all()


def test_directions_are_unit_vectors_along_the_chain(chain: Chain):
    directions = calpha_directions(chain.calpha)
    ahead = directions[:-1, 3:]
    np.testing.assert_allclose(np.linalg.norm(ahead, axis=1), 1, atol=1e-5)
    bonds = np.linalg.norm(np.diff(chain.calpha, axis=0), axis=1, keepdims=True)
    np.testing.assert_allclose(chain.calpha[:-1] + bonds * ahead, chain.calpha[1:], atol=1e-3)
    np.testing.assert_array_equal(directions[1:, :3], -ahead)
    assert not directions[0, :3].any() and not directions[-1, 3:].any()
    # Read backwards, previous and next change places.
    backwards = calpha_directions(chain.calpha[::-1])
    np.testing.assert_allclose(backwards[::-1], np.roll(directions, 3, axis=1), atol=1e-6)


def test_no_direction_leads_across_a_break():
    calpha = np.array([[0, 0, 0], [3.8, 0, 0], [9.8, 0, 0], [13.6, 0, 0]], np.float32)
    expected = [[0, 0, 0, 1, 0, 0], [-1, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0], [-1, 0, 0, 0, 0, 0]]
    np.testing.assert_allclose(calpha_directions(calpha), expected, atol=1e-6)


def test_atom_volumes_of_a_chain(chain: Chain, evidence: Evidence):
    assert evidence.atoms is not None
    for channel, kind in enumerate(ATOM_KINDS):
        rows = [name == kind for name in chain.atom_names]
        expected = evidence_oracle.atom_probability(chain.positions[rows] - evidence.origin, SHAPE)
        np.testing.assert_allclose(evidence.atoms[..., channel], expected, atol=2e-5)
    np.testing.assert_array_equal(evidence.calpha, evidence.atoms[..., 1])
    np.testing.assert_array_equal(evidence.main_chain, evidence.atoms[..., :3].max(axis=-1))


def test_offsets_directions_and_types_are_those_of_the_nearest_calpha(chain: Chain, evidence: Evidence):
    assert evidence.offset is not None and evidence.directions is not None
    assert evidence.amino_acids is not None and evidence.secondary_structure is not None
    apart = evidence_oracle.distances(chain.calpha - evidence.origin, SHAPE)
    nearest, near = apart.argmin(axis=-1), apart.min(axis=-1) < 3.999
    places = evidence.origin + np.moveaxis(np.indices(SHAPE), 0, -1)
    np.testing.assert_allclose((places + evidence.offset)[near], chain.calpha[nearest][near], atol=1e-4)
    np.testing.assert_allclose(evidence.directions[near], calpha_directions(chain.calpha)[nearest][near])
    letters = np.array([AMINO_ACIDS.index(letter) for letter in chain.sequence])
    states = np.array([SECONDARY_STRUCTURES.index(state) for state in assign_secondary_structure(chain)])
    np.testing.assert_array_equal(evidence.amino_acids.argmax(axis=-1)[near], letters[nearest][near])
    np.testing.assert_array_equal(evidence.secondary_structure.argmax(axis=-1)[near], states[nearest][near])

    far = apart.min(axis=-1) > 4.001
    assert near.any() and far.any()
    assert not evidence.offset[far].any() and not evidence.directions[far].any()
    np.testing.assert_allclose(evidence.amino_acids[far], 1 / 20)
    for types in (evidence.amino_acids, evidence.secondary_structure):
        np.testing.assert_allclose(types.sum(axis=-1), 1, atol=1e-6)
