"""Evidence between voxels: interpolation, typed points, Cα peaks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from deepmm_jax.density.map import DensityMap
from deepmm_jax.evidence.ideal import atom_probability, ideal_evidence
from deepmm_jax.evidence.points import calpha_peaks, interpolate, type_points
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.sequence.profile import encode_letters
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains


EXAMPLE = Path(__file__).parents[2] / "examples" / "1ake_A.pdb.gz"
SHAPE = (6, 7, 8)


@pytest.fixture(scope="module")
def chain() -> Chain:
    return read_chains(EXAMPLE)[0]


@pytest.fixture(scope="module")
def evidence(chain: Chain) -> Evidence:
    low, high = chain.positions.min(axis=0) - 4.6, chain.positions.max(axis=0) + 4
    nx, ny, nz = np.ceil(high - low).astype(int)
    grid = DensityMap(data=np.zeros((nx, ny, nz), np.float32), step=np.ones(3), origin=low.astype(float))
    return ideal_evidence(chain, grid)


def test_interpolation_is_exact_on_a_linear_function(rng: np.random.Generator):
    slopes = rng.normal(size=(3, 4))
    volume = (np.moveaxis(np.indices(SHAPE), 0, -1) @ slopes + 2.0).astype(np.float32)
    places = rng.uniform(0, np.array(SHAPE) - 1, (50, 3))
    expected = places @ slopes + 2.0
    np.testing.assert_allclose(interpolate(volume, places), expected, atol=1e-4)
    np.testing.assert_allclose(interpolate(volume[..., 1], places), expected[:, 1], atol=1e-4)


def test_interpolation_keeps_voxels_and_edges(rng: np.random.Generator):
    volume = rng.normal(size=SHAPE).astype(np.float32)
    corners = np.array(list(np.ndindex(SHAPE)))
    np.testing.assert_allclose(interpolate(volume, corners.astype(float)), volume.ravel(), atol=1e-6)
    beyond = np.array([[-3.0, 2.0, 4.0], [99.0, 99.0, 99.0]])
    np.testing.assert_allclose(interpolate(volume, beyond), [volume[0, 2, 4], volume[-1, -1, -1]], atol=1e-6)
    flat = volume[:, :1]
    np.testing.assert_allclose(interpolate(flat, np.array([[1.0, 0.0, 2.0]])), [flat[1, 0, 2]], atol=1e-6)


def test_points_at_calpha_have_the_types_of_their_residue(chain: Chain, evidence: Evidence):
    points = type_points(evidence, chain.calpha)
    np.testing.assert_allclose(points.amino_acids.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(points.secondary_structure.sum(axis=1), 1, atol=1e-5)
    assert (points.amino_acids.argmax(axis=1) == encode_letters(chain.sequence)).all()
    assert (points.calpha > 0.4).all() and (points.calpha <= 1).all()


def test_types_stay_probabilities_in_half_precision(evidence: Evidence, rng: np.random.Generator):
    assert evidence.amino_acids is not None
    half = replace(evidence, amino_acids=evidence.amino_acids.astype(np.float16))
    places = (evidence.origin + rng.uniform(0, 30, (40, 3))).astype(np.float32)
    np.testing.assert_allclose(type_points(half, places).amino_acids.sum(axis=1), 1, atol=1e-5)


def test_without_heads_all_types_are_alike(evidence: Evidence):
    plain = replace(evidence, amino_acids=None, secondary_structure=None)
    points = type_points(plain, np.array([[1.0, 2.0, 3.0]]))
    np.testing.assert_array_equal(points.amino_acids, np.full((1, 20), np.float32(1 / 20)))
    np.testing.assert_array_equal(points.secondary_structure, np.full((1, 3), np.float32(1 / 3)))


def test_peaks_of_ideal_evidence_are_the_calpha(chain: Chain, evidence: Evidence):
    peaks = calpha_peaks(evidence)
    found, _ = cKDTree(peaks).query(chain.calpha)
    assert found.max() < 0.3
    assert cKDTree(chain.calpha).query(peaks)[0].max() < 0.3


def test_peaks_keep_place_and_threshold():
    true = np.array([[4.3, 4.1, 3.8], [12.5, 5.2, 10.9]], np.float32)
    calpha = atom_probability(true, (18, 12, 16))
    calpha[15, 9, 3] = 0.15  # noise
    evidence = Evidence(main_chain=calpha, calpha=calpha, step=np.ones(3), origin=np.array([10.0, -5.0, 0.5]))
    peaks = calpha_peaks(evidence)
    assert len(peaks) == 2
    np.testing.assert_allclose(peaks, true + evidence.origin, atol=0.2)
    assert len(calpha_peaks(evidence, threshold=0.1)) == 3
