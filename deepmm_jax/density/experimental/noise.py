"""Noise: coloured by the signal-to-noise ratio that the resolution implies, and residuals of real maps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from deepmm_jax.density.experimental.spectrum import TABLE, radial, to_map, to_transform


ATOM_VOLUME = 17.0
"""Å³ that a protein's atom (no hydrogens) takes up: 133 Å³ a residue, 7.8 atoms each."""
SOLVENT_BEGINS = 5.0
"""Å from the nearest atom."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Noise of a reconstruction. The model-map FSC of a perfect model is 0.5 at `half` / R (SSNR = 1/3 there).

    ln SSNR falls by `slope` from 0 to that frequency, as s², and no further than to 1.5 times its square. `strength`
    multiplies amplitudes (0 is none). `drift`: standard deviation, in that of the molecule's density, of slow noise
    with waves beyond `drift_length` (Å). All noise in the solvent is `solvent` times as strong as in the molecule.
    """

    strength: float = 0.0
    half: float = 1.0
    slope: float = 5.0
    drift: float = 0.0
    drift_length: float = 8.0
    solvent: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Transplant:
    """A residual of a real map, scaled to `strength` times the standard deviation of the molecule's density."""

    strength: float = 0.0


def signal_to_noise(s: Float[np.ndarray, "k"], noise: Noise, resolution: float) -> Float[np.ndarray, "k"]:
    """Spectral signal-to-noise ratio (of power) inside the molecule at s (1/Å)."""
    x2 = (s * resolution / noise.half) ** 2
    return np.exp(noise.slope * (1 - np.minimum(x2, 1.5))) / 3


def half_map_correlation(ssnr: Float[np.ndarray, "k"]) -> Float[np.ndarray, "k"]:
    """FSC between half maps, SSNR / (SSNR + 2) with half the particles in each: 1/7 ≈ 0.143 at SSNR = 1/3."""
    return ssnr / (ssnr + 2)


def noise_gain(power: Float[np.ndarray, "k"], ssnr: Float[np.ndarray, "k"]) -> Float[np.ndarray, "k"]:
    """Factor on white noise of unit variance per Å³; `power` is the signal's per atom (`wilson_power`)."""
    return np.sqrt(power / ATOM_VOLUME / ssnr)


def coloured_noise(
    shape: tuple[int, int, int], gain: Float[np.ndarray, "k"], rng: np.random.Generator
) -> Float[np.ndarray, "nx ny nz"]:
    """Gaussian noise whose amplitude at the frequencies `TABLE` is `gain` times that of white noise."""
    transform = to_transform(rng.standard_normal(shape, np.float32))
    transform *= radial(gain, shape)
    return to_map(transform, shape)


def drift_gain(noise: Noise) -> Float[np.ndarray, "k"]:
    """Factor on white noise at `TABLE` for slow noise of unit variance."""
    gain = np.exp(-((TABLE * noise.drift_length) ** 2))
    # Variance of filtered white noise: the mean of gain² over the transform, here over the sphere in the cube.
    shells = 4 * np.pi * TABLE**2 * (TABLE[1] - TABLE[0])
    return gain / np.sqrt((shells * gain**2).sum())


def solvent_share(distance: Float[np.ndarray, "nx ny nz"], solvent: float) -> Float[np.ndarray, "nx ny nz"]:
    """Strength of noise at each distance (Å) from the atoms: 1 up to 2 Å, `solvent` beyond 5 Å, a ramp between."""
    return solvent + (1 - solvent) * np.clip((SOLVENT_BEGINS - distance) / 3, 0, 1)


def transplanted(
    residuals: Sequence[np.ndarray], shape: tuple[int, int, int], rng: np.random.Generator
) -> Float[np.ndarray, "nx ny nz"]:
    """One residual, turned by one of the cube's 24 rotations, shifted, and repeated to fill the box."""
    residual = turn_cube(residuals[int(rng.integers(len(residuals)))], int(rng.integers(24)))
    start = [int(rng.integers(n)) for n in residual.shape]
    rows = [(np.arange(n) + s) % m for n, s, m in zip(shape, start, residual.shape, strict=True)]
    return residual[np.ix_(*rows)].astype(np.float32)


def turn_cube(data: np.ndarray, number: int) -> np.ndarray:
    """Rotation 0 to 23 of the cube: one of six faces to the top, then quarter turns about z. No mirror images."""
    face, quarters = divmod(number, 4)
    if face < 4:
        data = np.rot90(data, face, axes=(1, 2))
    else:
        data = np.rot90(data, 1 if face == 4 else 3, axes=(0, 2))
    return np.rot90(data, quarters, axes=(0, 1))
