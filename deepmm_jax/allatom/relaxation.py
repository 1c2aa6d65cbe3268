"""Backbone atoms moved to where geometry, torsions, contacts and the map agree.

Every term is −log of a probability: squares of deviations in their widths, halved; from rare (φ, ψ) more leads
back. Angles are kept by the distances between atoms two bonds apart.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from deepmm_jax.allatom import ideal_geometry as ideal
from deepmm_jax.allatom.peptide_planes import strained
from deepmm_jax.allatom.ramachandran import torsion_energy
from deepmm_jax.allatom.surroundings import Surroundings, atom_costs
from deepmm_jax.structure.torsions import norm, torsion


N, CA, C, O, CB = range(5)  # noqa: E741
BOND_WIDTH, CHORD_WIDTH = 0.02, 0.045
"""Å: of bonds, and of the distances that keep angles (3° of τ)."""
TAU_CHORDS = [ideal.chord(ideal.N_CA, ideal.CA_C, angle) for angle in (ideal.TAU, ideal.TAU_GLYCINE, ideal.TAU_PROLINE)]
BETA_CHORDS = [ideal.chord(ideal.N_CA, ideal.CA_CB, angle) for angle in (ideal.N_CA_CB, ideal.N_CA_CB_PROLINE)]
BEND_CHORDS = [ideal.chord(ideal.CA_C, ideal.C_N, angle) for angle in (ideal.CA_C_N, ideal.CA_C_N_CIS)]
OXYGEN_CHORDS = [
    ideal.chord(ideal.C_O, ideal.C_N, 360 - ideal.CA_C_O - angle) for angle in (ideal.CA_C_N, ideal.CA_C_N_CIS)
]
TURN_CHORDS = [
    ideal.chord(ideal.C_N, ideal.N_CA, angle) for angle in (ideal.C_N_CA, ideal.C_N_CA_CIS, ideal.C_N_CA_PROLINE)
]
"""Å between the ends of the angles that differ with the residue or the peptide."""
BETA_VOLUME = float(ideal.beta_weights()[2] * (ideal.N_CA * ideal.CA_C * np.sin(np.radians(ideal.TAU))) ** 2)
"""(N − Cα) × (C − Cα) · (Cβ − Cα) of an L residue, Å³."""
OMEGA_WIDTH = np.radians(5.0)
VOLUME_WIDTH = 0.2
"""Å³: of the product of three bond vectors that keeps C planar and Cα an L."""
CONTACT_WIDTH = 0.15
"""Å of overlap."""
CONTACTS = np.array(
    [
        [2.9, 3.1, 3.1, 2.7, 3.1],
        [3.1, 3.3, 3.3, 3.0, 3.3],
        [3.1, 3.3, 3.2, 2.9, 3.3],
        [2.7, 3.0, 2.9, 2.8, 3.1],
        [3.1, 3.3, 3.3, 3.1, 3.4],
    ],
    np.float32,
)
"""Å that N, Cα, C, O and Cβ of residues two or more apart keep: the normal limits of Ramachandran & Sasisekharan (1968)
and 0.1 or 0.2 Å beyond, where no hydrogen bond brings them together."""
COINCIDENT = 1e-9
"""Å² added to squared distances, which have a gradient where atoms meet."""
PARTNERS, PARTNER_REACH = 16, 9.0
"""So many of the residues whose Cα lie within this many Å are watched."""
LONGEST_STEP = 0.05
"""Å."""
STILL = 1.0
"""Gradient, Å⁻¹, below which an atom slows down instead of keeping its step."""
STRAY = 3.0
"""Widths beyond which a Cα is no longer drawn back harder and harder to where it began."""


class Backbone(NamedTuple):
    """What stays of one chain while its atoms move: Cα at the start (Å), what is built, joined and cis, and classes."""

    calpha: Float[Array, "n 3"]
    built: Bool[Array, "n"]
    joined: Bool[Array, "n"]
    cis: Bool[Array, "n"]
    classes: Int[Array, "n"]
    proline: Bool[Array, "n"]
    glycine: Bool[Array, "n"]
    partners: Int[Array, "n p"]


def relax(
    atoms: Float[Array, "n 5 3"],
    chain: Backbone,
    table: Float[Array, "5 g g"],
    around: Surroundings,
    calpha_width: Float[Array, ""],
    steps: int,
) -> Float[Array, "n 5 3"]:
    """N, Cα, C, O and Cβ after `steps` of Adam with one step length an atom, falling from 0.05 Å to 0."""
    gradient = jax.grad(backbone_energy)

    def step(state: tuple[Array, Array, Array], count: Array) -> tuple[tuple[Array, Array, Array], None]:
        atoms, mean, square = state
        slope = gradient(atoms, chain, table, around, calpha_width)
        mean = 0.9 * mean + 0.1 * slope
        square = 0.98 * square + 0.02 * jnp.square(slope).mean(axis=-1, keepdims=True)
        length = LONGEST_STEP * jnp.cos(jnp.pi / 2 * count / steps) / (1 - 0.9**count)
        return (atoms - length * mean / (jnp.sqrt(square / (1 - 0.98**count)) + STILL), mean, square), None

    still = jnp.zeros_like(atoms)
    return lax.scan(step, (atoms, still, still[..., :1]), jnp.arange(1.0, steps + 1))[0][0]


def backbone_energy(
    atoms: Float[Array, "n 5 3"],
    chain: Backbone,
    table: Float[Array, "5 g g"],
    around: Surroundings,
    calpha_width: Float[Array, ""],
) -> Float[Array, ""]:
    """Energy of one chain; what is not built has none. Cα are thought to be off by `calpha_width`, Å."""
    following = jnp.roll(atoms, -1, axis=0)
    total = geometry_energy(atoms, following, chain)
    total += jnp.where(chain.built & jnp.roll(chain.joined, 1) & chain.joined, _torsions(atoms, chain, table), 0).sum()
    total += contact_energy(atoms, chain)
    seen = atom_costs(around, atoms, np.arange(5))
    total += jnp.where(chain.glycine, seen[:, :CB].sum(axis=1), seen.sum(axis=1)) @ chain.built
    stray = jnp.square(atoms[:, CA] - chain.calpha).sum(axis=-1) / calpha_width**2
    return total + strained(stray, STRAY) @ chain.built


def _torsions(atoms: Array, chain: Backbone, table: Array) -> Array:
    before, following = jnp.roll(atoms[:, C], 1, axis=0), jnp.roll(atoms[:, N], -1, axis=0)
    phi = torsion(before, atoms[:, N], atoms[:, CA], atoms[:, C])
    psi = torsion(atoms[:, N], atoms[:, CA], atoms[:, C], following)
    return torsion_energy(table, chain.classes, phi, psi)


def geometry_energy(
    atoms: Float[Array, "n 5 3"], following: Float[Array, "n 5 3"], chain: Backbone
) -> Float[Array, ""]:
    """Bonds, angles, planes, ω and the hand of Cα."""
    n, ca, c, o, cb = jnp.moveaxis(atoms, 1, 0)
    next_n, next_ca = following[:, N], following[:, CA]
    glycine, proline, to_proline, cis = chain.glycine, chain.proline, jnp.roll(chain.proline, -1), chain.cis
    tau = jnp.where(glycine, TAU_CHORDS[1], jnp.where(proline, TAU_CHORDS[2], TAU_CHORDS[0]))
    turn = jnp.where(cis, TURN_CHORDS[1], jnp.where(to_proline, TURN_CHORDS[2], TURN_CHORDS[0]))
    chords = [
        (n, c, tau),
        (ca, o, ideal.chord(ideal.CA_C, ideal.C_O, ideal.CA_C_O)),
        (n, cb, jnp.where(proline, BETA_CHORDS[1], BETA_CHORDS[0])),
        (c, cb, ideal.chord(ideal.CA_C, ideal.CA_CB, ideal.C_CA_CB)),
    ]
    peptide_chords = [
        (ca, next_n, jnp.where(cis, BEND_CHORDS[1], BEND_CHORDS[0])),
        (o, next_n, jnp.where(cis, OXYGEN_CHORDS[1], OXYGEN_CHORDS[0])),
        (c, next_ca, turn),
    ]
    bonds = [(n, ca, ideal.N_CA), (ca, c, ideal.CA_C), (c, o, ideal.C_O), (ca, cb, ideal.CA_CB)]

    def deviations(pairs: list, width: float) -> Array:
        return jnp.stack([jnp.square((norm(a - b) - rest) / width) for a, b, rest in pairs]).sum(axis=0)

    inner = deviations(bonds, BOND_WIDTH) + deviations(chords, CHORD_WIDTH)
    left = _product(n - ca, c - ca, cb - ca) - BETA_VOLUME
    inner += jnp.square(left / VOLUME_WIDTH)
    joint = deviations([(c, next_n, ideal.C_N)], BOND_WIDTH) + deviations(peptide_chords, CHORD_WIDTH)
    joint += jnp.square(_product(ca - c, o - c, next_n - c) / VOLUME_WIDTH)
    omega = torsion(ca, c, next_n, next_ca)
    joint += 2 * (1 + jnp.where(cis, -1, 1) * jnp.cos(omega)) / OMEGA_WIDTH**2
    return (jnp.where(chain.built, inner, 0).sum() + jnp.where(chain.joined, joint, 0).sum()) / 2


def _product(a: Array, b: Array, c: Array) -> Array:
    return (jnp.cross(a, b) * c).sum(axis=-1)


def contact_energy(atoms: Float[Array, "n 5 3"], chain: Backbone) -> Float[Array, ""]:
    """Overlaps of atoms of residues two or more apart.

    Every pair is met twice, and each time only one of the two moves: that is the gradient of the pair met once, and
    adds nothing up over the partners, which is slow. The axes of space are taken one by one for the same reason.
    """
    others = lax.stop_gradient(atoms)[chain.partners]
    there = ~(chain.glycine[:, None] & (jnp.arange(5) == CB)[None])
    counted = there[:, None, :, None] & (there[chain.partners] & (chain.partners >= 0)[..., None])[:, :, None]
    limits = jnp.where(counted, CONTACTS[None, None], 0)
    squared = sum(jnp.square(atoms[:, None, :, None, x] - others[:, :, None, :, x]) for x in range(3))
    overlap = jnp.square(jnp.maximum(limits - jnp.sqrt(squared + COINCIDENT), 0) / CONTACT_WIDTH).sum() / 2
    return overlap - lax.stop_gradient(overlap / 2)


def contact_partners(calpha: Float[Array, "n 3"], built: Bool[Array, "n"]) -> Int[Array, "n p"]:
    """The nearest built residues two or more apart in sequence; -1 for none."""
    index = jnp.arange(len(calpha))
    apart = (jnp.abs(index[:, None] - index[None]) >= 2) & built[:, None] & built[None]
    squared = jnp.square(calpha[:, None] - calpha[None]).sum(axis=-1)
    nearness, partners = lax.top_k(jnp.where(apart & (squared < PARTNER_REACH**2), -squared, -jnp.inf), PARTNERS)
    return jnp.where(jnp.isfinite(nearness), partners, -1)


def place_beta(atoms: Float[Array, "n 3 3"]) -> Float[Array, "n 3"]:
    """Cβ of L residues from N, Cα and C."""
    n, c = atoms[:, 0] - atoms[:, 1], atoms[:, 2] - atoms[:, 1]
    return atoms[:, 1] + jnp.einsum("w,wnx->nx", ideal.beta_weights(), jnp.stack([n, c, jnp.cross(n, c)]))
