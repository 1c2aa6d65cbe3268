"""What a density map looks like: amplitudes by resolution, agreement with a model, density at Cα atoms.

The figures by which simulated maps are judged against real ones (section 2.6.1 simulates, section 3.2 needs real maps).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter, map_coordinates

from deepmm_jax.density.map import DensityMap
from deepmm_jax.errors import MapError
from deepmm_jax.structure.chain import Chain


SIGMA_PER_RESOLUTION = 0.225
"""Standard deviation of an atom's Gaussian over the resolution (as in UCSF Chimera's molmap)."""

AROUND_ATOMS = 3.0
"""Å; voxels this near an atom count in `model_map_correlation`."""

Step = float | Float[np.ndarray, "3"]


def radial_amplitude(
    data: Float[np.ndarray, "nx ny nz"], step: Step
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Spatial frequencies s (1/Å, to Nyquist's) and the mean Fourier amplitude |F(s)| of each shell.

    `step` is the voxel size in Å. Shells are 1 / (longest side) wide; the mean of the map is left out. Amplitudes are
    integrals (density · Å³), so empty space around a molecule does not change them.
    """
    shells, centres = _shells(data.shape, step)
    amplitude = np.abs(np.fft.rfftn(data - data.mean(dtype=np.float64))) * _volume(step)
    return centres, _shell_mean(amplitude, shells, len(centres))


