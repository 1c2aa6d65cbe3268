"""What rotamers cost by themselves and in pairs: how rare they are, what they touch, what the map says of them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from deepmm_jax.allatom.contacts import NOTHING, SULPHUR, contact_costs, disulfide_costs
from deepmm_jax.allatom.packing import IMPOSSIBLE
from deepmm_jax.allatom.rotamer_library import Conformers, most_rotamers
from deepmm_jax.allatom.side_chain_geometry import FAR, FIRST, MOST_BEYOND, place_atoms
from deepmm_jax.allatom.splined_map import SplinedMap, map_values, standardised
from deepmm_jax.allatom.values import ATOMS, CB
from deepmm_jax.structure.residue_atoms import LETTERS
from deepmm_jax.structure.torsions import norm


DENSITY_WEIGHT, BRIGHTEST = 4.0, 4.0
"""Of the density at a carbon, in standard deviations; it saturates there, so that noise and neighbours do not win."""
SCATTERING = {"C": 1.0, "N": 7 / 6, "O": 8 / 6, "S": 16 / 6}
"""Atomic numbers over carbon's."""
ACID = 0.5
"""What is left of an acid's oxygens, which are weak in cryo-EM maps."""
WIDTH, DISULFIDE_WIDTH = 0.35, 0.3
"""Å of overlap, and by which disulfides are off, where side chains can be no other than rotamers."""
STATES = 16
"""Rotamers of a residue that are weighed against those of others: the best by themselves."""
PARTNERS = 32
"""So many residues' main chains are watched."""
EDGES, BLOCK = 8, 64
"""Pairs of side chains that are weighed, for each residue, and how many at a time."""
TOUCH = 4.0
"""Å within which atoms matter to each other."""


class Scene(NamedTuple):
    """One chain whose side chains are to be placed: N, Cα, C, O and Cβ in Å, residue types as `LETTERS`, atom kinds.

    Atoms that a residue lacks are of the kind NOTHING, and so are all of a residue that is not built.
    """

    backbone: Float[Array, "n 5 3"]
    types: Int[Array, "n"]
    kinds: Int[Array, "n 14"]


class Rotamers(NamedTuple):
    """The best rotamers of every residue: their costs, their rows among the conformers, their atoms beyond Cβ (Å).

    Residues that have none have one that costs nothing.
    """

    costs: Float[Array, "n r"]
    rows: Int[Array, "n r"]
    atoms: Float[Array, "n r 9 3"]


def _map_weights() -> Float[np.ndarray, "21 9"]:
    weights = np.zeros((len(LETTERS), MOST_BEYOND), np.float32)
    for row, letter in zip(weights, LETTERS):
        for place, name in enumerate(ATOMS[letter][FIRST:]):
            row[place] = SCATTERING[name[0]] * (ACID if letter in "DE" and name[0] == "O" else 1)
    return DENSITY_WEIGHT * weights


MAP_WEIGHTS = _map_weights()
"""Of the density at every atom beyond Cβ, by residue type."""


def density_costs(density: SplinedMap, atoms: Float[Array, "m 9 3"], types: Int[Array, "m"]) -> Float[Array, "m"]:
    """Minus the standardised density at the atoms of side chains (Å)."""
    bright = BRIGHTEST * jnp.tanh(map_values(density, atoms) / BRIGHTEST)
    return -(bright * jnp.asarray(MAP_WEIGHTS)[types]).sum(axis=1)


def nearest_residues(
    scene: Scene, centre: Float[Array, "n 3"], others: Float[Array, "n 3"], radius: Float[Array, "n"], size: int
) -> tuple[Int[Array, "n p"], Int[Array, "n p 14"]]:
    """Residues whose spheres are nearest to points of each residue, and the kinds of their atoms.

    The residue itself counts as nothing, and so does the one before a proline, whose ring is bonded to it.
    """
    index = jnp.arange(len(centre))
    built = scene.kinds[:, 0] != NOTHING
    gap = norm(centre[:, None] - others[None]) - radius[None]
    gap = jnp.where(built[None] & (index[:, None] != index[None]), gap, jnp.inf)
    nearest = lax.top_k(-gap, size)[1]
    before = (scene.types == LETTERS.index("P"))[:, None] & (nearest == index[:, None] - 1)
    ignored = before | (nearest == index[:, None])
    return nearest, jnp.where(ignored[..., None], NOTHING, scene.kinds[nearest])


