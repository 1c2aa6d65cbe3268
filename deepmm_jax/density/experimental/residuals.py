"""What a real map holds beyond its model: the map less its best-fitting model map, kept to be laid on simulations.

A residual has the texture that no formula gives: reconstruction noise, filled-in and clipped voxels, mask edges.
"""

import numpy as np
import scipy.fft
from jaxtyping import Bool, Float
from scipy.ndimage import distance_transform_edt, gaussian_filter

from deepmm_jax.density.experimental.noise import coloured_noise
from deepmm_jax.density.experimental.spectrum import TABLE, radial, to_map


BANDS = 20
"""Knots of the radial factor, from 0 to the grid's Nyquist frequency."""
NEIGHBOURHOOD = 5.0
"""Standard deviation (Å) of the Gaussian window in which the level of the model is fitted: a few residues."""
SEAM = 3.0
"""Å inside the edge of the support over which a residual passes into its continuation."""


def best_fitting_model_map(
    data: Float[np.ndarray, "nx ny nz"],
    parts: Float[np.ndarray, "parts nx ny nz"],
    support: Bool[np.ndarray, "nx ny nz"],
    neighbourhood: float | None = NEIGHBOURHOOD,
) -> Float[np.ndarray, "nx ny nz"]:
    """The model density (1 Å grid) with the fall-off and the local level that fit a map best within `support`.

    The model comes in `parts` that real maps show unequally well, such as main and side chains. First the Fourier
    coefficients of each are multiplied by a radial factor, linear between `BANDS` knots, so that the squared difference
    inside the support is least; that takes in a global scale, B factors, low-pass and sharpening, and does not mind
    that the map is zero elsewhere. Then the sum is multiplied by the least-squares level within a Gaussian window of
    `neighbourhood` Å, between 0 and 2, so that a loop that is weak in the map leaves no imprint of its atoms; None
    leaves this out. Returns zeros outside the support.
    """
    inside = np.concatenate([_radial_bands(part, support) for part in parts], axis=1)
    # A band that the low-pass of the model left empty has no say; the small ridge keeps its factor at zero.
    gram = inside.T @ inside
    ridge = 1e-6 * np.trace(gram) / len(gram) * np.eye(len(gram))
    fitted = np.zeros(data.shape, np.float32)
    fitted[support] = inside @ np.linalg.solve(gram + ridge, inside.T @ data[support].astype(np.float64))
    if neighbourhood is None:
        return fitted
    shared = gaussian_filter(np.where(support, fitted * data, 0), neighbourhood, mode="constant")
    power = gaussian_filter(fitted**2, neighbourhood, mode="constant")
    level = np.clip(shared / np.maximum(power, 1e-6 * power.max()), 0, 2)
    return (fitted * level).astype(np.float32)


def residual(
    data: Float[np.ndarray, "nx ny nz"],
    parts: Float[np.ndarray, "parts nx ny nz"],
    support: Bool[np.ndarray, "nx ny nz"],
    neighbourhood: float | None = NEIGHBOURHOOD,
) -> Float[np.ndarray, "nx ny nz"]:
    """Map less `best_fitting_model_map`, with mean 0 and variance 1 inside the support and zeros outside it."""
    difference = data - best_fitting_model_map(data, parts, support, neighbourhood)
    inside = difference[support]
    normal = (difference - inside.mean(dtype=np.float64)) / max(float(inside.std(dtype=np.float64)), 1e-12)
    return np.where(support, normal, 0).astype(np.float32)


def continued(
    residual: Float[np.ndarray, "nx ny nz"], support: Bool[np.ndarray, "nx ny nz"], rng: np.random.Generator
) -> Float[np.ndarray, "nx ny nz"]:
    """The residual, passing within `SEAM` Å of the edge of its support into Gaussian noise of the same spectrum.

    Zoned maps leave most of a box without residual; noise of unit variance beyond makes it one field without a seam.
    """
    depth = np.asarray(distance_transform_edt(support))
    share = np.sin(np.pi / 2 * np.clip(depth / SEAM, 0, 1)).astype(np.float32)
    noise = coloured_noise(residual.shape, radial_rms(residual), rng)
    noise /= max(float(noise.std()), 1e-12)
    # The weights are sine and cosine: variances add up to one.
    return (share * residual + np.sqrt(1 - share**2) * noise).astype(np.float32)


def _radial_bands(part: np.ndarray, support: np.ndarray) -> Float[np.ndarray, "n bands"]:
    """Density in the support through each of `BANDS` overlapping triangular filters in |s|; their sum is the whole."""
    transform = np.asarray(scipy.fft.rfftn(part.astype(np.float32)))
    # Detail beyond 1 / (2 Å), in the corners of the transform, goes with the last band.
    place = np.minimum(TABLE / 0.5, 1) * (BANDS - 1)
    gains = [radial(np.clip(1 - np.abs(place - knot), 0, 1), part.shape) for knot in range(BANDS)]
    return np.stack([to_map(transform * gain, part.shape)[support] for gain in gains], axis=1).astype(np.float64)


def radial_rms(data: np.ndarray) -> Float[np.ndarray, "k"]:
    """Root mean square amplitude at the frequencies `TABLE`, smoothed over 3 % of the range."""
    transform = np.asarray(scipy.fft.rfftn(data.astype(np.float32)))
    index = radial(np.arange(len(TABLE), dtype=np.float32), data.shape).astype(int).ravel()
    power = np.bincount(index, np.square(np.abs(transform)).ravel(), len(TABLE))
    count = np.bincount(index, minlength=len(TABLE))
    window = np.ones(2 * (len(TABLE) // 64) + 1)
    smooth = np.convolve(power, window, "same") / np.maximum(np.convolve(count, window, "same"), 1)
    return np.sqrt(smooth)
