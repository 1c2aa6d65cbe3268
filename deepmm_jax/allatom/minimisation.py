"""All atoms of a model moved to where the force field and the map want them.

The paper minimises in Amber14 in vacuum with the backbone held. Here the map is one of the forces by default; a first
descent lets atoms that overlap pass each other, a second one is in the whole force field.
"""

import logging
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np
import openmm
from jaxtyping import Bool, Float
from openmm import unit

from deepmm_jax.allatom.density_force import density_force
from deepmm_jax.allatom.force_field import (
    ANGSTROM,
    CA,
    C,
    ForceField,
    N,
    cpu,
    force_field,
    same_field,
    soft_repulsion,
)
from deepmm_jax.allatom.ramachandran import guiding_table, ramachandran_table, residue_classes
from deepmm_jax.allatom.restraint_forces import hand_force, planarity_force, position_force, ramachandran_force
from deepmm_jax.allatom.side_chains import place_side_chains
from deepmm_jax.allatom.values import CB, AllAtomModel
from deepmm_jax.config import MinimisationConfig
from deepmm_jax.density.map import DensityMap
from deepmm_jax.structure.residue_atoms import dihedral


TOLERANCE = 10
"""kJ/mol/nm: root mean square force where a descent ends."""
SOFT_STEPS = 100
"""Of the first descent at most."""
BEFORE_PACKING = 60
"""Steps of the second descent before side chains are chosen again: the main chain stands near its place by then."""
ALWAYS, SOFT, HARD = range(3)
"""Groups of forces: of both descents, of the first, of the second."""
FIRM = 100.0
"""kcal/mol: `planarity` of a second try, if a peptide turned over in the first."""
TWISTED = 30.0
"""Degrees that ω may be away from 0 and 180."""

_log = logging.getLogger(__name__)


def minimise(
    chains: Sequence[AllAtomModel], density: DensityMap | None, config: MinimisationConfig
) -> list[AllAtomModel]:
    """The chains of one model, whole residues, minimised together in the force field and the map.

    Hydrogens are added and dropped again. The same input gives the same output. With `config.repack` side chains are
    chosen again after a short minimisation, each chain's by themselves. A chain in which a residue turned D or a
    peptide left its plane comes back as it was, and so do all if anything fails: a warning in the log tells.
    """
    if not config.enabled or not any(chain.mask.any() for chain in chains):
        return list(chains)
    if not config.density:
        density = None
    try:
        field = force_field(chains, config.cutoff, neutral=config.charges == "softened")
        start = _repacked(field, chains, density, config) if config.repack else chains
        moved, sound = _minimised(field, start, density, config)
        if config.repack and not all(sound):
            others, fine = _minimised(field, chains, density, config)
            moved = [new if good else other for new, other, good in zip(moved, others, sound)]
            sound = [one or other for one, other in zip(sound, fine)]
    except Exception as error:  # whatever OpenMM cannot do is no reason to lose the model
        _log.warning("The model is not minimised: the force field cannot be applied (%s)", error)
        return list(chains)
    for number in np.flatnonzero(~np.array(sound)) + 1:
        _log.warning("Chain %d of %d is not minimised: its stereochemistry would suffer", number, len(chains))
    return [new if good else chain for chain, new, good in zip(chains, moved, sound)]


def _repacked(
    field: ForceField, chains: Sequence[AllAtomModel], density: DensityMap | None, config: MinimisationConfig
) -> list[AllAtomModel]:
    """The chains after a few steps, with side chains chosen again; those that would suffer as they were."""
    moved, sound = _minimised(field, chains, density, replace(config, steps=min(config.steps, BEFORE_PACKING)))
    return [_packed(new, density) if good else chain for chain, new, good in zip(chains, moved, sound)]


def _packed(chain: AllAtomModel, density: DensityMap | None) -> AllAtomModel:
    """A chain with its whole side chains chosen anew; residues that lack atoms stay as they are."""
    try:
        (placed,) = place_side_chains([chain], density)
    except Exception as error:
        _log.warning("The side chains stay as they were chosen first: %r", error)
        return chain
    whole = (placed.mask == chain.mask).all(axis=1)
    return replace(chain, positions=np.where(whole[:, None, None], placed.positions, chain.positions))


def _minimised(
    field: ForceField, chains: Sequence[AllAtomModel], density: DensityMap | None, config: MinimisationConfig
) -> tuple[list[AllAtomModel], list[bool]]:
    """The chains in the minimum, and which of them kept their stereochemistry; `field` is theirs, anywhere.

    If one did not, all are minimised again with peptides held firmly and outliers of Ramachandran's plot left alone.
    """
    field = same_field(field, chains) or force_field(chains, config.cutoff, neutral=config.charges == "softened")
    moved, sound = _attempt(field, chains, density, config, guiding_table())
    if not all(sound) and (config.planarity or config.torsions):
        firm = replace(config, planarity=FIRM if config.planarity else 0.0)
        moved, sound = _attempt(field, chains, density, firm, ramachandran_table())
    return moved, sound


