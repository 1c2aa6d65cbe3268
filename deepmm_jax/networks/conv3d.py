"""Three-dimensional convolution for every backend, with the signature of `lax.conv_general_dilated`.

XLA's 3-D convolution on CPUs reaches 15–25 GFLOP/s; the same sum as one 2-D convolution, with the
neighbouring planes stacked as channels, reaches 160–190 GFLOP/s on two cores. Where there are no more
outputs than inputs, the planes are stacked among the outputs instead. The gradient of a kernel is a matrix
product, of half that speed.
Weights keep the usual 3-D layout, so a checkpoint serves both forms.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax


def conv3d(
    lhs: Array,
    rhs: Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    **options: Any,
) -> Array:
    """Convolve `lhs` (batch, x, y, z, channels) with `rhs` (kx, ky, kz, in, out).

    For use as `nnx.Conv(..., conv_general_dilated=conv3d)`. Strided, dilated or grouped convolutions,
    single points, and other backends than the CPU go to `lax.conv_general_dilated` as they are.
    """
    plain = set(window_strides) == {1} and feature_group_count == 1
    plain &= set(lhs_dilation or (1,)) == {1} and set(rhs_dilation or (1,)) == {1}
    if jax.default_backend() == "cpu" and plain and rhs.shape[:3] == (1, 1, 1) and isinstance(padding, str):
        return lhs @ rhs[0, 0, 0]
    if jax.default_backend() == "cpu" and plain:
        if padding == "SAME" and all(side % 2 for side in rhs.shape[:3]):
            return _same(lhs, rhs)
        return _by_planes(lhs, rhs, padding)
    return lax.conv_general_dilated(
        lhs, rhs, window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers, feature_group_count, **options
    )


@jax.custom_vjp
def _same(lhs: Array, rhs: Array) -> Array:
    """A convolution that keeps the shape; the sides of the kernel are odd."""
    return _by_offsets(lhs, rhs) if rhs.shape[4] <= rhs.shape[3] else _by_planes(lhs, rhs, "SAME")


def _same_forward(lhs: Array, rhs: Array) -> tuple[Array, tuple[Array, Array]]:
    return _same(lhs, rhs), (lhs, rhs)


def _same_backward(kept: tuple[Array, Array], change: Array) -> tuple[Array, Array]:
    lhs, rhs = kept
    change = _finished(change)
    back = _same(change, rhs[::-1, ::-1, ::-1].swapaxes(3, 4))
    return back, _kernel_gradient(_finished(lhs), change, rhs.shape)


_same.defvjp(_same_forward, _same_backward)


def _finished(x: Array) -> Array:
    """The same values, by a product with the identity."""
    # XLA would compute whatever makes `x` anew in each of the slices that a gradient takes of it, which took half of a
    # training step of DenseNets; it heeds no optimisation barrier there.
    return x @ jnp.eye(x.shape[-1], dtype=x.dtype)


def _kernel_gradient(lhs: Array, change: Array, kernel: tuple[int, ...]) -> Array:
    """Gradient of the kernel as one matrix product, each of whose sides has a part of the offsets.

    XLA would convolve with the whole input as a kernel, which takes more than twice as long.
    """
    kx, ky, kz, n_in, n_out = kernel
    nx, ny, nz = lhs.shape[1:4]
    seen = jnp.pad(lhs, ((0, 0), (0, 0), (0, 0), (kz // 2, kz // 2), (0, 0)))
    seen = jnp.concatenate([seen[:, :, :, k : k + nz] for k in range(kz)], axis=-1)
    by = jnp.pad(change, ((0, 0), (kx // 2, kx // 2), (ky // 2, ky // 2), (0, 0), (0, 0)))
    offsets = [(i, j) for i in reversed(range(kx)) for j in reversed(range(ky))]
    by = jnp.concatenate([by[:, i : i + nx, j : j + ny] for i, j in offsets], axis=-1)
    product = seen.reshape(-1, kz * n_in).T @ by.reshape(-1, kx * ky * n_out)
    return product.reshape(kz, n_in, kx, ky, n_out).transpose(2, 3, 0, 1, 4)


def _by_planes(lhs: Array, rhs: Array, padding: str | Sequence[tuple[int, int]]) -> Array:
    """One 2-D convolution in which the planes that a voxel sees are channels."""
    kx, ky, kz, n_in, n_out = rhs.shape
    lhs, padding = _padded(lhs, rhs.shape, padding)
    nx = lhs.shape[1] - kx + 1
    planes = jnp.concatenate([lhs[:, i : i + nx] for i in range(kx)], axis=-1)
    return _each_plane(planes, rhs.transpose(1, 2, 0, 3, 4).reshape(ky, kz, kx * n_in, n_out), padding)


def _by_offsets(lhs: Array, rhs: Array) -> Array:
    """One 2-D convolution of each plane that says what it gives to all planes near it, and the sum of these."""
    kx, ky, kz, n_in, n_out = rhs.shape
    lhs, padding = _padded(lhs, rhs.shape, "SAME")
    nx = lhs.shape[1] - kx + 1
    given = _each_plane(lhs, rhs.transpose(1, 2, 3, 0, 4).reshape(ky, kz, n_in, kx * n_out), padding)
    given = given.reshape(*given.shape[:4], kx, n_out)
    return functools.reduce(jnp.add, [given[:, i : i + nx, :, :, i] for i in range(kx)])


def _padded(
    lhs: Array, kernel: tuple[int, ...], padding: str | Sequence[tuple[int, int]]
) -> tuple[Array, list[tuple[int, int]]]:
    """The input padded along x, and the padding along y and z."""
    if isinstance(padding, str):
        padding = [(low, high) for low, high in lax.padtype_to_pads(lhs.shape[1:4], kernel[:3], (1, 1, 1), padding)]
    along_x, along_y, along_z = padding
    return jnp.pad(lhs, ((0, 0), along_x, (0, 0), (0, 0), (0, 0))), [along_y, along_z]


def _each_plane(lhs: Array, kernel: Array, padding: list[tuple[int, int]]) -> Array:
    """The same 2-D convolution of every plane."""
    batch, nx, *plane = lhs.shape
    out = lax.conv_general_dilated(
        lhs.reshape(batch * nx, *plane), kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return out.reshape(batch, nx, *out.shape[1:])
