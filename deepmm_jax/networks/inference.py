"""Whole-map inference in tiles of a few sizes: maps of any size share their compilations, and memory is bounded."""

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice, product
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh
from jaxtyping import Float

from deepmm_jax.density.amplitudes import TAPER
from deepmm_jax.density.map import DensityMap
from deepmm_jax.devices import Device, copied, machine_memory, plan_batches, spread
from deepmm_jax.errors import MapError
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.networks.calibration import TYPE_HEADS, read_temperatures
from deepmm_jax.networks.checkpoints import load_checkpoint, read_sizes
from deepmm_jax.networks.turns import Turn, cube_turns
from deepmm_jax.networks.whole_map import (
    ATOM_CHANNELS,
    STRIDE,
    WholeMapConfig,
    apply_network,
    network_input,
    parameter_shapes,
    split_heads,
)


TILES = (64, 80, 96, 112, 128)
"""Sides a tile may have, voxels; a map takes the one with which it costs least."""
CONTEXT = 16
"""Voxels at a tile's inner edges that only lend context; their predictions are dropped."""
BYTES_A_VOXEL = 130
"""What the evidence and its intermediate copies take."""
NETWORK_BYTES_A_VOXEL = 500
"""What the network takes on a device: 420 by XLA's count on a CPU."""
MOST_TILES = 8
"""That a device is given at a time."""
VECTOR_HEADS = ("offset", "directions")
"""Heads whose channels turn with the map."""
FLOOR = float(np.exp(-4.0))
"""Equation 1 at r_cut: probabilities below it mean that no atom is near, and are set to 0."""


def load_network(checkpoint: str | Path) -> tuple[WholeMapConfig, dict[str, Any]]:
    """Configuration and weights of a whole-map checkpoint, by shipped name or folder."""
    instead = "`simulated`, `experimental` or a folder made by `deepmm-jax train whole-map`"
    config = read_sizes(checkpoint, "whole-map", WholeMapConfig(), instead)
    return config, load_checkpoint(checkpoint, parameter_shapes(config))[0]


def predict_volumes(
    density: DensityMap,
    checkpoint: str | Path,
    *,
    rotations: Literal[1, 4, 24] = 1,
    tile: int | None = None,
    devices: Sequence[Device] | None = None,
) -> Evidence:
    """All evidence volumes of a scaled map with 1 Å voxels, from the network of a checkpoint.

    Each tile is shown to the network turned in so many ways as `rotations` says, and the answers are turned back and
    averaged: the logits of probabilities and types, the vectors. Types have the temperatures of the checkpoint's card
    and are stored as float16. A tile without density is not computed. Turned tiles are spread over `devices`, all
    that there are unless some are given.
    Raises CheckpointError, and MapError for a map whose volumes would not fit into the machine's memory.
    """
    config, parameters = load_network(checkpoint)
    temperatures = read_temperatures(checkpoint)
    shape = density.shape
    needed, memory = BYTES_A_VOXEL * density.data.size, machine_memory()
    if needed > 0.8 * memory:
        raise MapError(
            f"the density fills {' × '.join(map(str, shape))} voxels of 1 Å, for which {needed / 1e9:.0f} GB of memory "
            f"are needed and {memory / 1e9:.0f} GB are there; cut out one chain, or give --mask or --contour"
        )
    atoms = np.zeros((*shape, 6), np.float32)
    offset = np.zeros((*shape, 3), np.float16)
    directions = np.zeros((*shape, 6), np.float16)
    amino_acids = np.full((*shape, 20), 1 / 20, np.float16)
    states = np.full((*shape, 3), 1 / 3, np.float16)
    volumes = (atoms, offset, directions, amino_acids, states)
    inner = slice(TAPER, -TAPER)
    channels = network_input(np.pad(density.data, TAPER, mode="symmetric"))[inner, inner, inner]
    size = tile or cheapest_tile(shape)
    filled = [part for part in tiles(shape, size) if _cut(channels, part[0], size)[..., 0].any()]
    blocks = (_cut(channels, window, size) for window, *_ in filled)
    turns = cube_turns(rotations)
    needed = NETWORK_BYTES_A_VOXEL * size**3
    mesh, batch = plan_batches(len(filled) * len(turns), needed, most=MOST_TILES, devices=devices)
    parts = _turned_outputs(config, parameters, blocks, turns, mesh, batch)
    for _, kept, place in filled:
        outputs = _mean(parts, len(turns))
        predicted = _evidence(outputs, jnp.array([temperatures[head] for head in TYPE_HEADS]))
        for volume, values in zip(volumes, predicted, strict=True):
            volume[place] = np.asarray(values)[kept]
    atoms[atoms < FLOOR] = 0.0
    main_chain, calpha = ATOM_CHANNELS.index("main chain"), ATOM_CHANNELS.index("CA")
    return Evidence(
        main_chain=np.ascontiguousarray(atoms[..., main_chain]),
        calpha=np.ascontiguousarray(atoms[..., calpha]),
        step=density.step,
        origin=density.origin,
        atoms=atoms[..., 1:].astype(np.float16),
        offset=offset,
        directions=directions,
        amino_acids=amino_acids,
        secondary_structure=states,
    )


