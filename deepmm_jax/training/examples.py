"""Training examples: a randomly turned chain, its density in a crop, and the true labels of every voxel.

Densities are simulated when they are needed: a crop costs some 50 ms of one core against 1.5 s of training,
and every example has its own rotation, shift, resolution and noise with exact labels.
"""

import queue
import threading
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jax import Array
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from deepmm_jax.density.scaling import top_volume_scale
from deepmm_jax.density.simulate import add_gaussians
from deepmm_jax.evidence.ideal import atom_probability, calpha_directions, nearest_point
from deepmm_jax.training.chains import LONGEST_CHAIN, TrainingChain
from deepmm_jax.training.simulation import experimental_density


CROP = 48
"""Side of a crop, voxels of 1 Å."""
MARGIN = 8
"""Voxels simulated beyond the crop, so that filters do not wrap into it."""


class Example(NamedTuple):
    """One crop; a batch has the same fields with a leading axis.

    `density` (x, y, z) scaled; `atoms` (x, y, z, 6) probabilities in the order of the network's atom head;
    `nearest` (x, y, z) row of the nearest Cα within 4 Å in the residue tables, -1 beyond; tables of 512 rows:
    `calpha` (voxels), `directions` (unit vectors), `amino_acids`, `states`.
    """

    density: Array | np.ndarray
    atoms: Array | np.ndarray
    nearest: Array | np.ndarray
    calpha: Array | np.ndarray
    directions: Array | np.ndarray
    amino_acids: Array | np.ndarray
    states: Array | np.ndarray


def make_example(
    chain: TrainingChain,
    rng: np.random.Generator,
    simulated_share: float,
    rotation: Float[np.ndarray, "3 3"] | None = None,
) -> Example:
    """A crop around a random residue of a chain.

    With probability `simulated_share` the density is EMAN2's at 5 Å, otherwise an experimental-like one.
    `rotation` replaces the random turn.
    """
    turn = Rotation.random(rng=rng).as_matrix() if rotation is None else rotation
    side = CROP + 2 * MARGIN
    anchor = chain.calpha[rng.integers(len(chain.calpha))] @ turn.T
    corner = anchor + rng.normal(scale=6.0, size=3) - side / 2 + rng.uniform(-0.5, 0.5, 3)
    atoms = (chain.positions @ turn.T - corner).astype(np.float32)
    calpha = (chain.calpha @ turn.T - corner).astype(np.float32)
    if rng.uniform() < simulated_share:
        widths = np.full(len(atoms), 5.0 / np.pi, np.float32)
        density = add_gaussians(atoms, chain.atomic_numbers, widths, (side, side, side))
        jitter = rng.uniform(0.93, 1.07)
    else:
        density = experimental_density(chain, atoms, (side, side, side), rng)
        jitter = rng.uniform(0.8, 1.2)
    inside = int(((calpha > 0) & (calpha < side)).all(axis=1).sum())
    density *= jitter / top_volume_scale(density, 1.0, max(inside, 8))
    inner = slice(MARGIN, MARGIN + CROP)
    return _label(chain, density[inner, inner, inner], atoms - MARGIN, calpha - MARGIN)


def _label(chain: TrainingChain, density: np.ndarray, atoms: np.ndarray, calpha: np.ndarray) -> Example:
    shape = (CROP, CROP, CROP)
    kinds = [atom_probability(atoms[chain.kind == kind], shape) for kind in range(5)]
    main_chain = np.maximum(np.maximum(kinds[0], kinds[1]), kinds[2])
    nearest, _ = nearest_point(calpha, shape, 4.0)

    def table(rows: np.ndarray) -> np.ndarray:
        return np.pad(rows, [(0, LONGEST_CHAIN - len(rows)), *[(0, 0)] * (rows.ndim - 1)])

    return Example(
        density=density.astype(np.float32),
        atoms=np.stack([main_chain, *kinds], axis=-1).astype(np.float16),
        nearest=nearest.astype(np.int16),
        calpha=table(calpha),
        directions=table(calpha_directions(calpha)),
        amino_acids=table(chain.amino_acids),
        states=table(chain.states),
    )


def batches(
    chains: list[TrainingChain], batch_size: int, simulated_share: float, seed: int, start: int = 0
) -> Iterator[Example]:
    """Endless batches, made by one background thread a little ahead of the training step.

    Batch number b depends on `seed` and b alone, so a resumed run (`start`)
    sees the batches it would have seen. Longer chains are visited in proportion to their length.
    """
    ready: queue.Queue[Example | Exception] = queue.Queue(maxsize=4)
    lengths = np.array([len(chain.calpha) for chain in chains], float)

    def produce() -> None:
        number = start
        while True:
            rng = np.random.default_rng((seed, number))
            chosen = rng.choice(len(chains), size=batch_size, p=lengths / lengths.sum())
            examples = [make_example(chains[c], rng, simulated_share) for c in chosen]
            ready.put(Example(*(np.stack(field) for field in zip(*examples, strict=True))))
            number += 1

    def produce_or_report() -> None:
        try:
            produce()
        except Exception as error:  # else the training step would wait for ever
            ready.put(error)

    threading.Thread(target=produce_or_report, daemon=True).start()
    while True:
        batch = ready.get()
        if isinstance(batch, Exception):
            raise batch
        yield batch
