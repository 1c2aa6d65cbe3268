"""The simulator `simulated-experimental-v1`: from atoms to a density as a reconstruction would show it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from deepmm_jax.density.experimental.atoms import (
    BFactors,
    Carboxylates,
    atom_density,
    b_factors,
    least_b,
    scattering_weights,
    unit_vector,
    wilson_b,
    wilson_power,
)
from deepmm_jax.density.experimental.masks import Masking, apply_mask, distance_to_atoms
from deepmm_jax.density.experimental.molecule import Molecule
from deepmm_jax.density.experimental.noise import (
    SOLVENT_BEGINS,
    Noise,
    Transplant,
    coloured_noise,
    drift_gain,
    half_map_correlation,
    noise_gain,
    signal_to_noise,
    solvent_share,
    transplanted,
)
from deepmm_jax.density.experimental.settings import Level, SimulatorConfig, load_simulator
from deepmm_jax.density.experimental.spectrum import (
    TABLE,
    Anisotropy,
    LowFrequencies,
    PostProcessing,
    Sampling,
    anisotropic_gain,
    low_frequency_gain,
    post_processing_gain,
    radial,
    resample_through,
    to_map,
    to_transform,
)


__all__ = [
    "Effects",
    "Molecule",
    "SimulatorConfig",
    "draw_effects",
    "load_simulator",
    "render",
    "simulate_experimental",
]

_COARSEST_VOXEL = 0.45
"""Voxel over resolution at most, or there would be less detail in the map than it is said to have."""


@dataclass(frozen=True, kw_only=True)
class Effects:
    """Parameters of all effects on one map; the defaults are a clean density of atoms with equal B factors."""

    b_factors: BFactors = BFactors()
    carboxylates: Carboxylates = Carboxylates()
    low_frequencies: LowFrequencies = LowFrequencies()
    anisotropy: Anisotropy = Anisotropy()
    post_processing: PostProcessing = PostProcessing()
    noise: Noise = Noise()
    transplant: Transplant = Transplant()
    level: Level = Level()
    sampling: Sampling = Sampling()
    masking: Masking = Masking()


def simulate_experimental(
    molecule: Molecule,
    shape: tuple[int, int, int],
    resolution: float,
    rng: np.random.Generator,
    config: SimulatorConfig,
    *,
    neighbours: Sequence[Molecule] = (),
    residuals: Sequence[np.ndarray] = (),
) -> Float[np.ndarray, "nx ny nz"]:
    """A density of a molecule on a 1 Å grid, as a single-particle reconstruction at `resolution` (Å) might show it.

    `neighbours` have density, but zones are cut around the molecule. `residuals` are real maps less their model maps,
    of unit variance on 1 Å grids. The result has no set scale, and depends on the arguments and `rng` alone.
    """
    effects = draw_effects(config, resolution, rng)
    return render(molecule, shape, resolution, effects, rng, neighbours=neighbours, residuals=residuals)


def draw_effects(config: SimulatorConfig, resolution: float, rng: np.random.Generator) -> Effects:
    """Parameters of one map, at random."""
    sampling = config.draw(Sampling, resolution, rng)
    return Effects(
        b_factors=config.draw(BFactors, resolution, rng),
        carboxylates=config.draw(Carboxylates, resolution, rng),
        low_frequencies=config.draw(LowFrequencies, resolution, rng),
        anisotropy=config.draw(Anisotropy, resolution, rng),
        post_processing=config.draw(PostProcessing, resolution, rng),
        noise=config.draw(Noise, resolution, rng),
        transplant=config.draw(Transplant, resolution, rng),
        level=config.draw(Level, resolution, rng),
        sampling=replace(
            sampling,
            voxel=min(sampling.voxel, _COARSEST_VOXEL * resolution),
            trilinear=float(sampling.trilinear > 0.5),
        ),
        masking=config.draw_masking(rng),
    )


def render(
    molecule: Molecule,
    shape: tuple[int, int, int],
    resolution: float,
    effects: Effects,
    rng: np.random.Generator,
    *,
    neighbours: Sequence[Molecule] = (),
    residuals: Sequence[np.ndarray] = (),
) -> Float[np.ndarray, "nx ny nz"]:
    """The density with given effects; `rng` makes the random fields (noise, patches of B, directions)."""
    noise, post = effects.noise, effects.post_processing
    density, atom_b, power = _atoms(molecule, neighbours, shape, resolution, effects, rng)
    ssnr = signal_to_noise(TABLE, noise, resolution)
    finish = post_processing_gain(TABLE, post, resolution, half_map_correlation(ssnr), atom_b)
    transform = to_transform(density)
    transform *= radial(finish * low_frequency_gain(TABLE, effects.low_frequencies), shape)
    axis = unit_vector(rng)
    if effects.anisotropy.strength:
        transform *= anisotropic_gain(shape, effects.anisotropy, resolution, axis)
    density = to_map(transform, shape)

    reach = max(SOLVENT_BEGINS, effects.masking.reach) + 0.5
    distance = distance_to_atoms(molecule.positions, shape, reach)
    from_any = distance
    for other in neighbours:
        from_any = np.minimum(from_any, distance_to_atoms(other.positions, shape, reach))
    inside = from_any < 3
    signal = float(density[inside].std()) if inside.any() else float(density.std())
    gain = noise.strength * noise_gain(power, ssnr) * finish + noise.drift * signal * drift_gain(noise)
    if gain.any():
        density += coloured_noise(shape, gain, rng) * solvent_share(from_any, noise.solvent)
    if effects.transplant.strength and residuals:
        density += effects.transplant.strength * signal * transplanted(residuals, shape, rng)
    density = effects.level.scale * (density + effects.level.offset * float(density.std()))
    density = apply_mask(density, from_any if effects.masking.whole else distance, effects.masking, rng)
    return resample_through(density.astype(np.float32), effects.sampling)


def _atoms(
    molecule: Molecule,
    neighbours: Sequence[Molecule],
    shape: tuple[int, int, int],
    resolution: float,
    effects: Effects,
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, "nx ny nz"], float, Float[np.ndarray, "k"]]:
    """Density of all atoms as sharp as the grid can hold, `wilson_b` of the molecule, and Wilson's power at `TABLE`.

    One B is taken off all atoms; post-processing gives the map the fall-off it is to have.
    """
    molecules = (molecule, *neighbours)
    b = [b_factors(m, effects.b_factors, resolution, rng) for m in molecules]
    common = float(min(values.min() for values in b)) - least_b(resolution)
    density = np.zeros(shape, np.float32)
    power = np.zeros(0)
    coarse = np.linspace(0, TABLE[-1], 33)
    for part, part_b in zip(molecules, b, strict=True):
        weights = scattering_weights(part, effects.carboxylates, rng)
        density += atom_density(part, weights, part_b - common, shape)
        if part is molecule:
            power = wilson_power(part, weights, part_b - common, coarse)
    return density, wilson_b(b[0] - common, resolution), np.exp(np.interp(TABLE, coarse, np.log(power)))
