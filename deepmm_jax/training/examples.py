"""Training examples: a randomly turned chain, its density in a crop, and the true labels of every voxel.

Densities are simulated when they are needed: a crop costs some 50 ms of one core against 1.5 s of training,
and every example has its own rotation, shift, resolution and noise with exact labels. Crops of real maps are mixed in.
"""

import itertools
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from jax import Array
from jaxtyping import Float
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation

from deepmm_jax.density.experimental.molecule import place_beside
from deepmm_jax.density.experimental.settings import load_simulator
from deepmm_jax.density.experimental.simulator import simulate_experimental
from deepmm_jax.density.scaling import top_volume_scale
from deepmm_jax.density.simulate import add_gaussians
from deepmm_jax.evidence.ideal import CUTOFF_RADIUS, atom_probability, calpha_directions, nearest_point
from deepmm_jax.networks.whole_map import network_input
from deepmm_jax.training.chains import LONGEST_CHAIN, TrainingChain
from deepmm_jax.training.real_maps import RealMap, blurred


MARGIN = 8
"""Voxels simulated beyond the crop, so that filters do not wrap into it."""

SIMULATOR = load_simulator()

T = TypeVar("T")

BLURRED_SHARE, BLURRED_BELOW = 0.5, 3.4
"""Of the maps better than this (Å), the share that is blurred and made noisier."""


class Example(NamedTuple):
    """One crop; a batch has the same fields with a leading axis.

    `density` (x, y, z, 2) as `network_input` makes it; `atoms` (x, y, z, 6) probabilities in the order of the network's
    atom head;
    `known` (x, y, z) whether the labels hold, which they do not where a real map shows what its model lacks;
    `nearest` (x, y, z) row of the nearest Cα within 4 Å in the residue tables, -1 beyond; tables of 512 rows:
    `calpha` (voxels), `directions` (unit vectors), `amino_acids`, `states`.
    """

    density: Array | np.ndarray
    atoms: Array | np.ndarray
    known: Array | np.ndarray
    nearest: Array | np.ndarray
    calpha: Array | np.ndarray
    directions: Array | np.ndarray
    amino_acids: Array | np.ndarray
    states: Array | np.ndarray


def make_example(
    chain: TrainingChain,
    rng: np.random.Generator,
    simulated_share: float,
    crop: int = 48,
    rotation: Float[np.ndarray, "3 3"] | None = None,
    residuals: Sequence[np.ndarray] = (),
    neighbour: TrainingChain | None = None,
) -> Example:
    """A crop of `crop` voxels of 1 Å around a random residue of a chain.

    With probability `simulated_share` the density is EMAN2's at 5 Å, otherwise an experimental-like one, in which
    `neighbour` may lie beside the chain; a mask may cut it away, so nothing is said of the voxels near it alone.
    `rotation` replaces the random turn.
    """
    turn = Rotation.random(rng=rng).as_matrix() if rotation is None else rotation
    side = crop + 2 * MARGIN
    anchor = chain.calpha[rng.integers(len(chain.calpha))] @ turn.T
    corner = anchor + rng.normal(scale=6.0, size=3) - side / 2 + rng.uniform(-0.5, 0.5, 3)
    atoms = (chain.positions @ turn.T - corner).astype(np.float32)
    calpha = (chain.calpha @ turn.T - corner).astype(np.float32)
    known = np.ones((side, side, side), bool)
    if rng.uniform() < simulated_share:
        widths = np.full(len(atoms), 5.0 / np.pi, np.float32)
        density = add_gaussians(atoms, chain.atomic_numbers, widths, (side, side, side))
        jitter = rng.uniform(0.93, 1.07)
    else:
        molecule = chain.molecule.moved(turn, -corner)
        beside = []
        if neighbour is not None and rng.uniform() < SIMULATOR.neighbour:
            beside = [place_beside(molecule, neighbour.molecule, rng, rng.uniform(*SIMULATOR.contact))]
            near_it, near_us = (
                nearest_point(positions, known.shape, reach)[0] >= 0
                for positions, reach in ((beside[0].positions, 3.0), (atoms, CUTOFF_RADIUS))
            )
            known = ~near_it | near_us
        resolution = SIMULATOR.draw_resolution(rng)
        density = simulate_experimental(
            molecule, (side, side, side), resolution, rng, SIMULATOR, neighbours=beside, residuals=residuals
        )
        jitter = rng.uniform(0.8, 1.2)
    inside = int(((calpha > 0) & (calpha < side)).all(axis=1).sum())
    density *= jitter / top_volume_scale(density, 1.0, max(inside, 8))
    inner = slice(MARGIN, MARGIN + crop)
    channels = network_input(density)[inner, inner, inner]
    return _label(chain, channels, atoms - MARGIN, calpha - MARGIN, known[inner, inner, inner])


