"""Models as systems of OpenMM: topology, hydrogens and Amber ff14SB (Maier et al. 2015).

A chain is cut where residues are missing or too far apart. Every piece ends in an acetyl and a methylamide group, so
that no break is a charge and a residue alone is no exception; of these caps nothing counts but the bonded terms.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
import openmm
from jaxtyping import Bool, Float, Int
from openmm import app, unit
from scipy.spatial import KDTree

from deepmm_jax.allatom.ideal_geometry import C_N, C_N_CA, C_O, CA_C, CA_C_N, CA_C_O, N_CA
from deepmm_jax.allatom.side_chain_geometry import extended
from deepmm_jax.allatom.values import ATOMS, MOST_ATOMS, AllAtomModel
from deepmm_jax.constants import ONE_TO_THREE
from deepmm_jax.structure.residue_atoms import DISULFIDE_LENGTH
from deepmm_jax.structure.secondary_structure import PEPTIDE_LENGTH
from deepmm_jax.structure.torsions import unit as unit_vector


N, CA, C, O = range(4)  # noqa: E741
ANGSTROM = 0.1
"""nm."""
KJ = 4.184
"""kJ in a kcal."""
CAP_PHI = -120.0
"""φ of a residue that a piece begins with, degrees; near enough to a proline's."""
AMBER_FOUR = 1.2
"""By which Amber divides Coulomb energies of atoms three bonds apart; of nearer ones there are none."""
SWITCHED = 0.9
"""Share of the cutoff from where van der Waals forces fade."""
SOFT_STIFFNESS = 10.0
"""kcal/mol/Å²."""
SOFT_REACH = 0.85
"""Share of the distance at which two atoms of the force field neither attract nor repel each other."""


@dataclass(frozen=True, kw_only=True)
class ForceField:
    """A system in the force field with the positions of its particles (Å).

    `particles` has for every chain (n, 14) the particle of each atom, -1 where none is built; `joined` (n) tells which
    residues follow the one before. `heavy` are the particles that are no hydrogens, `bonds` those among them, and
    `hydrogens` has with each hydrogen three of them that tell where it is: the one that it is bonded to comes first.
    """

    system: openmm.System
    positions: Float[np.ndarray, "p 3"]
    particles: list[Int[np.ndarray, "n 14"]]
    joined: list[Bool[np.ndarray, "n"]]
    heavy: Int[np.ndarray, "k"]
    bonds: frozenset[tuple[int, int]]
    hydrogens: Int[np.ndarray, "h 4"]

    @property
    def nonbonded(self) -> openmm.NonbondedForce:
        """Van der Waals and Coulomb forces."""
        return next(force for force in self.system.getForces() if isinstance(force, openmm.NonbondedForce))


def force_field(chains: Sequence[AllAtomModel], cutoff: float, *, neutral: bool) -> ForceField:
    """All chains of a model in Amber ff14SB with a cutoff (Å), whole residues, and hydrogens.

    `neutral` spreads the charge of every residue that has one evenly over its atoms with the opposite sign.
    """
    for chain in chains:
        whole = np.arange(MOST_ATOMS) < np.array([len(ATOMS[letter]) for letter in chain.letters])[:, None]
        if (chain.mask != (whole & chain.mask.any(axis=1, keepdims=True))).any():
            raise ValueError("a residue lacks atoms")
    joined = [joined_residues(chain) for chain in chains]
    topology, positions, particles = _topology(chains, joined)
    bonds = _bonds(topology)
    modeller = app.Modeller(topology, unit.Quantity([openmm.Vec3(*xyz) for xyz in positions], unit.angstrom))
    amber = app.ForceField("amber14/protein.ff14SB.xml")
    _add_hydrogens(modeller, amber)
    topology = modeller.topology
    system = amber.createSystem(topology, removeCMMotion=False)
    _soften(system, topology, neutral=neutral)
    # Hydrogens follow their heavy atoms, and these keep their order.
    heavy = np.array([atom.index for atom in topology.atoms() if atom.element is not app.element.hydrogen])
    field = ForceField(
        system=system,
        positions=np.array(modeller.positions.value_in_unit(unit.angstrom)),
        particles=[np.where(places < 0, -1, heavy[places]) for places in particles],
        joined=joined,
        heavy=heavy,
        bonds=bonds,
        hydrogens=_hydrogens(topology, heavy),
    )
    field.nonbonded.setNonbondedMethod(openmm.NonbondedForce.CutoffNonPeriodic)
    field.nonbonded.setCutoffDistance(ANGSTROM * cutoff)
    field.nonbonded.setUseSwitchingFunction(True)
    field.nonbonded.setSwitchingDistance(SWITCHED * ANGSTROM * cutoff)
    field.nonbonded.setReactionFieldDielectric(1.0)  # Coulomb's law, shifted to be 0 at the cutoff
    return field


