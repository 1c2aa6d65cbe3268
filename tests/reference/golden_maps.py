"""Maps and models that map_model_cc judged: sums of Gaussians under noise, on several grids; bad models included."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from deepmm_jax.density.map import DensityMap
from deepmm_jax.structure.chain import Chain
from reference.golden_pairs import golden_pairs


@dataclass(frozen=True)
class Case:
    """A model in a map of this resolution (Å)."""

    name: str
    density: DensityMap
    model: list[Chain]
    resolution: float


def golden_cases() -> Iterator[Case]:
    """All cases; the models are those of `golden_pairs`, the map is that of the reference of the first."""
    pairs = {pair.name: pair for pair in golden_pairs()}
    settings = {
        "5 Å": (5.0, (1.0, 1.0, 1.0), 0.3, 8.0, 1),
        "3 Å": (3.0, (0.7, 0.7, 0.7), 0.5, 6.0, 2),
        "4 Å, coarse": (4.0, (1.9, 1.9, 1.9), 0.2, 12.0, 3),
        "2.5 Å, unequal voxels": (2.5, (0.8, 1.0, 1.1), 1.0, 5.0, 4),
    }
    models = {
        "5 Å": [
            *("itself", "calpha only", "noise 1.5", "displaced 1.5", "register -4 in a part", "mirrored"),
            *("domain moved", "first half", "another protein", "reversed", "mutated"),
        ],
        "3 Å": ["itself", "backbone only", "noise 0.5", "drift", "domain moved", "every third residue lost"],
        "4 Å, coarse": ["two chains", "one chain of two"],
        "2.5 Å, unequal voxels": ["ubiquitin, noise 1", "ubiquitin, register +2", "ubiquitin, tail moved"],
    }
    for name, (resolution, step, noise, margin, seed) in settings.items():
        density = noisy_map(pairs[models[name][0]].reference, resolution, np.array(step), noise, margin, seed)
        for model in models[name]:
            yield Case(f"{model}, {name}", density, pairs[model].model, resolution)


def noisy_map(
    chains: list[Chain], resolution: float, step: np.ndarray, noise: float, margin: float, seed: int
) -> DensityMap:
    """Gaussians of width R/π weighted by atomic number, and white noise of so many standard deviations of them."""
    positions = np.concatenate([chain.positions for chain in chains]).astype(np.float64)
    weights = np.concatenate([chain.atomic_numbers for chain in chains])
    origin = np.floor(positions.min(axis=0) - margin)
    nx, ny, nz = (int(n) for n in np.ceil((positions.max(axis=0) + margin - origin) / step))
    grid = origin + step * np.stack(np.meshgrid(*map(np.arange, (nx, ny, nz)), indexing="ij"), axis=-1)
    data = np.zeros((nx, ny, nz))
    for position, weight in zip(positions, weights):
        low, high = (np.round((position + sign * 1.3 * resolution - origin) / step).astype(int) for sign in (-1, 1))
        near = tuple(slice(max(a, 0), max(b + 1, 0)) for a, b in zip(low, high))
        data[near] += weight * np.exp(-np.square(grid[near] - position).sum(axis=-1) / (resolution / np.pi) ** 2)
    data += np.random.default_rng(seed).normal(scale=noise * data.std(), size=data.shape)
    return DensityMap(data=data.astype(np.float32), step=step, origin=origin)


def map_fingerprint(density: DensityMap) -> list[float]:
    """Voxels, mean and standard deviation of a map: the same input gives the same."""
    return [float(density.data.size), *(round(float(x), 5) for x in (density.data.mean(), density.data.std()))]
