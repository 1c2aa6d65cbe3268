"""Boxes to learn from, with labels for DenseNet A or B: of simulated maps at 5 Å, or of real ones (sections 2.2, 2.6).

A learns voxels whose density exceeds D₀, B a point within 1.0 Å of every main-chain atom. The maps are simulated, or
read, when a run starts and stay in memory; boxes are cut from them batch by batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int

from deepmm_jax.config import SIMULATED_DENSITY
from deepmm_jax.constants import CLASS_OF_AMINO_ACID, UNKNOWN_CLASS
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.scaling import default_threshold
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.errors import StructureError
from deepmm_jax.evidence.boxes import point_boxes, voxel_boxes
from deepmm_jax.evidence.ideal import ATOM_KINDS, atom_probability
from deepmm_jax.networks.boxes import BoxKind
from deepmm_jax.networks.turns import cube_turns
from deepmm_jax.training.chains import TrainingChain
from deepmm_jax.training.real_maps import RealMap


RESOLUTION = 5.0
"""Å, of the simulated maps (section 2.6.1)."""
POINT_RADIUS = 1.0
"""Å around an atom within which box B's point is drawn (section 2.2)."""
MAIN_CHAIN = tuple(ATOM_KINDS.index(name) for name in ("N", "CA", "C"))
BINS = np.array([0.0, 0.25, 0.5, 0.75])
"""Upper ends of all ranges of a label but the last; every range is drawn equally often where labels are balanced."""


class BoxBatch(NamedTuple):
    """`boxes` (b, n, n, n), scaled, and `labels` (b, 2): main-chain and Cα probability, or class and state."""

    boxes: Array | np.ndarray
    labels: Array | np.ndarray


TURNS = cube_turns(24)


def simulated(chain: TrainingChain) -> DensityMap:
    """The map of a chain at 5 Å."""
    return simulate_map(chain.positions, chain.atomic_numbers, RESOLUTION)


@dataclass(frozen=True, kw_only=True)
class VoxelSet:
    """Voxels above D₀ of some maps, for DenseNet A: `chain` (n,) index of the map, `labels` (n, 2) by equation 1."""

    maps: Sequence[Float[np.ndarray, "_ _ _"]]
    chain: Int[np.ndarray, "n"]
    voxels: Int[np.ndarray, "n 3"]
    labels: Float[np.ndarray, "n 2"]

    def __len__(self) -> int:
        return len(self.chain)

    def weights(self) -> Float[np.ndarray, "n"]:
        """Half the draws are balanced over main-chain labels, half over Cα labels."""
        return np.mean([_balanced(np.digitize(label, BINS, right=True)) for label in self.labels.T], axis=0)

    def cut(self, rows: Int[np.ndarray, "b"], rng: np.random.Generator) -> BoxBatch:
        """Boxes and labels of rows; chance plays no part in them."""
        boxes = np.empty((len(rows), 11, 11, 11), np.float32)
        for chain in np.unique(self.chain[rows]):
            here = np.flatnonzero(self.chain[rows] == chain)
            boxes[here] = voxel_boxes(self.maps[chain], self.voxels[rows[here]])
        return BoxBatch(boxes, self.labels[rows])


@dataclass(frozen=True, kw_only=True)
class PointSet:
    """Main-chain atoms of some maps, for DenseNet B: `atoms` (n, 3) in voxels, `labels` (n, 2) class and state."""

    maps: Sequence[Float[np.ndarray, "_ _ _"]]
    chain: Int[np.ndarray, "n"]
    atoms: Float[np.ndarray, "n 3"]
    labels: Int[np.ndarray, "n 2"]
    radius: float = POINT_RADIUS
    """Å around an atom within which its point is drawn; 0 once they are drawn for good."""

    def __len__(self) -> int:
        return len(self.chain)

    def weights(self) -> Float[np.ndarray, "n"]:
        """All alike: class weights would make a common class look rare."""
        return np.full(len(self), 1 / len(self))

    def cut(self, rows: Int[np.ndarray, "b"], rng: np.random.Generator) -> BoxBatch:
        """Boxes around a point near each of these atoms, and their labels."""
        points = self.atoms[rows] + in_ball(len(rows), self.radius, rng)
        boxes = np.empty((len(rows), 10, 10, 10), np.float32)
        for chain in np.unique(self.chain[rows]):
            here = np.flatnonzero(self.chain[rows] == chain)
            boxes[here] = point_boxes(self.maps[chain], points[here])
        return BoxBatch(boxes, self.labels[rows])

    def drawn(self, rng: np.random.Generator) -> "PointSet":
        """The same with one point of each atom drawn for good, as the paper has it."""
        return replace(self, atoms=self.atoms + in_ball(len(self), self.radius, rng), radius=0.0)


