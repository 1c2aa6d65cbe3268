"""Forces of OpenMM that keep the stereochemistry: places, likely torsions, flat peptides, L residues."""

import numpy as np
import openmm
from jaxtyping import Float, Int

from deepmm_jax.allatom.force_field import ANGSTROM, KJ


STRIDE = 3
"""Of the nodes of the Ramachandran table every third is taken (9°), for OpenMM copies them all in every step."""
LEAST_HAND = np.radians(25.0)
"""Angle between the planes of N, C, Cα and N, C, Cβ below which an L residue is in danger; 34° is ideal."""
HAND = 200.0
"""kcal/mol/rad² that keeps it."""


def position_force(
    particles: Int[np.ndarray, "k"], positions: Float[np.ndarray, "k 3"], stiffness: float
) -> openmm.CustomExternalForce:
    """Springs (kcal/mol/Å²) to positions (Å); the energy is stiffness · distance², as Amber has it."""
    force = openmm.CustomExternalForce("stiffness * ((x - x0)^2 + (y - y0)^2 + (z - z0)^2)")
    force.addGlobalParameter("stiffness", stiffness * KJ / ANGSTROM**2)
    for name in ("x0", "y0", "z0"):
        force.addPerParticleParameter(name)
    for particle, place in zip(particles.tolist(), ANGSTROM * positions):
        force.addParticle(particle, place)
    return force


def ramachandran_force(
    torsions: Int[np.ndarray, "k 5"], classes: Int[np.ndarray, "k"], tables: Float[np.ndarray, "5 g g"], weight: float
) -> openmm.CMAPTorsionForce:
    """Energy weight (kcal/mol) · table(φ, ψ) of the particles C, N, Cα, C, N, by the classes of the residues."""
    force = openmm.CMAPTorsionForce()
    for table in tables[:, ::STRIDE, ::STRIDE]:
        size = len(table)
        from_zero = np.roll(weight * KJ * table.astype(float), (size // 2, size // 2), axis=(0, 1))
        force.addMap(size, from_zero.ravel(order="F"))  # φ runs fastest
    for kind, (a, b, c, d, e) in zip(classes.tolist(), torsions.tolist()):
        force.addTorsion(kind, a, b, c, d, b, c, d, e)
    return force


def planarity_force(
    torsions: Int[np.ndarray, "k 4"], omega: Float[np.ndarray, "k"], weight: float
) -> openmm.PeriodicTorsionForce:
    """Energy weight (kcal/mol) · (1 − cos(ω − ω0)) of the particles Cα, C, N, Cα; ω0 is 0 or 180°, what is nearer."""
    force = openmm.PeriodicTorsionForce()
    for (a, b, c, d), angle in zip(torsions.tolist(), omega.tolist()):
        force.addTorsion(a, b, c, d, 1, np.pi if abs(angle) < 90 else 0.0, weight * KJ)
    return force


def hand_force(corners: Int[np.ndarray, "k 4"]) -> openmm.CustomTorsionForce:
    """What keeps the particles Cα, N, C, Cβ those of an L residue."""
    force = openmm.CustomTorsionForce("hand * max(0, least - theta)^2")
    force.addGlobalParameter("hand", HAND * KJ)
    force.addGlobalParameter("least", float(LEAST_HAND))
    for corner in corners.tolist():
        force.addTorsion(*corner, [])
    return force
