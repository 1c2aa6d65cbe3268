"""Correlation of a model with a map: CC_mask, CC_box, CC_peaks and CC_volume (section 3.2; Afonine et al. 2018).

The definitions are those of phenix.map_model_cc (Acta Cryst. D74, 531 and 814): the density of the model is the Fourier
synthesis of its electron scattering factors up to the resolution of the map, so that even a perfect model may stay
below 1. The B factors of the file are ignored, as builders keep their confidence in that column: all atoms get one B,
that of the best CC_mask. With this B in the column, map_model_cc finds the same figures within 0.01 (tests/golden). Two
departures: atoms scatter alone here and not in a crystal of boxes, and the synthesis is 0 beyond a few resolutions
from the model.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Complex, Float
from scipy.ndimage import distance_transform_edt
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import cdist

from deepmm_jax.assessment.scattering import Scattering, scattering, synthesise
from deepmm_jax.density.map import DensityMap
from deepmm_jax.errors import MapError
from deepmm_jax.structure.chain import Chain


RADII = {1: 1.20, 6: 1.775, 7: 1.50, 8: 1.45, 15: 1.90, 16: 1.80}
"""Van der Waals radii of the mask by atomic number, Å; carbon's for all others."""
SOLVENT_RADIUS, SHRINK = 1.1, 0.9
"""The mask is what the centre of a solvent ball cannot reach, less a rim of `SHRINK` (Jiang & Brünger 1994); Å."""
TRIAL_B = (0.0, 12.0, 25.0, 50.0, 100.0, 200.0, 400.0, 999.0)
"""Where the search for B starts, Å²; the last is the largest that the B column of a PDB file can hold."""
LEAST_INSIDE = 0.9
"""A map holds a model if this share of its atoms lies inside."""
RESIDUE_RADIUS = 2.0
"""Å around the atoms of a residue that its own correlation takes in."""
RESOLUTIONS = (1.0, 20.0)
"""Å; the figures mean nothing outside."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class MapCorrelation:
    """Pearson correlations of a map with the density of a model, in [-1, 1], and the B factor (Å²) of all atoms.

    `mask`: voxels in the mask of the model. `box`: all voxels. `volume`: as many voxels as the mask has, where the
    model is densest. `peaks`: those and as many where the map is densest (of equal voxels all or none: where the mask
    has more voxels than a zoned map above 0, that takes in the whole box, as it does in map_model_cc).
    """

    mask: float
    box: float
    peaks: float
    volume: float
    b: float


def correlate(
    density: DensityMap,
    chains: Sequence[Chain],
    resolution: float,
    b: float | None = None,
    whose: str = "the model",
    where: str = "the map",
) -> MapCorrelation:
    """Correlations of a map with a model at `resolution` (Å), with the one B (Å²) of the best CC_mask, or with `b`.

    Atoms outside the map are left out, with a warning in the log. Raises MapError if more than a tenth of them are, if
    the map is constant, or if the resolution is not within 1 to 20 Å or finer than two voxels. Its sentences call the
    model `whose` and the map `where`.
    """
    check_resolution(density, resolution, where)
    positions, numbers = _atoms_inside(density, chains, whose, where)
    grid = density.to_grid(positions)
    atoms = scattering(grid, numbers, density.step, resolution)
    in_map, in_box = atoms.overlap(density.shape)
    observed = density.data[in_map]
    mask = molecular_mask(grid - [part.start for part in in_map], numbers, density.step, observed.shape)
    count = int(mask.sum())
    if count == 0:
        raise MapError(f"no voxel of {where} lies in {whose}: its voxels of {density.step.max():.3g} Å are too coarse")
    if b is None:
        mask_there, observed_there = np.zeros(atoms.shape, bool), np.zeros(atoms.shape, np.float32)
        mask_there[in_box], observed_there[in_box] = mask, observed
        b = best_b(atoms, mask_there, observed_there)
    model = _model_in_map(atoms, b, density.shape)
    near = model[in_map]
    dense = np.zeros(density.shape, bool)
    dense[in_map] = _highest(near, count)
    return MapCorrelation(
        mask=pearson(observed[mask], near[mask]),
        box=pearson(density.data, model),
        peaks=pearson(*(x[dense | _highest(density.data, count)] for x in (density.data, model))),
        volume=pearson(density.data[dense], model[dense]),
        b=float(b),
    )


def residue_correlations(
    density: DensityMap, chain: Chain, resolution: float, b: float
) -> Float[np.ndarray, "n_residues"]:
    """Correlation of a map at `resolution` (Å) with a chain around each of its residues (figure 9b and d).

    Over the voxels within `RESIDUE_RADIUS` of an atom of the residue; all atoms of the chain have the B factor `b`
    (Å²). NaN for a residue without an atom in the map. Raises MapError as `correlate` does.
    """
    check_resolution(density, resolution)
    positions, numbers = _atoms_inside(density, [chain], "the model", "the map")
    atoms = scattering(density.to_grid(positions), numbers, density.step, resolution)
    model = _model_in_map(atoms, b, density.shape)
    found = np.full(len(chain), np.nan)
    for residue in range(len(chain)):
        grid = density.to_grid(chain.positions[chain.residue_of_atom == residue])
        low = np.maximum(np.floor(grid.min(0) - RESIDUE_RADIUS / density.step).astype(int), 0)
        high = np.minimum(np.ceil(grid.max(0) + RESIDUE_RADIUS / density.step).astype(int) + 1, density.shape)
        if (high <= low).any():
            continue
        box = tuple(slice(a, b) for a, b in zip(low, high))
        voxels = low + np.argwhere(np.ones(high - low, bool))
        near = (cdist(voxels * density.step, grid * density.step) <= RESIDUE_RADIUS).any(1)
        if near.any():
            found[residue] = pearson(density.data[box].ravel()[near], model[box].ravel()[near])
    return found


def check_resolution(density: DensityMap, resolution: float, where: str = "the map") -> None:
    """Raise MapError for a resolution (Å) that no map has or that `where` cannot have, and for a constant map."""
    least, most = RESOLUTIONS
    if not least <= resolution <= most:
        raise MapError(f"a resolution of {resolution:g} Å cannot be right; give that of {where}, {least:g} to {most:g}")
    finest = 2 * float(density.step.max())
    if resolution < 0.999 * finest:
        raise MapError(
            f"{where} has voxels of {finest / 2:.3g} Å and cannot show {resolution:g} Å; give {finest:.3g} Å or more"
        )
    if not np.ptp(density.data) > 0:
        raise MapError(f"{where} is constant and correlates with nothing; give another map")


def molecular_mask(
    grid_positions: Float[np.ndarray, "n 3"],
    atomic_numbers: Float[np.ndarray, "n"],
    step: Float[np.ndarray, "3"],
    shape: tuple[int, ...],
) -> Bool[np.ndarray, "nx ny nz"]:
    """Voxels of the molecule: nearer to an atom than its radius plus the solvent's, but for a rim next to solvent."""
    reached = np.zeros(shape, bool)
    for element in np.unique(atomic_numbers):
        radius = RADII.get(int(element), RADII[6]) + SOLVENT_RADIUS
        centres = grid_positions[atomic_numbers == element]
        nearest = np.round(centres).astype(int)
        for offset in np.ndindex(*(2 * np.ceil(radius / step).astype(int) + 1)):
            voxels = nearest + offset - np.ceil(radius / step).astype(int)
            inside = (np.square((voxels - centres) * step).sum(axis=1) <= radius**2) & (
                (voxels >= 0) & (voxels < shape)
            ).all(axis=1)
            reached[tuple(voxels[inside].T)] = True
    return reached & (np.asarray(distance_transform_edt(reached, sampling=step)) > SHRINK)


