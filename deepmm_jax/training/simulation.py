"""Densities that look like experimental maps: B factors, resolution fall-off, sharpening, noise and masks.

A first, uncalibrated form; every effect is a pure function of arrays and a random generator.
"""

import numpy as np
from jaxtyping import Float

from deepmm_jax.density.simulate import add_gaussians
from deepmm_jax.evidence.ideal import nearest_point
from deepmm_jax.training.chains import TrainingChain


RESOLUTION_RANGE = (2.4, 5.0)
"""Å; uniform."""
ATOM_WIDTH = 0.7
"""1/e half-width of an atom at rest, Å."""
SCATTERING = {6: 2.5, 7: 2.2, 8: 2.0, 16: 5.2}
"""Electron scattering factors at zero angle, Å (International Tables C, 4.3): far flatter than Z."""


def experimental_density(
    chain: TrainingChain,
    grid_positions: Float[np.ndarray, "n 3"],
    shape: tuple[int, int, int],
    rng: np.random.Generator,
) -> Float[np.ndarray, "nx ny nz"]:
    """A noisy density of a chain on a 1 Å grid, as a single-particle reconstruction might show it.

    `grid_positions` are the atoms in voxels. The result has no set scale.
    """
    resolution = rng.uniform(*RESOLUTION_RANGE)
    b_factors = atomic_b_factors(chain, rng)
    weights = atomic_weights(chain, rng)
    widths = np.sqrt(ATOM_WIDTH**2 + b_factors / (4 * np.pi**2)).astype(np.float32)
    density = add_gaussians(grid_positions, weights, widths, shape)
    sharpening = rng.uniform(-1.0, 0.6) * float(np.median(b_factors))
    _, squared = nearest_point(grid_positions, shape, 7.0)
    distance = np.sqrt(squared)
    density = filter_density(density, resolution, sharpening)
    density = add_noise(density, distance < 3.0, resolution, rng)
    return apply_mask(density, distance, rng)


def atomic_b_factors(chain: TrainingChain, rng: np.random.Generator) -> Float[np.ndarray, "n"]:
    """B (Å²) of every atom: a level for the map, larger at the surface, along side chains and in patches."""
    centre = chain.calpha.mean(axis=0)
    radius = np.linalg.norm(chain.calpha - centre, axis=1)
    outer = (radius / max(radius.max(), 1.0)) ** 2
    patches = rng.normal(size=len(chain.calpha) // 8 + 2).repeat(8)[: len(chain.calpha)]
    patches = np.convolve(patches, np.ones(7) / 7, mode="same")
    level = rng.uniform(15, 90)
    residue = level * np.exp(rng.uniform(0, 1.2) * (outer - 0.4) + rng.uniform(0, 0.8) * patches)
    side_chain = 1 + rng.uniform(0, 0.25) * chain.depth
    return np.clip(residue[chain.residue_of_atom] * side_chain, 5, 400).astype(np.float32)


def atomic_weights(chain: TrainingChain, rng: np.random.Generator) -> Float[np.ndarray, "n"]:
    """Scattering weight of every atom; carboxylate oxygens are weakened, as negative charge and damage do."""
    weights = np.array([SCATTERING.get(int(z), 2.5) for z in chain.atomic_numbers], np.float32)
    return np.where(chain.acidic, weights * rng.uniform(0.0, 1.0), weights).astype(np.float32)


def filter_density(density: np.ndarray, resolution: float, blur: float) -> Float[np.ndarray, "nx ny nz"]:
    """Soft low-pass at `resolution` (Å) and an overall B of `blur` (Å², negative sharpens); 1 Å voxels."""
    s = _frequency(density.shape)
    low_pass = 1 / (1 + np.exp(np.clip((s - 1 / resolution) / 0.015, -30, 30)))
    envelope = low_pass * np.exp(-blur * np.minimum(s, 1 / resolution) ** 2 / 4)
    return np.fft.irfftn(np.fft.rfftn(density) * envelope, density.shape, axes=(0, 1, 2)).astype(np.float32)


def add_noise(
    density: np.ndarray, inside: np.ndarray, resolution: float, rng: np.random.Generator
) -> Float[np.ndarray, "nx ny nz"]:
    """Coloured noise up to the resolution; its strength differs between molecule (`inside`) and solvent."""
    s = _frequency(density.shape)
    spectrum = np.exp(-s * rng.uniform(0, 12)) / (1 + np.exp(np.clip((s - 1.1 / resolution) / 0.02, -30, 30)))
    white = np.fft.rfftn(rng.standard_normal(density.shape, np.float32))
    noise = np.fft.irfftn(white * spectrum, density.shape, axes=(0, 1, 2))
    signal = density[inside].std() if inside.any() else density.std()
    strength = 10 ** rng.uniform(-1.5, -0.25) * signal / max(noise.std(), 1e-9)
    solvent = rng.uniform(0.4, 1.2)
    return (density + strength * noise * np.where(inside, 1.0, solvent)).astype(np.float32)


def apply_mask(density: np.ndarray, distance: np.ndarray, rng: np.random.Generator) -> Float[np.ndarray, "nx ny nz"]:
    """No mask, a soft one, or zoning at 4 Å from the atoms (section 2.6.1), as deposited and segmented maps have."""
    kind = rng.choice(3, p=[0.3, 0.25, 0.45])
    if kind == 0:
        return density
    if kind == 1:
        edge = rng.uniform(3.5, 5.0)
        return (density * np.clip((edge + 2.0 - distance) / 2.0, 0, 1)).astype(np.float32)
    return np.where(distance <= 4.0, density, 0).astype(np.float32)


def _frequency(shape: tuple[int, ...]) -> Float[np.ndarray, "nx ny nzh"]:
    axes = [np.fft.fftfreq(shape[0]), np.fft.fftfreq(shape[1]), np.fft.rfftfreq(shape[2])]
    return np.sqrt(sum(np.square(a) for a in np.meshgrid(*axes, indexing="ij"))).astype(np.float32)