def rotamer_costs(scene: Scene, conformers: Conformers, density: SplinedMap) -> tuple[Rotamers, SplinedMap]:
    """The best rotamers by themselves, and the map in its standard deviations where their atoms could be."""
    residue, n = conformers.residue, len(scene.types)
    types, there = scene.types[residue], conformers.there
    atoms = place_atoms(scene.backbone[residue], types, conformers.chi)[:, FIRST:]
    counted = (scene.kinds[residue][:, FIRST:] != NOTHING) & there[:, None]
    density = standardised(density, atoms, counted)
    costs = conformers.penalty + density_costs(density, atoms, types)
    costs += _main_chain_costs(scene, residue, atoms, counted)

    rows = jnp.where(there, residue, n)  # the last row takes what is not there
    table = jnp.full((n + 1, most_rotamers()), IMPOSSIBLE).at[rows, conformers.number].set(costs)[:n]
    index = (
        jnp.zeros(table.shape, jnp.int32)
        .at[residue, conformers.number]
        .max(jnp.where(there, jnp.arange(len(there)), 0))
    )
    best, number = lax.top_k(-table, STATES)
    only = jnp.where(jnp.arange(STATES) == 0, 0, IMPOSSIBLE)
    several = best[:, :1] > -IMPOSSIBLE
    rows = jnp.take_along_axis(index, number, axis=1)
    return Rotamers(jnp.where(several, -best, only[None]), rows, atoms[rows]), density


def _main_chain_costs(
    scene: Scene, residue: Int[Array, "c"], atoms: Float[Array, "c 9 3"], counted: Bool[Array, "c 9"]
) -> Float[Array, "c"]:
    """Contacts of conformers with N, Cα, C, O and Cβ, those of their own residue from four bonds on."""
    n = len(scene.types)
    centre = jax.ops.segment_sum(jnp.where(counted[..., None], atoms, 0).sum(axis=1), residue, n)
    centre /= jnp.maximum(jax.ops.segment_sum(counted.sum(axis=1), residue, n), 1)[:, None]
    partners, kinds = nearest_residues(scene, centre, scene.backbone[:, 1], jnp.zeros(n), PARTNERS)
    kinds = kinds[:, :, :FIRST].reshape(n, -1)
    others = scene.backbone[partners].reshape(n, -1, 3)
    apart = norm(atoms[:, :, None] - others[residue][:, None])
    own = scene.kinds[residue][:, FIRST:]
    costs = contact_costs(apart, own[:, :, None], kinds[residue][:, None], WIDTH).sum(axis=(1, 2))
    apart = norm(atoms[:, :, None] - scene.backbone[residue][:, None])
    inner = contact_costs(apart, own[:, :, None], scene.kinds[residue][:, None, :FIRST], WIDTH)
    return costs + jnp.where(jnp.asarray(FAR)[scene.types[residue]], inner, 0).sum(axis=(1, 2))


def rotamer_pairs(scene: Scene, rotamers: Rotamers) -> tuple[Int[Array, "e 2"], Float[Array, "e r r"]]:
    """Pairs of residues whose side chains may touch, and what each pair of their rotamers costs.

    Pairs of the first residue with itself fill up, and cost nothing.
    """
    n = len(scene.types)
    real = (scene.kinds[:, None, FIRST:] != NOTHING) & (rotamers.costs < IMPOSSIBLE)[..., None]
    count = real.sum(axis=(1, 2))
    centre = jnp.where(real[..., None], rotamers.atoms, 0).sum(axis=(1, 2)) / jnp.maximum(count, 1)[:, None]
    radius = jnp.where(real, norm(rotamers.atoms - centre[:, None, None]), 0).max(axis=(1, 2))
    gap = norm(centre[:, None] - centre[None]) - radius[:, None] - radius[None]
    near = jnp.triu((count > 0)[:, None] & (count > 0)[None] & (gap < TOUCH), 1)
    nearness, index = lax.top_k(jnp.where(near, -gap, -jnp.inf).ravel(), EDGES * n)
    there = jnp.isfinite(nearness)
    edges = jnp.where(there[:, None], jnp.stack(jnp.divmod(index, n), axis=1), 0)
    kinds = jnp.where(there[:, None, None], scene.kinds[:, FIRST:][edges], NOTHING)
    blocks = [part.reshape(-1, BLOCK, *part.shape[1:]) for part in (kinds, edges)]

    def costs(block: tuple[Array, Array]) -> Array:
        kinds, edges = block
        return _pair_costs(kinds, rotamers.atoms[edges], scene.backbone[:, CB][edges])

    return edges, lax.map(costs, tuple(blocks)).reshape(len(edges), STATES, STATES)


def _pair_costs(
    kinds: Int[Array, "e 2 9"], atoms: Float[Array, "e 2 r 9 3"], beta: Float[Array, "e 2 3"]
) -> Float[Array, "e r r"]:
    one, other = jnp.moveaxis(atoms, 1, 0)
    apart = norm(one[:, :, None, :, None] - other[:, None, :, None])
    kind, other_kind = kinds[:, 0, None, None, :, None], kinds[:, 1, None, None, None]
    costs = contact_costs(apart, kind, other_kind, WIDTH).sum(axis=(-1, -2))
    chord = norm(one[:, :, 0] - beta[:, 1, None])[:, :, None]
    other_chord = norm(other[:, :, 0] - beta[:, 0, None])[:, None]
    bonded = disulfide_costs(apart[..., 0, 0], chord, other_chord, DISULFIDE_WIDTH)
    cysteines = (kinds[:, :, 0] == SULPHUR).all(axis=1)[:, None, None]
    return jnp.where(cysteines, jnp.minimum(costs, bonded), costs)
