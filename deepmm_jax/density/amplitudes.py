"""Radial amplitudes: how strong a map is at each spatial frequency, and a map with standard ones.

Depositors sharpen their maps as they please; a network that also sees the map with its radial amplitudes set to one
standard need not learn that away.
"""

import numpy as np
import scipy.fft
from jaxtyping import Float

from deepmm_jax.density.experimental.spectrum import frequencies


SHELL = 0.02
"""Width of a shell of spatial frequency, 1/Å."""
STANDARD_B = 60.0
"""Å²; the standard amplitudes fall as exp(-B s²/4)."""
LOWEST = 0.1
"""1/Å; below this the gain is what it is here, since the shape of molecule and mask decides those amplitudes."""
LARGEST_GAIN = 20.0
"""Relative to the gain at `LOWEST`; beyond the resolution of a map there is only noise to be raised."""
SMALLEST_BOX = 48
"""Voxels; smaller maps are padded with zeros."""
TAPER = 6
"""Voxels at the faces of a box over which its density is faded out, since molecules may be cut through there."""


def spatial_frequency(shape: tuple[int, ...], step: float = 1.0) -> Float[np.ndarray, "nx ny nzh"]:
    """|s| in 1/Å of every coefficient of `rfftn` of a map with cubic voxels of `step` Å."""
    x, y, z = frequencies(shape)
    return np.sqrt(x**2 + y**2 + z**2) / np.float32(step)


def standard_amplitudes(data: Float[np.ndarray, "nx ny nz"], taper: int = 0) -> Float[np.ndarray, "nx ny nz"]:
    """A map (1 Å voxels) filtered so that its mean amplitude in each shell falls as exp(-B s²/4), B = 60 Å².

    The lowest frequencies keep their proportions, and no frequency is raised more than twentyfold against them.
    `taper` voxels at the faces are faded out first. Units stay arbitrary.
    """
    box = data * _window(data.shape, taper) if taper else data
    # With fewer waves than this some shells would have none.
    shape = tuple(int(scipy.fft.next_fast_len(max(n, SMALLEST_BOX), real=True) or n) for n in box.shape)
    coefficients = np.asarray(scipy.fft.rfftn(box, shape))
    s = spatial_frequency(shape)
    place = s / SHELL
    shell = place.astype(np.int32)
    power = np.bincount(shell.ravel(), np.square(np.abs(coefficients)).ravel())
    amplitude = np.sqrt(power / np.maximum(np.bincount(shell.ravel()), 1))
    centres = (np.arange(len(amplitude)) + 0.5) * SHELL
    least = 1e-12 * amplitude.max() + np.finfo(np.float32).tiny
    gain = np.exp(-STANDARD_B * centres**2 / 4) / np.maximum(amplitude, least)
    lowest = int(LOWEST / SHELL)
    gain[:lowest] = gain[lowest]
    gain = np.minimum(gain / gain[lowest], LARGEST_GAIN).astype(np.float32)
    below = np.clip(place - 0.5, 0, len(gain) - 1.001)
    low = below.astype(np.int32)
    filtered = coefficients * (gain[low] + (below - low) * (gain[low + 1] - gain[low]))
    nx, ny, nz = data.shape
    return np.asarray(scipy.fft.irfftn(filtered, shape))[:nx, :ny, :nz].astype(np.float32)


def _window(shape: tuple[int, ...], taper: int) -> Float[np.ndarray, "nx ny nz"]:
    axes = [np.minimum(1, (np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5) / taper) for n in shape]
    x, y, z = (np.sin(np.pi / 2 * axis).astype(np.float32) ** 2 for axis in axes)
    return x[:, None, None] * y[:, None] * z