def best_b(atoms: Scattering, mask: Bool[np.ndarray, "nx ny nz"], observed: Float[np.ndarray, "nx ny nz"]) -> float:
    """The B (Å²) with which atoms correlate best with what is observed in a mask, all in the box of the atoms."""
    fixed = [jnp.asarray(x) for x in (atoms.coefficients, atoms.s2, mask, observed.astype(np.float32))]

    def misfit(b: float) -> float:
        return -float(_masked_correlation(*fixed, b))

    trials = [misfit(b) for b in TRIAL_B]
    best = int(np.argmin(trials))
    around = (TRIAL_B[max(best - 1, 0)], TRIAL_B[min(best + 1, len(TRIAL_B) - 1)])
    found = minimize_scalar(misfit, bounds=around, method="bounded", options={"xatol": 0.2})
    return float(found.x) if found.fun < trials[best] else TRIAL_B[best]


@jax.jit
def _masked_correlation(
    coefficients: Complex[Array, "mx my mz"],
    s2: Float[Array, "mx my mz"],
    mask: Bool[Array, "nx ny nz"],
    observed: Float[Array, "nx ny nz"],
    b: Float[Array, ""] | float,
) -> Float[Array, ""]:
    def centred(x: Array) -> Array:
        return jnp.where(mask, x - jnp.mean(x, where=mask), 0.0)

    nx, ny, nz = observed.shape
    model, target = centred(synthesise(coefficients, s2, b, (nx, ny, nz))), centred(observed)
    return jnp.vdot(model, target) / jnp.sqrt(jnp.vdot(model, model) * jnp.vdot(target, target) + 1e-30)


