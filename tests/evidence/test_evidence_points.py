"""Evidence between voxels: interpolation, typed points, Cα peaks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from deepmm_jax.density.map import DensityMap
from deepmm_jax.errors import ConfigError
from deepmm_jax.evidence.ideal import atom_probability, ideal_evidence
from deepmm_jax.evidence.points import calpha_peaks, interpolate, pool_types, type_points
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.sequence.profile import encode_letters
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from reference import evidence_oracle


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


def test_pooled_types_are_the_weighted_geometric_mean(rng: np.random.Generator):
    volume = rng.dirichlet(np.ones(3), SHAPE).astype(np.float32)
    places = rng.uniform(-0.5, np.array(SHAPE) - 0.5, (30, 3))
    for radius in (0.9, 1.5, 2.0):
        np.testing.assert_allclose(
            pool_types(volume, places, radius), evidence_oracle.pool_types(volume, places, radius), atol=1e-5
        )


def test_pooling_keeps_what_all_voxels_agree_on_and_one_voxel_cannot_veto():
    types = np.array([0.7, 0.2, 0.1], np.float32)
    volume = np.broadcast_to(types, (*SHAPE, 3)).copy()
    places = np.array([[2.0, 3.0, 4.0], [0.0, 0.0, 0.0], [2.4, 3.3, 4.2]])
    np.testing.assert_allclose(pool_types(volume, places, 1.5), np.tile(types, (3, 1)), atol=1e-6)
    volume[1, 3, 4] = [0, 0, 1]
    pooled = pool_types(volume, places[:1], 1.5)[0]
    assert 0.1 < pooled[2] < 0.4 and pooled.argmax() == 0


def test_votes_are_cast_where_the_offset_points(chain: Chain, evidence: Evidence, rng: np.random.Generator):
    away = rng.normal(size=chain.calpha.shape)
    places = (chain.calpha + 0.8 * away / np.linalg.norm(away, axis=1, keepdims=True)).astype(np.float32)
    for radius in (0.0, 1.5):
        true, voted = type_points(evidence, chain.calpha, radius), type_points(evidence, places, radius, vote=True)
        right = voted.amino_acids.argmax(axis=1) == encode_letters(chain.sequence)
        assert right.mean() > 0.98
        assert np.abs(voted.amino_acids - true.amino_acids).mean() < 0.005
        np.testing.assert_array_equal(voted.calpha, type_points(evidence, places, radius).calpha)
    blind = replace(evidence, offset=None)
    np.testing.assert_array_equal(
        type_points(blind, places, vote=True).amino_acids, type_points(evidence, places).amino_acids
    )


def test_radius_is_0_or_holds_a_voxel(evidence: Evidence, chain: Chain):
    assert evidence.amino_acids is not None
    plain = type_points(evidence, chain.calpha, 0.0)
    grid = chain.calpha - evidence.origin
    values = interpolate(evidence.amino_acids, grid)
    np.testing.assert_allclose(plain.amino_acids, values / values.sum(axis=1, keepdims=True), atol=1e-6)
    for radius in (0.5, -1.0):
        with pytest.raises(ConfigError, match="pool_radius is .*; give 0, or 0.9 to 5 Å"):
            type_points(evidence, chain.calpha, radius)


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
    nothing = replace(evidence, calpha=np.zeros_like(calpha))
    assert calpha_peaks(nothing).shape == (0, 3) == calpha_peaks(nothing, separation=2.5).shape


def test_of_close_peaks_the_highest_stays():
    calpha = np.zeros((20, 6, 6), np.float32)
    calpha[[3, 5, 7, 15], 3, 3] = [0.5, 0.9, 0.4, 0.3]
    evidence = Evidence(main_chain=calpha, calpha=calpha, step=np.ones(3), origin=np.zeros(3))
    assert calpha_peaks(evidence)[:, 0].round().tolist() == [3, 5, 7, 15]
    assert calpha_peaks(evidence, separation=2.5)[:, 0].round().tolist() == [5, 15]
    # A peak that is suppressed suppresses none itself.
    calpha[7, 3, 3] = 0.95
    calpha[9, 3, 3] = 0.6
    assert calpha_peaks(evidence, separation=2.5)[:, 0].round().tolist() == [3, 7, 15]
