"""Torsions of side chains moved from their rotamers to where library, contacts and map agree."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from deepmm_jax.allatom.contacts import NEAREST, NOTHING, SULPHUR, contact_costs, disulfide_costs
from deepmm_jax.allatom.ideal_geometry import chord
from deepmm_jax.allatom.side_chain_costs import Scene, density_costs, nearest_residues
from deepmm_jax.allatom.side_chain_geometry import FAR, FIRST, place_atoms, torques
from deepmm_jax.allatom.splined_map import SplinedMap
from deepmm_jax.allatom.values import MOST_ATOMS
from deepmm_jax.structure.engh_huber import ideal_angle, ideal_bond
from deepmm_jax.structure.residue_atoms import LETTERS
from deepmm_jax.structure.torsions import norm


STEPS, LONGEST_TURN = 40, 0.1
"""Of the descent; radians."""
STILL = 1.0
"""Slope, a radian, below which a torsion slows down instead of keeping its step."""
WIDTH, DISULFIDE_WIDTH = 0.2, 0.1
"""Å of overlap, and by which disulfides are off."""
PARTNERS = 24
"""So many residues are watched."""
PAIRS, REACH = 64, 1.2
"""Pairs of atoms that are watched, for each residue: those that come so near to touching, Å."""
RING_WIDTHS = 0.03, 0.05
"""Å: how far a proline's Cδ is from where it closes the ring, as its N and its Cα see it."""
RING_BOND = ideal_bond("P", "CD", "N")
RING_CHORD = chord(ideal_bond("P", "N", "CA"), RING_BOND, ideal_angle("P", "CA", "N", "CD"))


def relax_torsions(
    scene: Scene, chi: Float[Array, "n 4"], spread: Float[Array, "n 4"], density: SplinedMap
) -> Float[Array, "n 14 3"]:
    """All atoms (Å) after descent from rotamers χ with their spread (radians; 0 where there is no torsion)."""
    atoms = place_atoms(scene.backbone, scene.types, chi)
    gradient = jax.grad(_energy_around(scene, atoms, density))

    def step(state: tuple[Array, Array, Array], count: Array) -> tuple[tuple[Array, Array, Array], None]:
        now, mean, square = state
        atoms = place_atoms(scene.backbone, scene.types, now)
        slope = torques(atoms, gradient(atoms), scene.types) + (now - chi) / jnp.where(spread > 0, spread, 1) ** 2
        slope = jnp.where(spread > 0, slope, 0)
        mean = 0.8 * mean + 0.2 * slope
        square = 0.95 * square + 0.05 * jnp.square(slope)
        length = LONGEST_TURN * jnp.cos(jnp.pi / 2 * count / STEPS) / (1 - 0.8**count)
        return (now - length * mean / (jnp.sqrt(square / (1 - 0.95**count)) + STILL), mean, square), None

    still = jnp.zeros_like(chi)
    (chi, _, _), _ = lax.scan(step, (chi, still, still), jnp.arange(1.0, STEPS + 1))
    return place_atoms(scene.backbone, scene.types, chi)


def _energy_around(scene: Scene, atoms: Float[Array, "n 14 3"], density: SplinedMap) -> Callable[[Array], Array]:
    """The energy as a function of atoms that stay near these: contacts, density and the rings of prolines."""
    there = scene.kinds != NOTHING
    side = there[:, FIRST:]
    centre = jnp.where(side[..., None], atoms[:, FIRST:], 0).sum(axis=1)
    centre /= jnp.maximum(side.sum(axis=1), 1)[:, None]
    middle = jnp.where(there[..., None], atoms, 0).sum(axis=1) / jnp.maximum(there.sum(axis=1), 1)[:, None]
    radius = jnp.where(there, norm(atoms - middle[:, None]), 0).max(axis=1)
    partners, kinds = nearest_residues(scene, centre, middle, radius, PARTNERS)
    # The residue itself comes last, with its main chain alone.
    partners = jnp.concatenate([partners, jnp.arange(len(atoms))[:, None]], axis=1)
    own = jnp.where(jnp.arange(MOST_ATOMS)[None] < FIRST, scene.kinds, NOTHING)
    kinds = jnp.concatenate([kinds, own[:, None]], axis=1)
    touch = jnp.asarray(NEAREST)[scene.kinds[:, None, FIRST:, None], kinds[:, :, None]]
    apart = norm(atoms[:, None, FIRST:, None] - atoms[partners][:, :, None])
    near = (touch > 0) & (apart < touch + REACH)
    near = near.at[:, -1, :, :FIRST].set(near[:, -1, :, :FIRST] & jnp.asarray(FAR)[scene.types])
    residue, partner, beyond, place = jnp.nonzero(near, size=PAIRS * len(atoms), fill_value=0)
    counted = jnp.arange(len(residue)) < near.sum()
    one = residue * MOST_ATOMS + FIRST + beyond
    other = partners[residue, partner] * MOST_ATOMS + place
    kind = jnp.where(counted, scene.kinds.ravel()[one], NOTHING)
    other_kind = jnp.where(counted, scene.kinds.ravel()[other], NOTHING)
    sulphurs = (kind == SULPHUR) & (other_kind == SULPHUR)
    share = jnp.where(place < FIRST, 1.0, 0.5)  # pairs of side chains are met from both ends
    proline = (scene.types == LETTERS.index("P")) & there[:, 0]

    def energy(atoms: Float[Array, "n 14 3"]) -> Float[Array, ""]:
        flat = atoms.reshape(-1, 3)
        apart = norm(flat[one] - flat[other])
        costs = contact_costs(apart, kind, other_kind, WIDTH)
        # The atom before a sulphur is its Cβ.
        chords = norm(flat[one] - flat[other - 1]), norm(flat[one - 1] - flat[other])
        bonded = disulfide_costs(apart, *chords, DISULFIDE_WIDTH)
        total = jnp.where(sulphurs, jnp.minimum(costs, bonded), costs) @ share
        seen = density_costs(density, atoms[:, FIRST:], scene.types)
        delta = atoms[:, FIRST + 1]
        ring = jnp.square((norm(delta - atoms[:, 0]) - RING_BOND) / RING_WIDTHS[0])
        ring += jnp.square((norm(delta - atoms[:, 1]) - RING_CHORD) / RING_WIDTHS[1])
        return total + seen @ there[:, 0] + jnp.where(proline, ring, 0).sum() / 2

    return energy