def _turned_outputs(
    config: WholeMapConfig,
    parameters: dict[str, Any],
    blocks: Iterable[Float[np.ndarray, "t t t c"]],
    turns: Sequence[Turn],
    mesh: Mesh,
    batch: int,
) -> Iterator[dict[str, np.ndarray]]:
    """Outputs of every tile turned in every way, turned back; `batch` of them are computed at a time on a mesh.

    The tile is turned, not the map: its side is a multiple of the coarsest stride, so that every turn maps the
    network's coarser grids onto themselves.
    """
    parameters = copied(parameters, mesh)
    work = ((turn, np.ascontiguousarray(turn.turned(block))) for block in blocks for turn in turns)
    while group := list(islice(work, batch)):
        turned = spread(np.stack([block for _, block in group]), mesh, batch)
        outputs = {head: np.asarray(said) for head, said in _outputs(parameters, turned, config=config).items()}
        for row, (turn, _) in enumerate(group):
            yield {
                head: (turn.vectors_back if head in VECTOR_HEADS else turn.back)(said[row])
                for head, said in outputs.items()
            }


def _mean(parts: Iterator[dict[str, np.ndarray]], count: int) -> dict[str, np.ndarray]:
    """The mean of the next `count` outputs, one of which is held at a time."""
    total = next(parts)
    if count == 1:
        return total
    total = {head: np.array(values) for head, values in total.items()}
    for part in islice(parts, count - 1):
        for head, values in part.items():
            total[head] += values
    return {head: values / count for head, values in total.items()}


Slices = tuple[slice, slice, slice]


def cheapest_tile(shape: tuple[int, int, int]) -> int:
    """The side from `TILES` with which a map is covered by the fewest computed voxels."""
    return min(TILES, key=lambda tile: tile**3 * math.prod(len(list(_spans(n, tile))) for n in shape))


def tiles(shape: tuple[int, int, int], tile: int) -> Iterator[tuple[tuple[int, int, int], Slices, Slices]]:
    """Tiles that cover a map: (corner of the window, part of the window that is kept, its place in the map).

    Windows of `tile` voxels may reach beyond the map. Corners are multiples of the coarsest stride, so that every
    voxel sits in the same place of the network's 2 Å and 4 Å grids whatever the tiling.
    Raises ValueError for a tile that is no multiple of that stride or no larger than its context.
    """
    if tile % STRIDE or tile <= 2 * CONTEXT:
        raise ValueError(f"a tile of {tile} voxels must be a multiple of {STRIDE} above {2 * CONTEXT}")
    axes = [list(_spans(n, tile)) for n in shape]
    for spans in product(*axes):
        x, y, z = spans
        yield (
            (x[0], y[0], z[0]),
            (slice(x[1] - x[0], x[2] - x[0]), slice(y[1] - y[0], y[2] - y[0]), slice(z[1] - z[0], z[2] - z[0])),
            (slice(x[1], x[2]), slice(y[1], y[2]), slice(z[1], z[2])),
        )


def _spans(n: int, tile: int) -> Iterator[tuple[int, int, int]]:
    """(start of the window, first kept, last kept + 1) along one axis."""
    if n <= tile:
        yield 0, 0, n
        return
    start = 0
    while True:
        first = 0 if start == 0 else start + CONTEXT
        last = start + tile - CONTEXT
        if start + tile >= n:
            yield start, first, n
            return
        yield start, first, last
        start = last - CONTEXT


def _cut(data: Float[np.ndarray, "nx ny nz 2"], corner: tuple[int, int, int], tile: int) -> np.ndarray:
    """The window of a map, zeros beyond its end."""
    block = data[tuple(slice(c, c + tile) for c in corner)]
    return np.pad(block, [*((0, tile - n) for n in block.shape[:3]), (0, 0)])


@partial(jax.jit, static_argnames="config")
def _outputs(
    parameters: dict[str, Any], density: Float[Array, "b x y z 2"], *, config: WholeMapConfig
) -> dict[str, Float[Array, "b x y z _"]]:
    """What may be averaged: logits of atoms, log-probabilities of types, offsets, unit vectors of directions."""
    heads = split_heads(apply_network(config, parameters, density))
    types = {head: jax.nn.log_softmax(heads[head]) for head in TYPE_HEADS}
    return heads | types | {"directions": _unit(heads["directions"])}


@jax.jit
def _evidence(
    outputs: dict[str, Float[Array, "x y z _"]], temperatures: Float[Array, "2"]
) -> tuple[Array, Array, Array, Array, Array]:
    """Probabilities, offsets and unit vectors from averaged outputs; types tempered."""
    amino_acids, states = (outputs[head] / temperatures[i] for i, head in enumerate(TYPE_HEADS))
    return (
        jax.nn.sigmoid(outputs["atoms"]),
        outputs["offset"].astype(jnp.float16),
        _unit(outputs["directions"]).astype(jnp.float16),
        jax.nn.softmax(amino_acids).astype(jnp.float16),
        jax.nn.softmax(states).astype(jnp.float16),
    )


def _unit(directions: Float[Array, "*n 6"]) -> Float[Array, "*n 6"]:
    """Both vectors at length 1, or shorter where they are next to nothing."""
    pairs = directions.reshape(*directions.shape[:-1], 2, 3)
    return (pairs / jnp.sqrt(jnp.sum(pairs**2, axis=-1, keepdims=True) + 1e-6)).reshape(directions.shape)
