"""Mean shift: points climb to the local maxima of the smoothed main-chain probability (section 2.3; MAINMAST)."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Bool, Float, Int


SHORTEST_STEP = 0.001
"""A point has arrived when its last step, squared, is shorter than this (Å²)."""

MOST_STEPS = 10_000
"""Steps that a point may take."""

_BATCH, _FEW = 2048, 128
"""Points per compiled call, at most and if few are left: bounds the memory (9³ cells a point) and the compilations."""

_BURST = 6
"""Steps between two compactions; most points arrive after nine, the last after fifty."""

_MULTIPLE = 32
"""Volumes are padded to multiples of this, so that maps of about one size share a compilation."""


class _Climb(NamedTuple):
    """Carry of the loop over steps: one row a point, positions in grid units."""

    position: Float[Array, "n 3"]
    density: Float[Array, " n"]
    moving: Bool[Array, " n"]
    steps: Int[Array, ""]


def shift_points(
    volume: Float[np.ndarray, "nx ny nz"],
    seeds: Float[np.ndarray, "n 3"],
    step: Float[np.ndarray, "3"],
    *,
    bandwidth: float,
    max_shift: float,
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, " n"]]:
    """Move every seed to the weighted mean of the grid about it, again and again, until it stands still.

    A grid point at r Å weighs exp(-1.5 r² / (bandwidth / 2)²) · value; the sum runs over the cube of half-width
    2 · bandwidth (to the nearest voxel) inside the grid. A point stops after a step of squared length below
    `SHORTEST_STEP`, once it is farther than `max_shift` Å from its seed, or after `MOST_STEPS` steps.

    `volume` holds no negative value; `seeds` are in grid units, `step` in Å. Returns positions in grid units and
    densities: the sum of the weights about the place from which the last step was taken.
    """
    field, reach, sharpness = _field(volume, step, bandwidth)
    spacing = jnp.asarray(step, jnp.float32)
    position, density = np.array(seeds, np.float32), np.zeros(len(seeds), np.float32)
    moving = np.arange(len(seeds))
    for _ in range(0, MOST_STEPS, _BURST):
        if not moving.size:
            break
        still_moving = []
        for rows in _batches(moving):
            start, seed = _fill(position[rows]), _fill(np.asarray(seeds[rows], np.float32))
            real = jnp.arange(len(start)) < len(rows)
            climb = _climb(field, start, seed, real, spacing, sharpness, jnp.float32(max_shift), reach)
            position[rows], density[rows] = climb.position[: len(rows)], climb.density[: len(rows)]
            still_moving.append(rows[np.asarray(climb.moving)[: len(rows)]])
        moving = np.concatenate(still_moving)
    return position, density


def kernel_density(
    volume: Float[np.ndarray, "nx ny nz"],
    positions: Float[np.ndarray, "n 3"],
    step: Float[np.ndarray, "3"],
    *,
    bandwidth: float,
) -> Float[np.ndarray, " n"]:
    """Sum of kernel · value about each position (grid units), with the kernel of `shift_points`."""
    field, reach, sharpness = _field(volume, step, bandwidth)
    density = np.zeros(len(positions), np.float32)
    for rows in _batches(np.arange(len(positions))):
        sums, _ = _weighted_mean(field, _fill(np.asarray(positions[rows], np.float32)), sharpness, reach)
        density[rows] = sums[: len(rows)]
    return density


def _field(volume: np.ndarray, step: np.ndarray, bandwidth: float) -> tuple[Array, tuple[int, int, int], Array]:
    """The volume behind a border of zeros as wide as the kernel, the kernel's half-width, its exponent per voxel²."""
    rx, ry, rz = (round(2.0 * bandwidth / s) for s in step.tolist())
    fill = [-(n + 2 * r) % _MULTIPLE for n, r in zip(volume.shape, (rx, ry, rz), strict=True)]
    border = [(r, r + f) for r, f in zip((rx, ry, rz), fill, strict=True)]
    sharpness = 1.5 * np.square(step / (bandwidth / 2.0))
    return jnp.asarray(np.pad(volume, border), jnp.float32), (rx, ry, rz), jnp.asarray(sharpness, jnp.float32)