def _attempt(
    field: ForceField,
    chains: Sequence[AllAtomModel],
    density: DensityMap | None,
    config: MinimisationConfig,
    table: Float[np.ndarray, "5 g g"],
) -> tuple[list[AllAtomModel], list[bool]]:
    positions = _descended(field, chains, density, config, table)
    moved = [_moved(chain, places, positions) for chain, places in zip(chains, field.particles)]
    return moved, [_is_sound(*chain) for chain in zip(chains, moved, field.joined)]


def _descended(
    field: ForceField,
    chains: Sequence[AllAtomModel],
    density: DensityMap | None,
    config: MinimisationConfig,
    table: Float[np.ndarray, "5 g g"],
) -> Float[np.ndarray, "p 3"]:
    """Positions (Å) of all particles in the minimum."""
    field.nonbonded.setForceGroup(HARD)
    system = deepcopy(field.system)
    added = [(force, ALWAYS) for force in _restraints(field, chains, config, table)]
    added.append((soft_repulsion(field.nonbonded), SOFT))
    if density is not None:
        atoms = np.concatenate([particles[particles >= 0] for particles in field.particles])
        pull = density_force(density, field.positions, atoms, config.density)
        added += [] if pull is None else [(pull, ALWAYS)]
    for force, group in added:
        force.setForceGroup(group)
        system.addForce(force)
    integrator = openmm.VerletIntegrator(0.001)
    context = openmm.Context(system, integrator, cpu())
    context.setPositions(ANGSTROM * field.positions)
    for groups, steps in (({ALWAYS, SOFT}, SOFT_STEPS), ({ALWAYS, HARD}, config.steps)):
        integrator.setIntegrationForceGroups(groups)
        openmm.LocalEnergyMinimizer.minimize(context, TOLERANCE, steps)
    return context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(unit.angstrom)


def _restraints(
    field: ForceField, chains: Sequence[AllAtomModel], config: MinimisationConfig, table: Float[np.ndarray, "5 g g"]
) -> list[openmm.Force]:
    held, torsions, classes, peptides, omega, corners = [], [], [], [], [], []
    for chain, particles, joined in zip(chains, field.particles, field.joined):
        built = chain.mask.any(axis=1)
        held.append(particles[built][:, [CA] if config.restrained == "calpha" else [N, CA, C]].ravel())
        corners.append(particles[chain.mask[:, CB]][:, [CA, N, C, CB]])
        n, ca, c = particles[:, N], particles[:, CA], particles[:, C]
        second = np.flatnonzero(joined)
        peptides.append(np.stack([ca[second - 1], c[second - 1], n[second], ca[second]], axis=1))
        omega.append(_omega(chain.positions, joined)[second])
        inner = np.flatnonzero(joined & np.append(joined[1:], False))
        torsions.append(np.stack([c[inner - 1], n[inner], ca[inner], c[inner], n[inner + 1]], axis=1))
        classes.append(residue_classes(chain.letters)[inner])
    atoms = np.concatenate(held)
    forces: list[openmm.Force] = [position_force(atoms, field.positions[atoms], config.restraint)]
    if config.torsions:
        forces.append(ramachandran_force(np.concatenate(torsions), np.concatenate(classes), table, config.torsions))
    if config.planarity:
        forces.append(planarity_force(np.concatenate(peptides), np.concatenate(omega), config.planarity))
    return [*forces, hand_force(np.concatenate(corners))]


def _moved(chain: AllAtomModel, places: np.ndarray, positions: np.ndarray) -> AllAtomModel:
    new = np.where((places >= 0)[..., None], positions[places], np.nan)
    return replace(chain, positions=new.astype(np.float32))


def _omega(positions: Float[np.ndarray, "n 14 3"], joined: Bool[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """ω of the peptide before each residue in degrees, NaN without one."""
    ca, c = np.roll(positions[:, CA], 1, axis=0), np.roll(positions[:, C], 1, axis=0)
    return np.where(joined, dihedral(ca, c, positions[:, N], positions[:, CA]), np.nan)


def _is_sound(before: AllAtomModel, after: AllAtomModel, joined: Bool[np.ndarray, "n"]) -> bool:
    """Whether all atoms have a place, no L residue turned D, no peptide but of a proline cis, and none out of plane."""
    if not np.isfinite(after.positions[after.mask]).all():
        return False
    volume, new_volume = _volume(before.positions), _volume(after.positions)
    omega, new_omega = (np.abs(_omega(model.positions, joined)) for model in (before, after))
    flipped = (omega > 90) & (new_omega < 90) & (np.array(list(before.letters)) != "P")
    away, new_away = np.minimum(omega, 180 - omega), np.minimum(new_omega, 180 - new_omega)
    twisted = (new_away > TWISTED) & (new_away > away)
    return not (((volume > 0) & (new_volume < 0)).any() or flipped.any() or twisted.any())


def _volume(positions: Float[np.ndarray, "n 14 3"]) -> Float[np.ndarray, "n"]:
    """(N − Cα) · (C − Cα) × (Cβ − Cα), Å³, positive of L residues; NaN of glycine."""
    n, ca, c, beta = (positions[:, atom] for atom in (N, CA, C, CB))
    return ((n - ca) * np.cross(c - ca, beta - ca)).sum(axis=-1)