def same_field(field: ForceField, chains: Sequence[AllAtomModel]) -> ForceField | None:
    """The force field of the same chains with atoms elsewhere (Å); None if other atoms are bonded to each other now.

    Hydrogens stand to the atoms near them as they did, which is a hundred times as fast as to add them again.
    """
    joined = [joined_residues(chain) for chain in chains]
    topology, places, _ = _topology(chains, joined)
    if _bonds(topology) != field.bonds:
        return None
    positions = np.empty_like(field.positions)
    positions[field.heavy] = places
    hydrogen, *around = field.hydrogens.T
    origin, axes = _axes(*(field.positions[atoms] for atoms in around))
    new_origin, new_axes = _axes(*(positions[atoms] for atoms in around))
    along = np.einsum("hx,hax->ha", field.positions[hydrogen] - origin, axes)
    positions[hydrogen] = new_origin + np.einsum("ha,hax->hx", along, new_axes)
    return replace(field, positions=positions)


def _bonds(topology: app.Topology) -> frozenset[tuple[int, int]]:
    return frozenset((bond.atom1.index, bond.atom2.index) for bond in topology.bonds())


def _hydrogens(topology: app.Topology, heavy: Int[np.ndarray, "k"]) -> Int[np.ndarray, "h 4"]:
    """Each hydrogen, the atom that it is bonded to, one or two neighbours of this, and of the former one if need be."""
    neighbours: dict[int, list[int]] = {atom: [] for atom in heavy.tolist()}
    hydrogens = []
    for bond in topology.bonds():
        one, other = sorted((bond.atom1.index, bond.atom2.index), key=neighbours.__contains__)
        if one in neighbours:
            neighbours[one].append(other)
            neighbours[other].append(one)
        else:
            hydrogens.append((one, other))
    found = []
    for hydrogen, bonded in hydrogens:
        first, *more = neighbours[bonded]
        second = next(atom for atom in (*more, *neighbours[first]) if atom != bonded)
        found.append((hydrogen, bonded, first, second))
    return np.array(found, int).reshape(-1, 4)


def _axes(
    origin: Float[np.ndarray, "h 3"], first: Float[np.ndarray, "h 3"], second: Float[np.ndarray, "h 3"]
) -> tuple[Float[np.ndarray, "h 3"], Float[np.ndarray, "h 3 3"]]:
    """Three atoms as an origin (Å) and axes of unit length."""
    x = unit_vector(first - origin)
    z = unit_vector(np.cross(x, second - origin))
    return origin, np.stack([x, np.cross(z, x), z], axis=1)


def cpu() -> openmm.Platform:
    """The platform that everything is computed on: with one thread, so that the same input gives the same output."""
    platform = openmm.Platform.getPlatformByName("CPU")
    platform.setPropertyDefaultValue("Threads", "1")
    return platform


def joined_residues(chain: AllAtomModel) -> Bool[np.ndarray, "n"]:
    """Residues that the one before is bonded to: both are built, and C and N within 2.5 Å."""
    gap = np.linalg.norm(chain.positions[1:, N] - chain.positions[:-1, C], axis=-1)
    return np.append(False, gap <= PEPTIDE_LENGTH)[: len(chain)]


def _topology(
    chains: Sequence[AllAtomModel], joined: Sequence[Bool[np.ndarray, "n"]]
) -> tuple[app.Topology, Float[np.ndarray, "k 3"], list[Int[np.ndarray, "n 14"]]]:
    """Heavy atoms with their caps and bonds, their positions (Å), and by chain the place of every atom among them."""
    topology = app.Topology()
    positions: list[np.ndarray] = []
    particles = []
    sulphurs = []

    def add(name: str, atoms: Sequence[str], places: np.ndarray, chain: app.topology.Chain) -> list[app.topology.Atom]:
        residue = topology.addResidue(name, chain)
        positions.extend(places)
        return [topology.addAtom(a, app.Element.getBySymbol(a[0]), residue) for a in atoms]

    for model, bonded in zip(chains, joined):
        numbers = np.full((len(model), MOST_ATOMS), -1)
        before, after = _caps(model.positions)
        for piece in _pieces(model, bonded):
            chain = topology.addChain()
            add("ACE", ("C", "O", "CH3"), before[piece[0]], chain)
            for r in piece:
                letter = model.letters[r]
                name = "ALA" if letter == "X" else ONE_TO_THREE[letter]
                atoms = add(name, ATOMS[letter], model.positions[r, : len(ATOMS[letter])], chain)
                numbers[r, : len(atoms)] = [atom.index for atom in atoms]
                sulphurs += [atom for atom in atoms if atom.name == "SG"]
            add("NME", ("N", "C"), after[piece[-1]], chain)
        particles.append(numbers)
    topology.createStandardBonds()
    places = np.array(positions, float).reshape(-1, 3)
    for i, j in _nearest_pairs(places[[atom.index for atom in sulphurs]]):
        topology.addBond(sulphurs[i], sulphurs[j])
    return topology, places, particles


def _pieces(model: AllAtomModel, joined: Bool[np.ndarray, "n"]) -> list[np.ndarray]:
    """Built residues that are bonded in a row."""
    built = np.flatnonzero(model.mask.any(axis=1))
    return np.split(built, np.flatnonzero(~joined[built])[1:]) if len(built) else []