def _batches(rows: np.ndarray) -> Iterator[np.ndarray]:
    """The rows in batches of `_BATCH`, the last one shorter."""
    return (rows[i : i + _BATCH] for i in range(0, len(rows), _BATCH))


def _fill(points: np.ndarray) -> Array:
    """A batch of one of the two sizes, filled up with copies of the first row."""
    size = _FEW if len(points) <= _FEW else _BATCH
    return jnp.asarray(np.concatenate([points, np.broadcast_to(points[:1], (size - len(points), 3))]))


@partial(jax.jit, static_argnames="reach")
def _weighted_mean(
    field: Float[Array, "px py pz"],
    position: Float[Array, "n 3"],
    sharpness: Float[Array, "3"],
    reach: tuple[int, int, int],
) -> tuple[Float[Array, " n"], Float[Array, "n 3"]]:
    """Sum of the weights about each position, and their mean position.

    The kernel is a product over the axes, so z, then y, then x are summed, each with its first moment; moments are
    taken about the position itself, which keeps single precision exact far from the origin.
    """
    centre = jnp.floor(position + 0.5).astype(jnp.int32)
    size = tuple(2 * r + 1 for r in reach)
    patch = jax.vmap(lambda corner: lax.dynamic_slice(field, corner, size))(centre)  # the border shifts the corner
    away = [centre[:, a, None] + jnp.arange(-r, r + 1)[None] - position[:, a, None] for a, r in enumerate(reach)]
    dx, dy, dz = away
    kx, ky, kz = (jnp.exp(-sharpness[a] * jnp.square(d)) for a, d in enumerate(away))
    line = jnp.sum(patch * kz[:, None, None], axis=-1)
    line_z = jnp.sum(patch * (kz * dz)[:, None, None], axis=-1)
    plane, plane_y = jnp.sum(line * ky[:, None], axis=-1), jnp.sum(line * (ky * dy)[:, None], axis=-1)
    plane_z = jnp.sum(line_z * ky[:, None], axis=-1)
    total = jnp.sum(plane * kx, axis=-1)
    moments = [jnp.sum(m, axis=-1) for m in (plane * kx * dx, plane_y * kx, plane_z * kx)]
    occupied = total > 0
    mean = jnp.stack(moments, axis=-1) / jnp.where(occupied, total, 1.0)[:, None]
    return total, position + jnp.where(occupied[:, None], mean, 0.0)


@partial(jax.jit, static_argnames="reach")
def _climb(
    field: Float[Array, "px py pz"],
    position: Float[Array, "n 3"],
    seed: Float[Array, "n 3"],
    moving: Bool[Array, " n"],
    spacing: Float[Array, "3"],
    sharpness: Float[Array, "3"],
    max_shift: Float[Array, ""],
    reach: tuple[int, int, int],
) -> _Climb:
    """At most `_BURST` steps of every moving point."""

    def one_step(climb: _Climb) -> _Climb:
        density, target = _weighted_mean(field, climb.position, sharpness, reach)
        stride = jnp.sum(jnp.square((target - climb.position) * spacing[None]), axis=-1)
        strayed = jnp.sum(jnp.square((target - seed) * spacing[None]), axis=-1) > jnp.square(max_shift)
        return _Climb(
            position=jnp.where(climb.moving[:, None], target, climb.position),
            density=jnp.where(climb.moving, density, climb.density),
            moving=climb.moving & (stride >= SHORTEST_STEP) & ~strayed,
            steps=climb.steps + 1,
        )

    def unfinished(climb: _Climb) -> Bool[Array, ""]:
        return (climb.steps < _BURST) & jnp.any(climb.moving)

    start = _Climb(position, jnp.zeros(position.shape[0], jnp.float32), moving, jnp.int32(0))
    return lax.while_loop(unfinished, one_step, start)