def pearson(a: Float[np.ndarray, "*n"], b: Float[np.ndarray, "*n"]) -> float:
    """Correlation about the means, summed in double precision; 0 where either is constant."""
    a, b = a - a.mean(dtype=np.float64), b - b.mean(dtype=np.float64)
    scale = np.sqrt(np.square(a).sum(dtype=np.float64) * np.square(b).sum(dtype=np.float64))
    return float((a * b).sum(dtype=np.float64) / scale) if scale > 0 else 0.0


def _model_in_map(atoms: Scattering, b: float, shape: tuple[int, int, int]) -> Float[np.ndarray, "nx ny nz"]:
    """Density of the atoms with a B factor (Å²) on the voxels of a map, 0 beyond their own box."""
    in_map, in_box = atoms.overlap(shape)
    model = np.zeros(shape, np.float32)
    model[in_map] = np.asarray(atoms.at(b))[in_box]
    return model


def _highest(volume: Float[np.ndarray, "nx ny nz"], count: int) -> Bool[np.ndarray, "nx ny nz"]:
    """The `count` highest voxels and all that equal the last of them: the zeros of a zoned map stay together."""
    return volume >= np.partition(volume, -count, axis=None)[-count]


def _atoms_inside(
    density: DensityMap, chains: Sequence[Chain], whose: str, where: str
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n"]]:
    """Positions (Å) and atomic numbers of the atoms in the box of a map, or MapError if it does not hold the model."""
    positions = np.concatenate([chain.positions for chain in chains])
    numbers = np.concatenate([chain.atomic_numbers for chain in chains])
    grid = density.to_grid(positions)
    inside = np.logical_and.reduce((grid >= -0.5) & (grid <= np.array(density.shape) - 0.5), axis=1)
    if inside.mean() < LEAST_INSIDE:
        low, high = density.origin, density.to_xyz(np.array(density.shape) - 1)
        raise MapError(
            f"{int((~inside).sum())} of {len(inside)} atoms of {whose} lie outside {where}, which reaches from "
            f"{_point(low)} to {_point(high)} Å; give the map in which it was built, or place that otherwise"
        )
    if not inside.all():
        outside = int((~inside).sum())
        _log.warning("%d of %d atoms of %s lie outside %s and are left out", outside, len(inside), whose, where)
    return positions[inside], numbers[inside]


def _point(xyz: np.ndarray) -> str:
    return "(" + ", ".join(f"{x:.0f}" for x in xyz) + ")"
