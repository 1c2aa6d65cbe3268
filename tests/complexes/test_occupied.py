"""What a built chain leaves of the evidence."""

from dataclasses import replace

import numpy as np
import pytest

from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.complexes.occupied import OCCUPIED_RADIUS, without_occupied
from deepmm_jax.evidence.volumes import Evidence


@pytest.fixture
def evidence(rng: np.random.Generator) -> Evidence:
    main_chain = rng.uniform(0.1, 1.0, (20, 22, 24)).astype(np.float32)
    return Evidence(main_chain=main_chain, calpha=main_chain / 2, step=np.full(3, 0.9), origin=np.array([5.0, -3, 1]))


@pytest.fixture
def chain(rng: np.random.Generator) -> CalphaModels:
    """Two models of ten residues, of which the last is not built."""
    positions = np.array([5.0, -3, 1]) + rng.uniform(2, 17, (2, 10, 3))
    positions[:, 9] = np.nan
    zeros = np.zeros((2, 10), np.float32)
    return CalphaModels(
        positions=positions.astype(np.float32),
        built=np.isfinite(positions[..., 0]),
        scores=zeros[:, 0],
        mscores=zeros[:, 0],
        support=zeros,
    )


def test_second_chain_finds_only_what_the_first_one_left(evidence: Evidence, chain: CalphaModels):
    free = without_occupied(evidence, [chain])
    xyz = evidence.origin + np.stack(np.indices(evidence.main_chain.shape), axis=-1) * evidence.step
    away = np.linalg.norm(xyz[..., None, :] - chain.positions[0, :9], axis=-1).min(axis=-1)
    near = away < OCCUPIED_RADIUS
    assert near.any() and not near.all()
    np.testing.assert_array_equal(free.main_chain, np.where(near, 0, evidence.main_chain))
    np.testing.assert_array_equal(free.calpha, np.where(near, 0, evidence.calpha))
    assert evidence.main_chain.all(), "the evidence that was given stays as it is"


def test_nothing_is_taken_by_no_chain_and_from_no_evidence(evidence: Evidence, chain: CalphaModels):
    assert without_occupied(evidence, []) is evidence
    empty = np.zeros_like(evidence.main_chain)
    nothing = replace(evidence, main_chain=empty, calpha=empty)
    assert not without_occupied(nothing, [chain]).main_chain.any()
