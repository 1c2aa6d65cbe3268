"""ThreadCA against its plain twin, and on density that says which residue is where."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax.alignment.segments import segment_diameters
from deepmm_jax.alignment.thread_ca import (
    RESIDUE_DENSITY,
    STATE_WEIGHTS,
    residue_scores,
    thread_paths,
    thread_routes,
    vertex_scores,
)
from deepmm_jax.constants import AMINO_ACIDS, ONE_TO_THREE
from deepmm_jax.errors import NothingBuiltError
from deepmm_jax.sequence.profile import SequenceProfile, encode_letters
from deepmm_jax.tracing.values import LocalDensePoints, MainChainPaths
from reference import thread_ca_oracle
from reference.alignment_oracle import random_path


def test_table_is_that_of_mainmast():
    by_name = {ONE_TO_THREE[letter]: value for letter, value in zip(AMINO_ACIDS, RESIDUE_DENSITY, strict=True)}
    assert by_name["ALA"] == 176.0 and by_name["GLY"] == np.float32(115.3) and by_name["TRP"] == np.float32(748.1)
    assert by_name["LYS"] == np.float32(322.2) and by_name["VAL"] == np.float32(276.3)
    assert STATE_WEIGHTS.shape == (16, 3) and len(np.unique(STATE_WEIGHTS, axis=0)) == 16


def test_vertices_are_scored_as_by_the_twin(rng: np.random.Generator):
    path = random_path(1, 40, step=0.8)
    voxels = (path[rng.integers(0, 40, 300)] + rng.normal(size=(300, 3))).astype(np.float32)
    density = rng.uniform(0, 20, 300).astype(np.float32)
    expected = thread_ca_oracle.vertex_scores(voxels, density, path)
    padded = np.concatenate([path, np.repeat(path[-1:], 24, axis=0)])
    found = jax.jit(vertex_scores)(
        jnp.asarray(voxels),
        jnp.asarray(density),
        jnp.asarray(padded),
        segment_diameters(jnp.asarray(padded), len(padded)),
        jnp.asarray(40),
    )
    np.testing.assert_allclose(found[:40], expected, atol=2e-5)
    np.testing.assert_array_equal(found[40:], 0.0)


def test_residues_are_scored_as_by_the_twin():
    letters, states = "ACDEFGHIKLMNPQRSTVWYX", "HHHHHEEEEECCCCCHHEEC?"
    numbers = jnp.array(["HEC?".index(state) for state in states])
    found = residue_scores(jnp.asarray(encode_letters(letters)), numbers, jnp.asarray(STATE_WEIGHTS))
    for row, (helix, sheet, _) in enumerate(STATE_WEIGHTS):
        expected = thread_ca_oracle.residue_scores(letters, states, float(helix), float(sheet))
        np.testing.assert_allclose(found[row], expected, atol=2e-5)


def test_routes_are_aligned_as_by_the_twin(rng: np.random.Generator):
    """Both directions of a path, padded; the score of the points that come back is the score."""
    path = random_path(2, 30, step=0.9)
    voxels = (path[rng.integers(0, 30, 200)] + rng.normal(size=(200, 3))).astype(np.float32)
    density = rng.uniform(0, 20, 200).astype(np.float32)
    expected = rng.normal(size=(2, 8)).astype(np.float32)
    routes = np.stack([np.pad(way, (0, 6), mode="edge") for way in (np.arange(30), np.arange(30)[::-1])])
    scores, points = thread_routes(
        jnp.pad(expected, ((0, 0), (0, 3)), constant_values=9.0),
        jnp.asarray(voxels),
        jnp.asarray(density),
        jnp.asarray(path),
        jnp.asarray(routes),
        jnp.array([30, 30]),
        jnp.asarray(8),
        jnp.asarray(3.5),
    )
    for r, way in enumerate((path, path[::-1])):
        found = thread_ca_oracle.vertex_scores(voxels, density, way)
        for w in range(2):
            assert float(scores[r, w]) == pytest.approx(thread_ca_oracle.best_score(expected[w], found, way), abs=1e-3)
            steps = np.asarray(points[r, w, :8]) if r == 0 else 29 - np.asarray(points[r, w, :8])
            assert (np.diff(steps) > 0).all() and (np.asarray(points[r, w, 8:]) == -1).all()


@pytest.fixture
def told() -> tuple[MainChainPaths, np.ndarray, SequenceProfile]:
    """A straight chain of Cα 3.5 Å apart, four points a residue; the density at each Cα is what its residue has."""
    letters = "GWAGYGWGFAGWGGAYGAFWGAGRGAWG"
    profile = SequenceProfile(name="told", letters=letters, secondary_structure=np.tile([0, 0, 1.0], (len(letters), 1)))
    xyz = np.stack([np.arange(4 * len(letters)) * 0.875, *np.zeros((2, 4 * len(letters)))], axis=1).astype(np.float32)
    density = np.repeat(RESIDUE_DENSITY[encode_letters(letters)], 4).astype(np.float32)
    points = LocalDensePoints(
        positions=xyz,
        density=density,
        voxels=np.arange(3 * len(xyz)).reshape(-1, 3),
        member=np.arange(len(xyz)),
    )
    return MainChainPaths(points=points, paths=(np.arange(len(xyz))[::-1],)), density, profile


def test_density_says_direction_and_register(told):
    paths, density, profile = told
    models = thread_paths(paths, paths.points.positions, density, profile, models=10, apart=5.0)
    where = models.positions[0, :, 0]
    middle = 3.5 * np.arange(len(profile)) + 1.3
    assert np.abs(where - middle).mean() < 1.0
    assert models.built.all() and models.mscores[0] == pytest.approx(models.scores[0] / len(profile))
    assert (np.diff(models.scores) <= 0).all()


def test_a_path_that_is_too_short_is_refused(told):
    paths, density, profile = told
    short = MainChainPaths(points=paths.points, paths=(np.arange(20),))
    with pytest.raises(NothingBuiltError, match=r"the longest has 20 points\) holds 28 residues"):
        thread_paths(short, paths.points.positions, density, profile, models=10, apart=5.0)
