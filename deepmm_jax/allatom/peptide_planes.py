"""Peptide planes about the Cα–Cα axes: 36 turns, trans or cis, the best choice for all planes of a chain at once.

Where the chain begins or ends, the first N and the last C look into evenly spread directions instead.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from deepmm_jax.allatom.ideal_geometry import CA_C, N_CA, TAU, peptide_plane
from deepmm_jax.allatom.ramachandran import torsion_bin
from deepmm_jax.allatom.surroundings import Surroundings, atom_costs
from deepmm_jax.structure.torsions import norm, unit


TURNS = 36
STATES = 2 * TURNS
"""Trans first, then cis."""
PLANES, LENGTHS = zip(*(peptide_plane(cis=cis) for cis in (False, True)), strict=True)
LONGEST_CIS = 3.3
"""Å between Cα up to which a peptide before another residue than proline may be cis."""
CIS_COST, CIS_COST_PROLINE = 8.5, 3.1
"""−log of the share of cis peptides, 0.020 % and 4.7 % before proline (benchmarks/fit_geometry.py)."""
LENGTH_WIDTH = 0.2
"""Å: how far Cα–Cα distances of an unrefined trace are off."""
TAU_WIDTH = 3.0
"""Degrees."""
STRAIN = 3.0
"""Widths beyond which a deviation costs less than its square."""
IMPOSSIBLE = 1e6


class Choices(NamedTuple):
    """Atoms of the peptide between residue i and i + 1 in each state, Å, and its cost; a residue's N in each state.

    Where no residue follows, only `carbon` means something; `nitrogen` is that of the residue itself, in the states
    of the peptide before it, and `start` its cost where there is none.
    """

    before: Float[Array, "n s 3"]
    nitrogen: Float[Array, "n s 3"]
    carbon: Float[Array, "n s 3"]
    oxygen: Float[Array, "n s 3"]
    after: Float[Array, "n s 3"]
    start: Float[Array, "n s"]
    cost: Float[Array, "n s"]


def joined_residues(calpha: Float[Array, "n 3"], built: Bool[Array, "n"], longest: float) -> Bool[Array, "n"]:
    """Whether a peptide joins each residue to the next."""
    near = norm(jnp.roll(calpha, -1, axis=0) - calpha) < longest
    return (built & jnp.roll(built, -1) & near).at[-1].set(False)


def peptide_choices(
    calpha: Float[Array, "n 3"], joined: Bool[Array, "n"], to_proline: Bool[Array, "n"], around: Surroundings
) -> Choices:
    """All states of all peptides; the turn 0 has O towards the Cα before the peptide (or behind it, at the start)."""
    following = jnp.roll(calpha, -1, axis=0)
    length, along = norm(following - calpha), unit(following - calpha)
    sideways = jnp.where(
        jnp.roll(joined, 1)[:, None], jnp.roll(calpha, 1, axis=0) - calpha, jnp.roll(calpha, -2, axis=0) - following
    )
    # A little of a fixed direction: two residues alone have no side.
    sideways = sideways + 1e-3 * jnp.array([[0.36, 0.48, 0.8]])
    aside = unit(sideways - (sideways * along).sum(axis=-1, keepdims=True) * along)
    across = jnp.cross(along, aside)
    turn = 2 * jnp.pi * jnp.arange(TURNS) / TURNS
    outwards = jnp.einsum("t,nx->ntx", jnp.cos(turn), aside) + jnp.einsum("t,nx->ntx", jnp.sin(turn), across)
    atoms = [
        jnp.einsum("a,nx->anx", plane[:, 0] / ideal, following - calpha)[:, :, None]
        + jnp.einsum("a,ntx->antx", plane[:, 1], outwards)
        for plane, ideal in zip(PLANES, LENGTHS, strict=True)
    ]
    carbon, oxygen, after = calpha[None, :, None] + jnp.concatenate(atoms, axis=2)

    ways = jnp.array(even_directions(STATES))[None]
    here, there = joined[:, None, None], jnp.roll(joined, 1)[:, None, None]
    carbon = jnp.where(here, carbon, calpha[:, None] + CA_C * ways)
    nitrogen = jnp.where(there, jnp.roll(after, 1, axis=0), calpha[:, None] + N_CA * ways)

    seen_n = atom_costs(around, nitrogen, np.full(STATES, 0))
    seen_c = atom_costs(around, carbon, np.full(STATES, 2))
    seen_o = atom_costs(around, oxygen, np.full(STATES, 3))
    off = (length[:, None] - jnp.array([LENGTHS])) / LENGTH_WIDTH
    price = jnp.where(to_proline, CIS_COST_PROLINE, CIS_COST)
    price = jnp.where(to_proline | (length < LONGEST_CIS), price, IMPOSSIBLE)
    kind = jnp.square(off) / 2 + jnp.stack([jnp.zeros_like(price), price], axis=1)
    peptide = seen_c + seen_o + jnp.roll(seen_n, -1, axis=0) + jnp.repeat(kind, TURNS, axis=1)
    return Choices(
        before=jnp.roll(carbon, 1, axis=0),
        nitrogen=nitrogen,
        carbon=carbon,
        oxygen=oxygen,
        after=after,
        start=jnp.where(there[..., 0], 0.0, seen_n),
        cost=jnp.where(here[..., 0], peptide, seen_c),
    )


def residue_costs(
    calpha: Float[Array, "3"], choice: Choices, table: Float[Array, "g g"], phi_known: Array, psi_known: Array
) -> Float[Array, "s s"]:
    """Cost of a residue for each state of the peptide before it (rows) and behind it (columns).

    −log p(φ, ψ), the last row and column of the table where an angle is unknown, and the strain of τ.
    """
    to_n, to_c = unit(choice.nitrogen - calpha[None]), unit(choice.carbon - calpha[None])
    cosine = jnp.clip(to_n @ to_c.T, -1, 1)
    deviation = (jnp.degrees(jnp.arccos(cosine)) - TAU) / TAU_WIDTH
    strain = strained(jnp.square(deviation), STRAIN)
    # φ and ψ are angles in the plane across N–Cα and across Cα–C, from the carbon before and the nitrogen behind.
    phi = _turn(to_n, choice.before - choice.nitrogen, to_c)
    psi = _turn(to_c, choice.after - choice.carbon, to_n).T
    size = len(table) - 1
    row = jnp.where(phi_known, torsion_bin(phi, size), size)
    column = jnp.where(psi_known, torsion_bin(psi, size), size)
    return strain + table[row, column]


def _turn(axis: Float[Array, "s 3"], outer: Float[Array, "s 3"], inner: Float[Array, "t 3"]) -> Float[Array, "s t"]:
    """Torsions about axes from the Cα outwards: from what hangs on the outer end to what hangs on the Cα."""
    first = unit(outer - (outer * axis).sum(axis=-1, keepdims=True) * axis)
    second = jnp.cross(axis, first)
    return -jnp.arctan2(second @ inner.T, first @ inner.T)


def best_states(
    calpha: Float[Array, "n 3"],
    joined: Bool[Array, "n"],
    choices: Choices,
    classes: Int[Array, "n"],
    tables: Float[Array, "5 g g"],
) -> tuple[Int[Array, "n"], Int[Array, "n"], Float[Array, ""]]:
    """The states of the peptides before and behind every residue that cost least together, and that cost (Viterbi).

    Pieces of the chain do not know of each other.
    """

    def forward(carry: tuple[Array, Array], residue: tuple) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        arriving, total = carry
        position, choice, group, before, behind = residue
        here = residue_costs(position, choice, tables[group], before, behind)
        costs = (arriving + choice.start)[:, None] + here + choice.cost[None]
        least = costs.min(axis=0)
        lowest = least.min()
        leaving = jnp.where(behind, least - lowest, 0.0)
        return (leaving, total + lowest), (costs.argmin(axis=0), least.argmin())

    residues = (calpha, choices, classes, jnp.roll(joined, 1), joined)
    (_, total), (origins, ends) = lax.scan(forward, (jnp.zeros(STATES), jnp.zeros(())), residues)

    def backward(following: Array, residue: tuple) -> tuple[Array, tuple[Array, Array]]:
        origin, end, behind = residue
        out = jnp.where(behind, following, end)
        return origin[out], (origin[out], out)

    _, (into, out) = lax.scan(backward, jnp.zeros((), origins.dtype), (origins, ends, joined), reverse=True)
    return into, out, total


def strained(squared: Float[Array, "*n"], scale: float) -> Float[Array, "*n"]:
    """Half of a squared deviation as long as it is small beside `scale`², its logarithm beyond."""
    return scale**2 / 2 * jnp.log1p(squared / scale**2)


def even_directions(count: int) -> Float[np.ndarray, "s 3"]:
    """Unit vectors spread evenly over the sphere (a Fibonacci lattice)."""
    z = 1 - (2 * np.arange(count) + 1) / count
    turn = np.pi * (1 + np.sqrt(5)) * np.arange(count)
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), z], axis=1).astype(np.float32)
