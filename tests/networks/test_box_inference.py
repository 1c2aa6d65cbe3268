"""The paper's evidence: boxes of every voxel above D₀ and of every point, whatever the size of a batch."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax.constants import CLASS_OF_AMINO_ACID
from deepmm_jax.density.map import DensityMap
from deepmm_jax.errors import CheckpointError, MapError
from deepmm_jax.evidence.boxes import point_boxes, voxel_boxes
from deepmm_jax.evidence.points import interpolate
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.networks.box_inference import predict_boxes, type_boxes
from deepmm_jax.networks.boxes import box_outputs
from reference.box_networks import TINY, random_network, save_tiny_networks


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_networks(tmp_path_factory.mktemp("networks"))


@pytest.fixture
def density(rng: np.random.Generator) -> DensityMap:
    data = rng.normal(size=(9, 8, 7)).astype(np.float32)
    return DensityMap(data=data, step=np.ones(3), origin=np.array([3.0, -2.0, 10.0]), placement="test")


def test_every_voxel_above_the_threshold_has_its_own_answer(networks: Path, density: DensityMap):
    evidence = predict_boxes(density, 1.0, networks / "box-a", batch=8)
    above = density.data > 1.0
    assert above.sum() % 8  # a batch is filled up
    assert not evidence.main_chain[~above].any() and not evidence.calpha[~above].any()
    network = random_network("box-a")
    boxes = jnp.asarray(voxel_boxes(density.data, np.argwhere(above)))
    said = box_outputs(TINY, network.weights, network.moments, boxes)
    for volume, head in ((evidence.main_chain, "main_chain"), (evidence.calpha, "calpha")):
        # Weights are kept as float16.
        np.testing.assert_allclose(volume[above], np.clip(said[head][:, 0], 0, 1), atol=5e-3)
    assert (evidence.main_chain.min() >= 0) and (evidence.main_chain.max() <= 1)
    np.testing.assert_array_equal(evidence.origin, density.origin)
    assert evidence.density is density.data
    assert evidence.amino_acids is None
    other = predict_boxes(density, 1.0, networks / "box-a", batch=64)
    np.testing.assert_allclose(other.main_chain, evidence.main_chain, atol=1e-5)


def test_points_have_the_types_of_their_boxes(networks: Path, density: DensityMap, rng: np.random.Generator):
    evidence = predict_boxes(density, 1.0, networks / "box-a", batch=64)
    grid = rng.uniform(0, np.array(density.shape) - 1, size=(11, 3)).astype(np.float32)
    points = type_boxes(evidence, (grid + density.origin).astype(np.float32), networks / "box-b", batch=4)
    network = random_network("box-b")
    said = box_outputs(TINY, network.weights, network.moments, jnp.asarray(point_boxes(density.data, grid)))
    np.testing.assert_array_equal(points.classes, np.argmax(said["residue_class"], axis=1))
    np.testing.assert_array_equal(points.states, np.argmax(said["secondary_structure"], axis=1))
    np.testing.assert_allclose(points.calpha, interpolate(evidence.calpha, grid), atol=1e-5)
    np.testing.assert_allclose(points.amino_acids.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(points.secondary_structure.sum(axis=1), 1, atol=1e-5)
    for members in (CLASS_OF_AMINO_ACID[:20] == 0, CLASS_OF_AMINO_ACID[:20] == 3):
        assert np.ptp(points.amino_acids[:, members], axis=1).max() < 1e-6


def test_moved_together_map_and_points_say_the_same(networks: Path, density: DensityMap):
    evidence = predict_boxes(density, 1.0, networks / "box-a", batch=64)
    here = Evidence(**vars(evidence) | {"origin": np.zeros(3)})
    points = np.array([[2.3, 4.1, 3.7], [5.0, 2.2, 6.0]], np.float32)
    a = type_boxes(here, points, networks / "box-b", batch=4)
    b = type_boxes(evidence, (points + density.origin).astype(np.float32), networks / "box-b", batch=4)
    np.testing.assert_allclose(a.amino_acids, b.amino_acids, atol=2e-3)


def test_what_cannot_be_predicted_is_refused(networks: Path, density: DensityMap):
    with pytest.raises(MapError, match=r"no voxel of the map is above 100, its maximum is \d.*give --contour"):
        predict_boxes(density, 100.0, networks / "box-a")
    with pytest.raises(CheckpointError, match="holds a 'box-b' network"):
        predict_boxes(density, 1.0, networks / "box-b")
    volume = np.zeros(density.shape, np.float32)
    bare = Evidence(main_chain=volume, calpha=volume, step=density.step, origin=density.origin)
    with pytest.raises(MapError, match="no density to cut boxes from"):
        type_boxes(bare, np.zeros((1, 3), np.float32), networks / "box-b")