def in_ball(count: int, radius: float, rng: np.random.Generator) -> Float[np.ndarray, "n 3"]:
    """Vectors drawn evenly from a ball."""
    direction = rng.normal(size=(count, 3))
    length = radius * rng.uniform(size=(count, 1)) ** (1 / 3)
    return direction * (length / np.linalg.norm(direction, axis=1, keepdims=True))


def box_set(kind: BoxKind, sources: Sequence[TrainingChain | RealMap]) -> VoxelSet | PointSet:
    """What a network learns from simulated maps of some chains, and from real maps.

    D₀ is 1.0 in the former, in EMAN2's units, and half the contour level in the latter, where nothing is learnt of
    voxels that show what the model lacks. Raises StructureError if there is nothing to learn.
    """
    maps, places, labels = [], [], []
    for source in sources:
        if isinstance(source, RealMap):
            chain, density = source.chain, source.density
            looked_at = source.labelled & (density.data > default_threshold(density.data))
        else:
            chain, density = source, simulated(source)
            looked_at = density.data > SIMULATED_DENSITY
        maps.append(density.data)
        place, label = _atoms(chain, density) if kind == "box-b" else _voxels(chain, density, looked_at)
        places.append(place)
        labels.append(label)
    index = np.repeat(np.arange(len(sources)), [len(label) for label in labels])
    if not len(index):
        raise StructureError("the training chains have no atom of a main chain; check the list of chains")
    table = {"maps": maps, "chain": index, "labels": np.concatenate(labels)}
    place = np.concatenate(places)
    return VoxelSet(voxels=place, **table) if kind == "box-a" else PointSet(atoms=place, **table)


def _voxels(
    chain: TrainingChain, density: DensityMap, looked_at: Bool[np.ndarray, "_ _ _"]
) -> tuple[np.ndarray, np.ndarray]:
    """Voxels that are looked at, and their labels."""
    atoms = density.to_grid(chain.positions)
    kinds = (MAIN_CHAIN, MAIN_CHAIN[1:2])
    labels = [atom_probability(atoms[np.isin(chain.kind, kind)], density.shape) for kind in kinds]
    voxels = np.argwhere(looked_at).astype(np.int16)
    return voxels, np.stack([label[tuple(voxels.T)] for label in labels], axis=-1)


def _atoms(chain: TrainingChain, density: DensityMap) -> tuple[np.ndarray, np.ndarray]:
    """Main-chain atoms, in voxels, of residues that have a class, and their labels."""
    residue = chain.residue_of_atom
    labels = np.stack([CLASS_OF_AMINO_ACID[chain.amino_acids], chain.states], axis=-1)[residue]
    rows = np.flatnonzero(np.isin(chain.kind, MAIN_CHAIN) & (labels[:, 0] != UNKNOWN_CLASS))
    return density.to_grid(chain.positions)[rows], labels[rows]


def _balanced(ranges: Int[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Weights with which every range that occurs is drawn equally often."""
    count = np.bincount(ranges)
    return 1 / (count[ranges] * np.count_nonzero(count))


@dataclass(frozen=True, kw_only=True)
class BoxStream:
    """Batches of a box set by number: batch b depends on the seed and b alone, whatever was drawn before.

    `balanced` draws rows with replacement by their weights, otherwise an epoch visits every row once, in an order of
    its own (the last few that fill no batch are left out). `augmented` turns each box by one of the 24 turns of a cube.
    """

    boxes: VoxelSet | PointSet
    batch_size: int
    seed: int
    balanced: bool = False
    augmented: bool = True

    def __post_init__(self) -> None:
        if self.batch_size > len(self.boxes):
            raise StructureError(
                f"the training chains give {len(self.boxes)} boxes, fewer than a batch of {self.batch_size}; "
                "give more chains or a smaller --batch-size"
            )

    @property
    def epoch(self) -> int:
        """Batches of an epoch."""
        return len(self.boxes) // self.batch_size

    @cached_property
    def _cumulative(self) -> Float[np.ndarray, "n"]:
        return np.cumsum(self.boxes.weights())

    def batch(self, number: int) -> BoxBatch:
        """Batch `number`, counted from 0."""
        rng = np.random.default_rng((self.seed, 1, number))
        if self.balanced:
            rows = np.searchsorted(self._cumulative, rng.uniform(0, self._cumulative[-1], self.batch_size), "right")
        else:
            epoch, place = divmod(number, self.epoch)
            order = _order(len(self.boxes), self.seed, epoch)
            rows = order[place * self.batch_size : (place + 1) * self.batch_size]
        boxes, labels = self.boxes.cut(rows, rng)
        if self.augmented:
            turns = rng.integers(len(TURNS), size=len(boxes))
            boxes = np.stack([TURNS[turn].turned(box) for turn, box in zip(turns, boxes, strict=True)])
        return BoxBatch(boxes, labels)


@lru_cache(maxsize=2)
def _order(rows: int, seed: int, epoch: int) -> Int[np.ndarray, "n"]:
    """The order in which an epoch visits the rows."""
    return np.random.default_rng((seed, 0, epoch)).permutation(rows)
