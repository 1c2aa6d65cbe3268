"""Density that a model would have at a resolution: the Fourier synthesis of its scattering factors (section 3.2)."""

from dataclasses import dataclass
from functools import partial

import gemmi
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Complex, Float, Int
from scipy.fft import rfftn

from deepmm_jax.density.simulate import add_gaussians


MARGIN = 3.0
"""Resolutions around the atoms that are computed; more change the correlations by 0.0001."""
_ALIAS = 1e-3
_VOXELS_PER_RESOLUTION = 2.5


@dataclass(frozen=True, kw_only=True)
class Scattering:
    """Fourier coefficients of atoms without B factors, on the lattice of a map but in a box of their own.

    The box has this `shape` and begins at voxel `corner` of the map. `coefficients` are those of a real transform, 0
    beyond the resolution; `s2` are the squares of their frequencies, 1/Å².
    """

    corner: Int[np.ndarray, "3"]
    shape: tuple[int, int, int]
    coefficients: Complex[np.ndarray, "mx my mz"]
    s2: Float[np.ndarray, "mx my mz"]

    def at(self, b: float) -> Float[Array, "nx ny nz"]:
        """Density (scattering length over volume, 1/Å²) of the atoms in the box, all with this B (Å²)."""
        return synthesise(jnp.asarray(self.coefficients), jnp.asarray(self.s2), b, self.shape)

    def overlap(self, shape: tuple[int, int, int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """The part of a map of this shape that the box covers, and the part of the box that lies in the map."""
        low = np.clip(self.corner, 0, shape)
        high = np.clip(self.corner + self.shape, low, shape)
        in_map, in_box = ([slice(int(a), int(b)) for a, b in zip(low - at, high - at)] for at in (0, self.corner))
        return tuple(in_map), tuple(in_box)


@partial(jax.jit, static_argnames="shape")
def synthesise(
    coefficients: Complex[Array, "mx my mz"],
    s2: Float[Array, "mx my mz"],
    b: Float[Array, ""] | float,
    shape: tuple[int, int, int],
) -> Float[Array, "nx ny nz"]:
    """The density of coefficients that fall off as exp(-B s²/4), B in Å²."""
    return jnp.fft.irfftn(coefficients * jnp.exp(-b * s2 / 4), s=shape)


def scattering(
    grid_positions: Float[np.ndarray, "n 3"],
    atomic_numbers: Float[np.ndarray, "n"],
    step: Float[np.ndarray, "3"],
    resolution: float,
) -> Scattering:
    """Structure factors Σ f(s) exp(-2πi s·x) of atoms up to `resolution` (Å); positions in voxels, `step` in Å.

    f are the electron scattering factors of International Tables C, table 4.3.2.2. The atoms are spread as Gaussians
    wide enough for the lattice, and the transform is divided by that of the Gaussian: errors stay below 0.2 %.
    """
    margin = np.ceil(MARGIN * resolution / step)
    corner = (np.floor(grid_positions.min(axis=0)) - margin).astype(int)
    sides = (np.ceil(grid_positions.max(axis=0)) + margin).astype(int) - corner
    # Sides in steps of 16, so that models of about the same size share one compiled program.
    nx, ny, nz = (int(-(-side // 16) * 16) for side in sides)
    waves = np.ix_(_waves(nx), _waves(ny), np.arange(nz // 2 + 1))
    cycles = [k / n for k, n in zip(waves, (nx, ny, nz))]  # per voxel
    s2 = _squared(cycles, 1 / step)
    finer = int(np.ceil(_VOXELS_PER_RESOLUTION * float(step.max()) / resolution))
    # B of the Gaussian in fine voxels: the alias of frequency k is that of 1 - k, and (1 - k)² - k² = 1 - 2 k.
    blur = -4 * np.log(_ALIAS) / (1 - 2 * float(step.max()) / (finer * resolution))
    width = np.sqrt(blur) / (2 * np.pi)
    spread = (np.pi * width**2) ** 1.5 * np.exp(-blur / 4 * _squared(cycles, np.full(3, 1 / finer)))
    factors = np.zeros(s2.shape, np.complex128)
    for element in np.unique(atomic_numbers):
        atoms = (grid_positions[atomic_numbers == element] - corner) * finer
        laid = add_gaussians(
            atoms,
            np.ones(len(atoms), np.float32),
            np.full(len(atoms), width, np.float32),
            (finer * nx, finer * ny, finer * nz),
        )
        factor = gemmi.Element(int(element)).c4322
        f = np.sum([a * np.exp(-b * s2 / 4) for a, b in zip(factor.a, factor.b)], axis=0)
        factors += f / spread * np.asarray(rfftn(laid.astype(np.float64), workers=2))[waves]
    factors[s2 > resolution**-2] = 0.0
    return Scattering(
        corner=corner,
        shape=(nx, ny, nz),
        coefficients=(factors / np.prod(step)).astype(np.complex64),
        s2=s2.astype(np.float32),
    )


def _squared(cycles: list[np.ndarray], scale: Float[np.ndarray, "3"]) -> Float[np.ndarray, "mx my mz"]:
    """Squares of frequencies given by axis, in units of their own."""
    x, y, z = (np.square(k * factor) for k, factor in zip(cycles, scale))
    return x + y + z


def _waves(n: int) -> Int[np.ndarray, "n"]:
    """Waves in a box of n voxels that each coefficient of a transform stands for."""
    return np.round(np.fft.fftfreq(n, 1 / n)).astype(int)