def make_real_example(
    real: RealMap, rng: np.random.Generator, crop: int = 48, rotation: Float[np.ndarray, "3 3"] | None = None
) -> Example:
    """A crop around a random residue of a real map, turned by cubic splines.

    Of maps better than 3.4 Å every second one is blurred and made noisier. `rotation` replaces the random turn.
    """
    if rng.uniform() < BLURRED_SHARE and real.resolution < BLURRED_BELOW:
        real = blurred(real, rng)
    turn = Rotation.random(rng=rng).as_matrix() if rotation is None else rotation
    side = crop + 2 * MARGIN
    grid_calpha = real.density.to_grid(real.chain.calpha)
    anchor = grid_calpha[rng.integers(len(grid_calpha))]
    centre = side / 2 + rng.normal(scale=6.0, size=3) + rng.uniform(-0.5, 0.5, 3)
    place = {"matrix": turn.T, "offset": anchor - turn.T @ centre, "output_shape": (side, side, side)}
    density = affine_transform(real.density.data, **place, order=3) * np.float32(rng.uniform(0.8, 1.2))
    density += np.float32(rng.normal(scale=0.05)) * affine_transform(real.support.astype(np.float32), **place, order=1)
    known = affine_transform(real.labelled.astype(np.float32), **place, order=1, cval=1.0) > 0.5
    inner = slice(MARGIN, MARGIN + crop)

    def to_crop(positions: np.ndarray) -> np.ndarray:
        return ((real.density.to_grid(positions) - anchor) @ turn.T + centre - MARGIN).astype(np.float32)

    return _label(
        real.chain,
        network_input(density)[inner, inner, inner],
        to_crop(real.chain.positions),
        to_crop(real.chain.calpha),
        known[inner, inner, inner],
    )


def _label(
    chain: TrainingChain, density: np.ndarray, atoms: np.ndarray, calpha: np.ndarray, known: np.ndarray
) -> Example:
    shape = density.shape[:3]
    kinds = [atom_probability(atoms[chain.kind == kind], shape) for kind in range(5)]
    main_chain = np.maximum(np.maximum(kinds[0], kinds[1]), kinds[2])
    # A model may have more residues than slots; those nearest the crop are the ones that any voxel asks for.
    distance = np.linalg.norm(calpha - np.array(shape) / 2, axis=1)
    kept = np.sort(np.argsort(distance)[:LONGEST_CHAIN])
    nearest, _ = nearest_point(calpha[kept], shape, 4.0)

    def table(rows: np.ndarray) -> np.ndarray:
        rows = rows[kept]
        return np.pad(rows, [(0, LONGEST_CHAIN - len(rows)), *[(0, 0)] * (rows.ndim - 1)])

    return Example(
        density=density,
        atoms=np.stack([main_chain, *kinds], axis=-1).astype(np.float16),
        known=known,
        nearest=nearest.astype(np.int16),
        calpha=table(calpha),
        directions=table(calpha_directions(calpha)),
        amino_acids=table(chain.amino_acids),
        states=table(chain.states),
    )


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What examples are made of."""

    chains: Sequence[TrainingChain]
    """To be simulated; longer ones are visited more often, in proportion to their length."""
    simulated_share: float
    """Share of plain 5 Å maps among the simulated ones; the others are experimental-like."""
    real_maps: Sequence[RealMap] = ()
    """Visited in proportion to the square root of their length."""
    real_share: float = 0.0
    """Share of real maps among all examples."""
    residuals: Sequence[np.ndarray] = ()
    """Noise of real maps, for the simulator."""

    def draw(self, rng: np.random.Generator, crop: int) -> Example:
        """One example."""
        if rng.uniform() < self.real_share:
            weights = np.sqrt([len(real.chain.calpha) for real in self.real_maps])
            return make_real_example(self.real_maps[rng.choice(len(weights), p=weights / weights.sum())], rng, crop)
        lengths = np.array([len(chain.calpha) for chain in self.chains], float)
        chain = self.chains[rng.choice(len(lengths), p=lengths / lengths.sum())]
        neighbour = self.chains[int(rng.integers(len(self.chains)))]
        return make_example(chain, rng, self.simulated_share, crop, residuals=self.residuals, neighbour=neighbour)


def batches(
    sources: Sources, batch_size: int, seed: int, start: int = 0, crop: int = 48, *, part: int = 0
) -> Iterator[Example]:
    """Endless batches, made a little ahead of the training step.

    Batch number b depends on `seed`, b and `part` alone, so a resumed run (`start`) sees the batches it would have
    seen. Each process that trains makes the `part` of its own number.
    """

    def batch(number: int) -> Example:
        rng = np.random.default_rng((seed, number, part))
        examples = [sources.draw(rng, crop) for _ in range(batch_size)]
        return Example(*(np.stack(field) for field in zip(*examples, strict=True)))

    return made_ahead(batch, start)


def made_ahead(make: Callable[[int], T], start: int = 0) -> Iterator[T]:
    """`make(start)`, `make(start + 1)` … without end, made by one background thread a little ahead of their use."""
    ready: queue.Queue[T | Exception] = queue.Queue(maxsize=4)

    def produce() -> None:
        try:
            for number in itertools.count(start):
                ready.put(make(number))
        except Exception as error:  # else the training step would wait for ever
            ready.put(error)

    threading.Thread(target=produce, daemon=True).start()
    while True:
        made = ready.get()
        if isinstance(made, Exception):
            raise made
        yield made
