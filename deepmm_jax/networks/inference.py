"""Whole-map inference in tiles of a few sizes: maps of any size share their compilations, and memory is bounded."""

import math
import os
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from deepmm_jax.density.amplitudes import TAPER
from deepmm_jax.density.map import DensityMap
from deepmm_jax.errors import MapError
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.networks.calibration import TYPE_HEADS, read_temperatures
from deepmm_jax.networks.checkpoints import load_checkpoint, read_sizes
from deepmm_jax.networks.turns import cube_turns
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
    density: DensityMap, checkpoint: str | Path, *, rotations: Literal[1, 4, 24] = 1, tile: int | None = None
) -> Evidence:
    """All evidence volumes of a scaled map with 1 Å voxels, from the network of a checkpoint.

    Each tile is shown to the network turned in so many ways as `rotations` says, and the answers are turned back and
    averaged: the logits of probabilities and types, the vectors. Types have the temperatures of the checkpoint's card
    and are stored as float16. A tile without density is not computed.
    Raises CheckpointError, and MapError for a map whose volumes would not fit into the machine's memory.
    """
    config, parameters = load_network(checkpoint)
    temperatures = read_temperatures(checkpoint)
    shape = density.shape
    needed, memory = BYTES_A_VOXEL * density.data.size, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
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
    for window, kept, place in tiles(shape, size):
        block = _cut(channels, window, size)
        if not block[..., 0].any():
            continue
        outputs = _averaged_outputs(config, parameters, block, rotations)
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


def _averaged_outputs(
    config: WholeMapConfig, parameters: dict[str, Any], block: Float[np.ndarray, "t t t c"], rotations: int
) -> dict[str, np.ndarray]:
    """Mean outputs of the turned tile, turned back.

    The tile is turned, not the map: its side is a multiple of the coarsest stride, so that every turn maps the
    network's coarser grids onto themselves.
    """
    total: dict[str, np.ndarray] = {}
    for turn in cube_turns(rotations):
        outputs = _outputs(parameters, np.ascontiguousarray(turn.turned(block))[None], config=config)
        for head, values in outputs.items():
            back = (turn.vectors_back if head in VECTOR_HEADS else turn.back)(np.asarray(values[0]))
            if head in total:
                total[head] += back
            else:
                total[head] = back if rotations == 1 else np.array(back)
    return total if rotations == 1 else {head: values / rotations for head, values in total.items()}


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