def _caps(
    positions: Float[np.ndarray, "n 14 3"],
) -> tuple[Float[np.ndarray, "n 3 3"], Float[np.ndarray, "n 2 3"]]:
    """C, O and methyl of an acetyl group before each residue, and N and methyl of a methylamide group after it (Å)."""
    n, ca, c, o = (jnp.asarray(positions[:, atom]) for atom in (N, CA, C, O))

    def next_to(a: jnp.ndarray, b: jnp.ndarray, c: jnp.ndarray, *geometry: float) -> jnp.ndarray:
        length, angle, torsion = (jnp.full(len(positions), value) for value in geometry)
        return extended(a, b, c, length, jnp.radians(angle), jnp.radians(torsion))

    carbon = next_to(c, ca, n, C_N, C_N_CA, CAP_PHI)
    acetyl = [
        carbon,
        next_to(ca, n, carbon, C_O, 360 - CA_C_O - CA_C_N, 0.0),
        next_to(ca, n, carbon, CA_C, CA_C_N, 180.0),
    ]
    # N lies in the plane of Cα, C and O: as a torsion of nothing about Cα–C it is opposite to O.
    nitrogen = next_to(o, ca, c, C_N, CA_C_N, 180.0)
    amide = [nitrogen, next_to(ca, c, nitrogen, N_CA, C_N_CA, 180.0)]
    return np.stack(acetyl, axis=1), np.stack(amide, axis=1)


def _nearest_pairs(sulphurs: Float[np.ndarray, "k 3"]) -> list[tuple[int, int]]:
    """Disulfides: the closest pair first, and each sulphur in one at most."""
    if len(sulphurs) < 2:
        return []
    pairs = KDTree(sulphurs).query_pairs(DISULFIDE_LENGTH, output_type="ndarray")
    pairs = pairs[np.argsort(np.linalg.norm(np.diff(sulphurs[pairs], axis=1)[:, 0], axis=1))]
    taken: set[int] = set()
    bonds = []
    for one, other in pairs.tolist():
        if taken.isdisjoint((one, other)):
            bonds.append((one, other))
            taken.update((one, other))
    return bonds


def _add_hydrogens(modeller: app.Modeller, amber: app.ForceField) -> None:
    """Hydrogens where the force field wants them; OpenMM begins at random places, here always at the same."""
    state = random.getstate()
    random.seed(0)
    try:
        modeller.addHydrogens(amber, platform=cpu())
    finally:
        random.setstate(state)


def _soften(system: openmm.System, topology: app.Topology, *, neutral: bool) -> None:
    """Caps without van der Waals forces and charges and, if `neutral`, residues without a charge."""
    (nonbonded,) = (force for force in system.getForces() if isinstance(force, openmm.NonbondedForce))
    start = [nonbonded.getParticleParameters(i) for i in range(system.getNumParticles())]
    charge = np.array([q.value_in_unit(unit.elementary_charge) for q, _, _ in start])
    here = np.ones(len(charge))
    for residue in topology.residues():
        atoms = [atom.index for atom in residue.atoms()]
        if residue.name in ("ACE", "NME"):
            here[atoms] = 0.0
        elif neutral:
            charge[atoms] -= charge[atoms].mean()
    charge *= here
    for i, (_, sigma, epsilon) in enumerate(start):
        nonbonded.setParticleParameters(i, charge[i], sigma, here[i] * epsilon)
    for k in range(nonbonded.getNumExceptions()):
        i, j, product, sigma, epsilon = nonbonded.getExceptionParameters(k)
        scale = 0.0 if product.value_in_unit(product.unit) == 0 else 1 / AMBER_FOUR
        nonbonded.setExceptionParameters(k, i, j, scale * charge[i] * charge[j], sigma, here[i] * here[j] * epsilon)


def soft_repulsion(nonbonded: openmm.NonbondedForce) -> openmm.CustomNonbondedForce:
    """What keeps atoms apart but lets them pass each other, in place of forces without end where they meet."""
    force = openmm.CustomNonbondedForce("push * max(0, reach - r)^2; reach = (reach1 + reach2) / 2")
    force.addGlobalParameter("push", SOFT_STIFFNESS * KJ / ANGSTROM**2)
    force.addPerParticleParameter("reach")
    force.setNonbondedMethod(openmm.CustomNonbondedForce.CutoffNonPeriodic)
    widest = 0.0
    for i in range(nonbonded.getNumParticles()):
        _, sigma, epsilon = (value.value_in_unit(value.unit) for value in nonbonded.getParticleParameters(i))
        reach = SOFT_REACH * sigma if epsilon > 0 else 0.0
        force.addParticle([reach])
        widest = max(widest, reach)
    force.setCutoffDistance(widest)
    for k in range(nonbonded.getNumExceptions()):
        i, j, *_ = nonbonded.getExceptionParameters(k)
        force.addExclusion(i, j)
    return force
