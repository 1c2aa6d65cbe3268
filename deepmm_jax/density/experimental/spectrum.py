"""What reconstruction and post-processing do to a map's Fourier coefficients: fall-off, sharpening, low-pass, grids."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
from jaxtyping import Complex, Float, Int


RADII = 512
"""Length of a radial table."""
TABLE: Float[np.ndarray, "k"] = (np.arange(RADII) + 0.5) / RADII * np.sqrt(0.75)
"""Frequencies s = 1/d (1/Å) of a radial table: the corner of a 1 Å grid's transform lies at √0.75."""
_STEEPEST = 30.0


@dataclass(frozen=True, kw_only=True)
class PostProcessing:
    """Fall-off of the finished map and its low-pass.

    The atoms' root mean square amplitude, scattering factors aside, is exp(-`fall_off`) at the resolution R: 0 is fully
    sharpened and negative values over-sharpened. The low-pass halves the amplitude at `cutoff` / R, over a width of
    `edge` / R; `merit` is the power of the figure of merit √(2 FSC / (1 + FSC)) that weights it.
    """

    fall_off: float = 1.0
    cutoff: float = 1.0
    edge: float = 0.05
    merit: float = 0.0


@dataclass(frozen=True, kw_only=True)
class LowFrequencies:
    """Amplitudes are multiplied by 1 + `gain`·exp(-`b` s²/4), b in Å².

    Solvent takes contrast from a molecule (a negative gain); badly aligned particles and disordered parts add blurred
    density, and sharpening that starts at 10 Å leaves more below (a positive one).
    """

    gain: float = 0.0
    b: float = 300.0


@dataclass(frozen=True, kw_only=True)
class Anisotropy:
    """Extra fall-off along one direction: its amplitude is exp(-`strength`) of that across it, at the resolution."""

    strength: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Grid of the deposited map: its `voxel` (Å), and how far (0 or 1) it went to 1 Å by `trilinear` interpolation."""

    voxel: float = 1.0
    trilinear: float = 0.0


def post_processing_gain(
    s: Float[np.ndarray, "k"], post: PostProcessing, resolution: float, fsc: Float[np.ndarray, "k"], atom_b: float
) -> Float[np.ndarray, "k"]:
    """Factor on amplitudes at s (1/Å) that takes atoms of B = `atom_b` (Å²) to the wanted fall-off, low-passed.

    `fsc` is that of half maps at s. Sharpening stops at the low-pass's cutoff, where programs stop as well.
    """
    x = s * resolution
    wanted = 4 * resolution**2 * post.fall_off
    s2 = np.minimum(x, post.cutoff) ** 2 / resolution**2
    # Beyond the cutoff the low-pass is all that counts; an edge is never sharper than one shell.
    low_pass = 1 / (1 + np.exp(np.clip((x - post.cutoff) / post.edge, -_STEEPEST, _STEEPEST)))
    return np.exp((atom_b - wanted) * s2 / 4) * low_pass * np.sqrt(2 * fsc / (1 + fsc)) ** post.merit


def low_frequency_gain(s: Float[np.ndarray, "k"], low: LowFrequencies) -> Float[np.ndarray, "k"]:
    """Factor on the molecule's amplitudes at s (1/Å)."""
    return 1 + low.gain * np.exp(-low.b * s**2 / 4)


def anisotropic_gain(
    shape: tuple[int, int, int], anisotropy: Anisotropy, resolution: float, axis: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "nx ny nzh"]:
    """Factor on the coefficients of a half transform: less along the unit vector `axis`, more across it."""
    x, y, z = (np.float32(a) * f for a, f in zip(axis, frequencies(shape), strict=True))
    along = np.square(x + y + z)
    excess = along - radial(TABLE**2 / 3, shape)
    # The edge of the table would grow without bound across the axis.
    return np.exp(np.clip(-anisotropy.strength * resolution**2 * excess, -_STEEPEST, 1.5))


def resample_through(density: Float[np.ndarray, "nx ny nz"], sampling: Sampling) -> Float[np.ndarray, "nx ny nz"]:
    """The map as it comes back from a grid of another voxel: waves beyond that grid's Nyquist cube are gone.

    Trilinear interpolation also weakens what stays by sinc²(s v) along each axis, its mean effect over positions.
    """
    if sampling.voxel <= 1 and not sampling.trilinear:
        return density
    gains = []
    for f in frequencies(density.shape):
        beyond = np.clip((np.abs(f) - 0.5 / max(sampling.voxel, 1.0)) / 0.004, -_STEEPEST, _STEEPEST)
        gains.append(np.sinc(f * sampling.voxel) ** (2 * sampling.trilinear) / (1 + np.exp(beyond)))
    transform = to_transform(density)
    for gain in gains:
        transform *= gain.astype(np.float32)
    return to_map(transform, density.shape)


def to_transform(density: Float[np.ndarray, "nx ny nz"]) -> Complex[np.ndarray, "nx ny nzh"]:
    """The half transform of a map, which may be overwritten."""
    return np.asarray(scipy.fft.rfftn(density, overwrite_x=True))


def to_map(transform: Complex[np.ndarray, "nx ny nzh"], shape: tuple[int, ...]) -> Float[np.ndarray, "nx ny nz"]:
    """The map of a half transform, consumed."""
    return np.asarray(scipy.fft.irfftn(transform, shape, overwrite_x=True))


def radial(table: Float[np.ndarray, "k"], shape: tuple[int, int, int]) -> Float[np.ndarray, "nx ny nzh"]:
    """A radial table, given at the frequencies `TABLE`, spread over a half transform."""
    return table.astype(np.float32)[_radius(shape)]


@lru_cache(maxsize=4)
def _radius(shape: tuple[int, int, int]) -> Int[np.ndarray, "nx ny nzh"]:
    x, y, z = frequencies(shape)
    index = np.sqrt(x**2 + y**2 + z**2) / np.sqrt(0.75) * RADII
    return np.minimum(index, RADII - 1).astype(np.int16)


def frequencies(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The frequencies (1/Å, 1 Å voxels) of a half transform along x, y and z, ready to broadcast."""
    nx, ny, nz = shape
    x, y, z = np.fft.fftfreq(nx), np.fft.fftfreq(ny), np.fft.rfftfreq(nz)
    return x[:, None, None].astype(np.float32), y[None, :, None].astype(np.float32), z[None, None].astype(np.float32)
