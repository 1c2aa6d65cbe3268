"""Density of atoms as electrons see them: scattering factors, uneven B factors, weak carboxylates."""

from dataclasses import dataclass
from functools import cache

import gemmi
import numpy as np
from jaxtyping import Float
from scipy.optimize import least_squares
from scipy.spatial import KDTree

from deepmm_jax.density.experimental.molecule import Molecule
from deepmm_jax.density.simulate import add_gaussians
from deepmm_jax.errors import MapError


FINEST = 2.0
"""Å; the scattering factors hold up to this, the finest detail of a 1 Å grid."""
_ALIAS = 0.03
_NEGLIGIBLE = 1e-4
_SHARPEST = 8.0
_NEIGHBOURHOOD = 10.0


@dataclass(frozen=True, kw_only=True)
class BFactors:
    """How B varies over a molecule, all as changes of log B but for `side_chain`; zeros are a uniform B of `level`.

    `level` is in units of resolution² (B = level · R²). `surface`: per standard deviation of exposure; `patches`:
    standard deviation of a smooth random field with waves of `patch_length` (Å); `ramp`: from the well to the badly
    resolved end; `side_chain`: relative rise per bond from the main chain; `weak` in
    loops of 4 to 12 residues which make up the share `weak_share` of the chain; `ends` at the termini.
    """

    level: float = 8.0
    surface: float = 0.0
    patches: float = 0.0
    patch_length: float = 20.0
    ramp: float = 0.0
    side_chain: float = 0.0
    weak: float = 0.0
    weak_share: float = 0.0
    ends: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Carboxylates:
    """Scattering weight of carboxylate oxygens (1 is full, charge makes it negative) and its scatter among atoms."""

    weight: float = 1.0
    scatter: float = 0.0


def b_factors(
    molecule: Molecule, spread: BFactors, resolution: float, rng: np.random.Generator
) -> Float[np.ndarray, "n"]:
    """B of every atom in Å²; between a third and four times the level of the map."""
    calpha = molecule.calpha.astype(float)
    log_b = spread.surface * exposure(calpha)
    log_b += spread.patches * _smooth_field(calpha, spread.patch_length, rng)
    along = (calpha - calpha.mean(axis=0)) @ unit_vector(rng)
    log_b += spread.ramp * (along / max(np.ptp(along), 1.0))
    log_b += spread.weak * _weak_loops(len(calpha), spread.weak_share, rng)
    from_end = np.minimum(np.arange(len(calpha)), np.arange(len(calpha))[::-1])
    log_b += spread.ends * np.clip(1 - from_end / 5, 0, 1)
    ratio = np.exp(log_b)[molecule.residue_of_atom] * (1 + spread.side_chain * molecule.depth)
    return (spread.level * resolution**2 * np.clip(ratio, 1 / 3, 4)).astype(np.float32)


def exposure(calpha: Float[np.ndarray, "m 3"]) -> Float[np.ndarray, "m"]:
    """How few Cα lie within 10 Å of each, in standard deviations from the mean; high at the surface."""
    crowd = KDTree(calpha).query_ball_point(calpha, _NEIGHBOURHOOD, return_length=True).astype(float)
    return (crowd.mean() - crowd) / max(crowd.std(), 1e-6)


def scattering_weights(
    molecule: Molecule, carboxylates: Carboxylates, rng: np.random.Generator
) -> Float[np.ndarray, "n"]:
    """Weight of every atom: 1, or less for carboxylate oxygens, as their charge and radiation damage have it."""
    oxygens = carboxylates.weight + carboxylates.scatter * rng.normal(size=len(molecule.acidic))
    return np.where(molecule.acidic, np.clip(oxygens, -1, 1), 1).astype(np.float32)


def least_b(resolution: float) -> float:
    """B (Å²) that an atom must have on a 1 Å grid, or its aliases at `resolution` exceed 3 % of its amplitude there.

    The alias of s = 1/R comes from 1 - s, and (1 - s)² - s² = 1 - 2/R. The spectrum takes this B away again.
    Raises MapError for a resolution that such a grid cannot hold.
    """
    if resolution < 1.05 * FINEST:
        raise MapError(
            f"a map of {resolution:g} Å cannot be simulated on a 1 Å grid; ask for {1.05 * FINEST:g} Å or more"
        )
    return -4 * np.log(_ALIAS) / (1 - FINEST / resolution) - _SHARPEST


