"""The backbone of a Cα trace: N, C, O and Cβ by peptide planes, then all of them moved together.

The paper hands its Cα models to ctrip (Petrey et al. 2003); this needs no other program, and looks at the map.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from deepmm_jax.allatom.ideal_geometry import C_O, CA_C_O
from deepmm_jax.allatom.peptide_planes import TURNS, best_states, joined_residues, peptide_choices
from deepmm_jax.allatom.ramachandran import guiding_table, residue_classes, with_unknown
from deepmm_jax.allatom.relaxation import Backbone, contact_partners, place_beta, relax
from deepmm_jax.allatom.surroundings import Surroundings, atom_costs, surroundings_of
from deepmm_jax.allatom.values import CB, MOST_ATOMS, AllAtomModel
from deepmm_jax.density.map import DensityMap
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.structure.chain import BACKBONE
from deepmm_jax.structure.torsions import unit


LONGEST_BOND = 5.5
"""Å between successive Cα beyond which the chain is broken."""
CALPHA_WIDTH = 0.3
"""Å: how far Cα are thought to be off."""
MAP_WEIGHT, DENSITY_WEIGHT = 3.0, 1.5
"""Of −log of the probabilities of atoms; of the density, in its standard deviations."""
STEPS = 300
"""Of the descent, a round."""
ROUNDS = 2
"""Planes are chosen again for the moved Cα."""


def place_backbone(
    calpha: Float[np.ndarray, "k n 3"],
    built: Bool[np.ndarray, "k n"],
    letters: str,
    evidence: Evidence | None = None,
    density: DensityMap | None = None,
    *,
    calpha_width: float = CALPHA_WIDTH,
) -> list[AllAtomModel]:
    """N, Cα, C, O and Cβ (but of glycine) of k Cα models (Å) of one sequence of n letters; what is not built stays out.

    Residues that are not built break the chain, and so do Cα more than 5.5 Å apart. `evidence` counts where its network
    sees atoms, `density` as it is. `calpha_width` is how far the Cα are thought to be off, Å. All models are placed at
    once; sizes are padded so that few shapes are compiled.
    """
    k, n = built.shape
    if len(letters) != n:
        raise ValueError(f"{len(letters)} letters do not fit models of {n} residues")
    more_models = 0 if k == 1 else -k % 5
    more_residues = -n % 128
    inside = np.pad(built, ((0, more_models), (0, more_residues)))
    centre = np.round(calpha[built].mean(axis=0)) if built.any() else np.zeros(3)
    start = np.zeros((*inside.shape, 3), np.float32)
    start[inside] = calpha[built]
    around = surroundings_of(start, inside, evidence, density, MAP_WEIGHT, DENSITY_WEIGHT)
    start[inside] -= centre
    around = around._replace(corner=jnp.asarray(np.asarray(around.corner) - centre, jnp.float32))
    padded = letters + "X" * more_residues
    types = jnp.asarray(residue_classes(padded)), *(jnp.array([a == b for a in padded]) for b in "PG")
    placed = (
        np.asarray(_place(jnp.asarray(start), jnp.asarray(inside), *types, around, jnp.asarray(calpha_width)))[:k, :n]
        + centre
    )
    return [_model(letters, atoms, there) for atoms, there in zip(placed.astype(np.float32), built, strict=True)]


def _model(letters: str, atoms: Float[np.ndarray, "n 5 3"], built: Bool[np.ndarray, "n"]) -> AllAtomModel:
    mask = np.zeros((len(letters), MOST_ATOMS), bool)
    mask[:, : CB + 1] = built[:, None]
    mask[[letter == "G" for letter in letters], CB] = False
    positions = np.full((*mask.shape, 3), np.nan, np.float32)
    positions[:, : CB + 1] = atoms
    positions[~mask] = np.nan
    return AllAtomModel(letters=letters, positions=positions, mask=mask)


@jax.jit
def _place(
    calpha: Float[Array, "k n 3"],
    built: Bool[Array, "k n"],
    classes: Int[Array, "n"],
    proline: Bool[Array, "n"],
    glycine: Bool[Array, "n"],
    around: Surroundings,
    calpha_width: Float[Array, ""],
) -> Float[Array, "k n 5 3"]:
    table, unknown = jnp.asarray(guiding_table()), jnp.asarray(with_unknown(guiding_table()))

    def place_one(calpha: Array, built: Array, corner: Array, cost: Array) -> Array:
        joined = joined_residues(calpha, built, LONGEST_BOND)
        partners = contact_partners(calpha, built)
        here = Surroundings(corner, around.step, cost)

        def choose_and_relax(now: Array, _: None) -> tuple[Array, Array]:
            atoms, cis = planes(now, joined, classes, jnp.roll(proline, -1), unknown, here)
            chain = Backbone(calpha, built, joined, cis, classes, proline, glycine, partners)
            atoms = relax(atoms, chain, table, here, calpha_width, STEPS)
            return atoms[:, 1], atoms

        return lax.scan(choose_and_relax, calpha, None, length=ROUNDS)[1][-1]

    return jax.vmap(place_one)(calpha, built, around.corner, around.cost)


def planes(
    calpha: Float[Array, "n 3"],
    joined: Bool[Array, "n"],
    classes: Int[Array, "n"],
    to_proline: Bool[Array, "n"],
    tables: Float[Array, "5 g g"],
    around: Surroundings,
) -> tuple[Float[Array, "n 5 3"], Bool[Array, "n"]]:
    """N, Cα, C, O and Cβ by the best peptide planes, and which of these are cis."""
    choices = peptide_choices(calpha, joined, to_proline, around)
    into, out, _ = best_states(calpha, joined, choices, classes, tables)

    def chosen(atoms: Array, states: Array) -> Array:
        return jnp.take_along_axis(atoms, states[:, None, None], axis=1)[:, 0]

    nitrogen, carbon = chosen(choices.nitrogen, into), chosen(choices.carbon, out)
    oxygen = jnp.where(joined[:, None], chosen(choices.oxygen, out), last_oxygen(nitrogen, calpha, carbon, around))
    beta = place_beta(jnp.stack([nitrogen, calpha, carbon], axis=1))
    return jnp.stack([nitrogen, calpha, carbon, oxygen, beta], axis=1), joined & (out >= TURNS)


def last_oxygen(
    nitrogen: Float[Array, "n 3"], calpha: Float[Array, "n 3"], carbon: Float[Array, "n 3"], around: Surroundings
) -> Float[Array, "n 3"]:
    """O of residues that no other follows: of its turns about Cα–C that which the map likes best, or opposite to N."""
    along = unit(carbon - calpha)
    aside = nitrogen - calpha
    aside = unit((aside * along).sum(axis=-1, keepdims=True) * along - aside)
    turn = 2 * jnp.pi * jnp.arange(TURNS) / TURNS
    sideways = jnp.einsum("t,nx->ntx", jnp.cos(turn), aside)
    sideways += jnp.einsum("t,nx->ntx", jnp.sin(turn), jnp.cross(along, aside))
    bend = np.radians(CA_C_O)
    oxygen = carbon[:, None] + C_O * (np.sin(bend) * sideways - np.cos(bend) * along[:, None])
    best = atom_costs(around, oxygen, np.full(TURNS, BACKBONE.index("O"))).argmin(axis=1)
    return jnp.take_along_axis(oxygen, best[:, None, None], axis=1)[:, 0]
