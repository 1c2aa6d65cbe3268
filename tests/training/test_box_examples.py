"""Boxes to learn from: labels of equation 1, classes and states; epochs, balance, turns."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import KDTree

from deepmm_jax.constants import AMINO_ACIDS, RESIDUE_CLASSES
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.scaling import contour_level
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.errors import StructureError
from deepmm_jax.evidence.boxes import point_boxes, voxel_boxes
from deepmm_jax.structure.chain import Chain
from deepmm_jax.training.box_examples import BoxStream, PointSet, VoxelSet, box_set, in_ball, simulated
from deepmm_jax.training.chains import TrainingChain, as_training_chain
from deepmm_jax.training.real_maps import RealMap


@pytest.fixture
def chain(kinase: Chain) -> TrainingChain:
    return as_training_chain(kinase)


@pytest.fixture
def density(chain: TrainingChain) -> DensityMap:
    return simulated(chain)


@pytest.fixture
def voxels(chain: TrainingChain) -> VoxelSet:
    found = box_set("box-a", [chain, chain])
    assert isinstance(found, VoxelSet)
    return found


@pytest.fixture
def points(chain: TrainingChain) -> PointSet:
    found = box_set("box-b", [chain])
    assert isinstance(found, PointSet)
    return found


def test_every_voxel_above_the_threshold_has_labels_of_equation_1(voxels: VoxelSet, density: DensityMap, kinase: Chain):
    above = np.argwhere(density.data > 1.0)
    assert len(voxels) == 2 * len(above)
    np.testing.assert_array_equal(voxels.voxels[voxels.chain == 1], above)
    xyz = density.origin + above * density.step
    for column, names in enumerate((("N", "CA", "C"), ("CA",))):
        tree = KDTree(np.concatenate([kinase.atom(name) for name in names]))
        distance = tree.query(xyz)[0]
        expected = np.where(distance < 2.0, np.exp(-(distance**2)), 0)
        np.testing.assert_allclose(voxels.labels[: len(above), column], expected, atol=1e-4)
    rows = np.array([5, len(above) + 9])
    batch = voxels.cut(rows, np.random.default_rng(0))
    np.testing.assert_array_equal(batch.boxes, voxel_boxes(density.data, above[[5, 9]]))
    np.testing.assert_array_equal(batch.labels, voxels.labels[rows])


def test_of_a_real_map_what_the_model_explains_above_half_the_contour_is_learnt(chain: TrainingChain):
    density = simulate_map(chain.positions, chain.atomic_numbers, 4.0)
    labelled = np.indices(density.shape)[0] > density.shape[0] // 2
    real = RealMap(
        name="kinase",
        group="kinase",
        resolution=4.0,
        notes=frozenset(),
        density=density,
        chain=chain,
        chain_of_residue=np.zeros(len(chain.amino_acids), int),
        support=density.data > 0,
        labelled=labelled,
    )
    voxels = box_set("box-a", [chain, real])
    assert isinstance(voxels, VoxelSet)
    looked_at = np.argwhere(labelled & (density.data > contour_level(density.data) / 2))
    np.testing.assert_array_equal(voxels.voxels[voxels.chain == 1], looked_at)
    assert voxels.labels[voxels.chain == 1].max() > 0.9
    boxes = voxels.cut(np.array([len(voxels) - 1]), np.random.default_rng(0)).boxes
    np.testing.assert_array_equal(boxes, voxel_boxes(density.data, looked_at[-1:]))
    points = box_set("box-b", [real])
    assert isinstance(points, PointSet) and len(points) == 3 * len(chain.amino_acids)


def test_points_lie_by_main_chain_atoms_and_know_their_residue(points: PointSet, density: DensityMap, kinase: Chain):
    assert len(points) == 3 * len(kinase)
    for row, (residue, letter) in enumerate(
        zip(np.repeat(np.arange(len(kinase)), 3), np.repeat(list(kinase.sequence), 3))
    ):
        assert letter in RESIDUE_CLASSES[points.labels[row, 0]], residue
    assert set("".join(RESIDUE_CLASSES)) == set(AMINO_ACIDS)
    assert np.bincount(points.labels[:, 1], minlength=3).min() > 30  # helices, strands and coil
    calpha = density.origin + points.atoms[1::3] * density.step
    np.testing.assert_allclose(calpha, kinase.calpha, atol=1e-3)
    drawn = points.drawn(np.random.default_rng(0))
    away = np.linalg.norm(drawn.atoms - points.atoms, axis=1)
    assert 0.9 < away.max() <= 1.0
    rows = np.arange(4)
    boxes = drawn.cut(rows, np.random.default_rng(1)).boxes
    np.testing.assert_array_equal(boxes, drawn.cut(rows, np.random.default_rng(2)).boxes)
    np.testing.assert_array_equal(boxes, point_boxes(density.data, drawn.atoms[:4]))
    assert np.abs(points.cut(rows, np.random.default_rng(1)).boxes - boxes).max() > 0.01


def test_a_ball_is_filled_evenly():
    distance = np.linalg.norm(in_ball(20_000, 2.0, np.random.default_rng(0)), axis=1)
    inner = (distance < 1.0).mean()
    assert distance.max() <= 2.0
    assert inner == pytest.approx(1 / 8, abs=0.01)


def test_an_epoch_visits_every_row_once_and_each_epoch_in_its_order(points: PointSet):
    rows = np.arange(len(points))
    numbered = replace(points, labels=np.stack([rows, rows], axis=-1))
    stream = BoxStream(boxes=numbered, batch_size=64, seed=3, augmented=False)
    assert stream.epoch == len(points) // 64
    epochs = [
        np.concatenate([stream.batch(start + b).labels[:, 0] for b in range(stream.epoch)])
        for start in (0, stream.epoch)
    ]
    for visited in epochs:
        assert len(set(visited)) == len(visited) == 64 * stream.epoch
    assert (epochs[0] != epochs[1]).mean() > 0.9


def test_a_batch_depends_on_seed_and_number_alone(voxels: VoxelSet):
    kinds = {"boxes": voxels, "batch_size": 16, "balanced": True}
    first, again, other = (BoxStream(**kinds, seed=seed) for seed in (1, 1, 2))
    first.batch(0)
    np.testing.assert_array_equal(first.batch(7).boxes, again.batch(7).boxes)
    assert (first.batch(7).labels != other.batch(7).labels).any()
    assert (first.batch(7).labels != first.batch(8).labels).any()


def test_balance_shows_every_range_of_labels_as_often(voxels: VoxelSet):
    weights = voxels.weights()
    assert weights.sum() == pytest.approx(1)
    calpha = voxels.labels[:, 1]
    shares = [weights[(calpha > low) & (calpha <= high)].sum() for low, high in ((-1, 0), (0, 0.25), (0.75, 1))]
    plain = [((calpha > low) & (calpha <= high)).mean() for low, high in ((-1, 0), (0, 0.25), (0.75, 1))]
    assert plain[0] > 0.7 and plain[2] < 0.03
    # Half the draws are balanced over five ranges of this label, the others over those of the main chain.
    assert shares[0] < 0.6 and shares[2] > 0.1
    stream = BoxStream(boxes=voxels, batch_size=2000, seed=0, balanced=True, augmented=False)
    drawn = stream.batch(0).labels[:, 1]
    assert (drawn == 0).mean() == pytest.approx(shares[0], abs=0.04)


def test_turned_boxes_hold_the_same_voxels(voxels: VoxelSet):
    plain, turned = (
        BoxStream(boxes=voxels, batch_size=64, seed=0, augmented=augmented).batch(0) for augmented in (False, True)
    )
    np.testing.assert_array_equal(plain.labels, turned.labels)
    flat = [np.sort(np.asarray(batch.boxes).reshape(64, -1), axis=1) for batch in (plain, turned)]
    np.testing.assert_array_equal(*flat)
    same = (np.asarray(plain.boxes) == np.asarray(turned.boxes)).all(axis=(1, 2, 3)).sum()
    assert same < 12  # one of 24, as a rule
    np.testing.assert_array_equal(plain.boxes[:, 5, 5, 5], turned.boxes[:, 5, 5, 5])


def test_too_few_boxes_are_refused(points: PointSet):
    with pytest.raises(StructureError, match=f"give {len(points)} boxes, fewer than a batch of 1000.*--batch-size"):
        BoxStream(boxes=points, batch_size=1000, seed=0)