def wilson_b(b: Float[np.ndarray, "n"], resolution: float) -> float:
    """The one B (Å²) that gives atoms of these B factors their mean power at a resolution (Å).

    Well-ordered atoms have most of the power there, and a Guinier plot, by which maps are sharpened, sees no others.
    """
    return float(-2 * resolution**2 * np.log(np.exp(-b / (2 * resolution**2)).mean()))


@cache
def scattering_terms(atomic_number: int) -> Float[np.ndarray, "2 2"]:
    """Two Gaussians Σ a·exp(-b s²/4), rows (a, b), for an element's electron scattering factor (Å) up to 1/2 Å.

    s = 1/d. Fitted to the five of International Tables C, table 4.3.2.2, with 1 % of the forward value at most; the
    atoms of a crop are laid on the grid in 40 % of the time.
    """
    coefficients = gemmi.Element(atomic_number).c4322
    s2 = np.linspace(0, 1 / FINEST, 65) ** 2
    target = np.exp(-np.outer(s2, coefficients.b) / 4) @ np.array(coefficients.a)

    def misfit(x: np.ndarray) -> np.ndarray:
        return np.exp(-np.outer(s2, x[2:]) / 4) @ x[:2] - target

    a_sharp, a_wide, b_sharp, b_wide = least_squares(misfit, [target[0] / 2, target[0] / 2, 8.0, 40.0]).x
    return np.array([[a_sharp, b_sharp], [a_wide, b_wide]])


def atom_density(
    molecule: Molecule, weights: Float[np.ndarray, "n"], b: Float[np.ndarray, "n"], shape: tuple[int, int, int]
) -> Float[np.ndarray, "nx ny nz"]:
    """Electrostatic potential (in Å of scattering length per Å³) of atoms with these B factors (Å²) on the grid."""
    terms = _terms_of(molecule)
    density = np.zeros(shape, np.float32)
    for a, term_b in (terms[:, 0].T, terms[:, 1].T):
        # The transform of a·exp(-B s²/4) is a (4π/B)^1.5 exp(-4π² r²/B).
        total = (term_b + b).astype(np.float32)
        heights = weights * a * (4 * np.pi / total) ** 1.5
        density += add_gaussians(molecule.positions, heights, np.sqrt(total) / (2 * np.pi), shape, _NEGLIGIBLE)
    return density


def wilson_power(
    molecule: Molecule, weights: Float[np.ndarray, "n"], b: Float[np.ndarray, "n"], s: Float[np.ndarray, "k"]
) -> Float[np.ndarray, "k"]:
    """Mean |F|² per atom at the frequencies s (1/Å), were the atoms placed at random (Wilson)."""
    power = np.zeros(len(s))
    s2 = (s**2).astype(np.float32)
    for element in np.unique(molecule.atomic_numbers):
        chosen = molecule.atomic_numbers == element
        factor = sum(a * np.exp(-term_b * s2 / 4) for a, term_b in scattering_terms(int(element)))
        power += factor**2 * (weights[chosen] ** 2 @ np.exp(-np.outer(b[chosen], s2 / 2)))
    return power / max(len(b), 1)


def _terms_of(molecule: Molecule) -> Float[np.ndarray, "n 2 2"]:
    elements, which = np.unique(molecule.atomic_numbers, return_inverse=True)
    return np.array([scattering_terms(int(element)) for element in elements], np.float32)[which]


def _smooth_field(points: np.ndarray, length: float, rng: np.random.Generator) -> Float[np.ndarray, "m"]:
    """Twelve random plane waves of about this length (Å); unit variance."""
    waves = rng.normal(scale=2 * np.pi / length / np.sqrt(3), size=(12, 3))
    return np.cos(points @ waves.T + rng.uniform(0, 2 * np.pi, 12)).sum(axis=1) / np.sqrt(6)


def _weak_loops(n_residues: int, share: float, rng: np.random.Generator) -> Float[np.ndarray, "m"]:
    """1 in the middle of weak stretches, falling to 0 at their ends."""
    weak = np.zeros(n_residues)
    for _ in range(rng.poisson(share * n_residues / 8)):
        half = rng.uniform(2, 6)
        weak = np.maximum(weak, 1 - np.abs(np.arange(n_residues) - rng.integers(n_residues)) / half)
    return weak


def unit_vector(rng: np.random.Generator) -> Float[np.ndarray, "3"]:
    """A direction without preference."""
    vector = rng.normal(size=3)
    return vector / np.linalg.norm(vector)