def fourier_shell_correlation(
    a: Float[np.ndarray, "nx ny nz"],
    b: Float[np.ndarray, "nx ny nz"],
    step: Step,
    mask: Float[np.ndarray, "nx ny nz"] | None = None,
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Spatial frequencies s (1/Å) and the correlation of two maps' Fourier coefficients in each shell, in [-1, 1].

    `mask` (0–1, with a soft edge; see `soft_mask`) weights both maps, whose mean under it is taken off first.
    """
    shells, centres = _shells(a.shape, step)
    fa, fb = (np.fft.rfftn(_masked(x, mask)) for x in (a, b))
    cross = _shell_mean((fa * fb.conj()).real, shells, len(centres))
    power = _shell_mean(np.abs(fa) ** 2, shells, len(centres)) * _shell_mean(np.abs(fb) ** 2, shells, len(centres))
    return centres, np.where(power > 0, cross / np.sqrt(np.maximum(power, 1e-300)), 0.0)


def fsc_resolution(s: Float[np.ndarray, "n"], fsc: Float[np.ndarray, "n"], threshold: float = 0.5) -> float:
    """Resolution (Å) at which a shell correlation first falls below `threshold`, going outwards from its maximum.

    Interpolated between shells. NaN if it never reaches the threshold; the last shell's if it never falls below.
    """
    start = int(fsc.argmax())
    if not fsc[start] >= threshold:
        return float("nan")
    below = np.flatnonzero(fsc[start:] < threshold)
    if not len(below):
        return float(1 / s[-1])
    after = start + int(below[0])
    share = (fsc[after - 1] - threshold) / (fsc[after - 1] - fsc[after])
    return float(1 / (s[after - 1] + share * (s[after] - s[after - 1])))


def fall_off(s: Float[np.ndarray, "n"], amplitude: Float[np.ndarray, "n"], low: float, high: float) -> float:
    """B (Å²) by which amplitudes fall between `low` and `high` (1/Å): the fit of log A = c - B s² / 4 (Guinier plot).

    NaN with fewer than three shells in between.
    """
    between = (s >= low) & (s <= high) & (amplitude > 0)
    if between.sum() < 3:
        return float("nan")
    slope, _ = np.polyfit(np.square(s[between]), np.log(amplitude[between]), 1)
    return float(-4 * slope)


def density_at_calpha(
    data: Float[np.ndarray, "nx ny nz"], grid_calpha: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n"]:
    """How many standard deviations of the box the density at each Cα (voxels, trilinear) stands above the box mean."""
    values = map_coordinates(data, grid_calpha.T, order=1, mode="nearest", output=np.float64)
    return (values - data.mean(dtype=np.float64)) / data.std(dtype=np.float64)


def model_density(
    grid_positions: Float[np.ndarray, "n 3"],
    atomic_numbers: Float[np.ndarray, "n"],
    sigma: float,
    shape: tuple[int, int, int],
) -> Float[np.ndarray, "nx ny nz"]:
    """Atoms of weight Z spread over the eight voxels around them, under a Gaussian of `sigma`; all in voxels."""
    spread = np.zeros(shape, np.float32)
    corner = np.floor(grid_positions).astype(int)
    beyond = grid_positions - corner
    for offset in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(offset, beyond, 1 - beyond), axis=1) * atomic_numbers
        _add(spread, corner + offset, weight)
    return np.asarray(gaussian_filter(spread, sigma, mode="constant"))


def near_atoms(
    grid_positions: Float[np.ndarray, "n 3"], shape: tuple[int, int, int], steps: int
) -> Bool[np.ndarray, "nx ny nz"]:
    """Voxels that up to `steps` moves along the axes take to the voxel of an atom."""
    atoms = np.zeros(shape, np.float32)
    _add(atoms, np.round(grid_positions).astype(int), np.ones(len(grid_positions), np.float32))
    return np.asarray(binary_dilation(atoms > 0, iterations=steps))


def model_map_correlation(density: DensityMap, chains: Sequence[Chain], resolution: float) -> float:
    """Correlation (-1 to 1) of a map with the density of its model at `resolution` (Å), within about 3 Å of the atoms.

    Raises MapError unless the voxels are cubes.
    """
    step = float(density.step.mean())
    if not np.allclose(density.step, step, rtol=0.01):
        raise MapError(f"voxels of {density.step.tolist()} Å are no cubes; resample the map first")
    positions = np.concatenate([chain.positions for chain in chains])
    atomic_numbers = np.concatenate([chain.atomic_numbers for chain in chains])
    return atoms_correlation(density.data, density.to_grid(positions), atomic_numbers, resolution, step)


def atoms_correlation(
    data: Float[np.ndarray, "nx ny nz"],
    grid_positions: Float[np.ndarray, "n 3"],
    atomic_numbers: Float[np.ndarray, "n"],
    resolution: float,
    step: float = 1.0,
) -> float:
    """`model_map_correlation` of bare arrays: atoms in voxels, `resolution` and voxel size `step` in Å."""
    model = model_density(grid_positions, atomic_numbers, SIGMA_PER_RESOLUTION * resolution / step, data.shape)
    near = near_atoms(grid_positions, data.shape, max(1, round(AROUND_ATOMS / step)))
    return float(np.corrcoef(data[near], model[near])[0, 1])


def soft_mask(inside: Bool[np.ndarray, "nx ny nz"], edge: float) -> Float[np.ndarray, "nx ny nz"]:
    """1 inside, falling to 0 along a raised cosine over `edge` voxels outside."""
    distance = np.asarray(distance_transform_edt(~inside))
    return (0.5 + 0.5 * np.cos(np.pi * np.clip(distance / edge, 0, 1))).astype(np.float32)


def _add(volume: np.ndarray, voxels: np.ndarray, weights: np.ndarray) -> None:
    """Add weights at voxels, those outside the volume left out."""
    inside = ((voxels >= 0) & (voxels < volume.shape)).all(axis=1)
    np.add.at(volume, tuple(voxels[inside].T), weights[inside])


def _masked(data: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    if mask is None:
        return data - data.mean(dtype=np.float64)
    return (data - (data * mask).sum(dtype=np.float64) / mask.sum(dtype=np.float64)) * mask


def _shells(shape: tuple[int, ...], step: Step) -> tuple[np.ndarray, np.ndarray]:
    """Shell of every Fourier coefficient of a real transform, and the frequency in the middle of each shell."""
    steps = np.broadcast_to(step, 3)
    axes = [np.fft.fftfreq(shape[0], steps[0]), np.fft.fftfreq(shape[1], steps[1]), np.fft.rfftfreq(shape[2], steps[2])]
    frequency = np.sqrt(sum(np.square(axis) for axis in np.meshgrid(*axes, indexing="ij")))
    width = 1 / float((np.array(shape) * steps).max())
    count = int(0.5 / float(steps.max()) / width)
    return np.floor(frequency / width + 0.5).astype(int) - 1, width * np.arange(1, count + 1)


def _shell_mean(values: np.ndarray, shells: np.ndarray, count: int) -> np.ndarray:
    """Mean over each shell; coefficients on the half-space's inner planes stand for their mirror images too."""
    weights = np.full(shells.shape, 2.0)
    weights[..., 0] = 1.0
    valid = (shells >= 0) & (shells < count)
    total = np.bincount(shells[valid], (values * weights)[valid], count)
    number = np.bincount(shells[valid], weights[valid], count)
    return total / np.maximum(number, 1)


def _volume(step: Step) -> float:
    return float(np.prod(np.broadcast_to(step, 3)))
