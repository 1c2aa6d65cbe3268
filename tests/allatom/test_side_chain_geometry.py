"""Atoms from χ: Engh & Huber's bonds and angles, true chains come back, hands and slopes are right."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax.allatom.relaxation import place_beta
from deepmm_jax.allatom.side_chain_geometry import FAR, FIRST, place_atoms, torques
from deepmm_jax.allatom.values import ATOMS, CB
from deepmm_jax.constants import AMINO_ACIDS
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.engh_huber import ANGLES, BONDS
from deepmm_jax.structure.residue_atoms import LETTERS, residue_atoms, side_chain_torsions
from reference import allatom_oracle


KINDS = jnp.arange(len(LETTERS))


@pytest.fixture
def chi(rng: np.random.Generator) -> jax.Array:
    return jnp.array(rng.uniform(-np.pi, np.pi, (len(LETTERS), 4)).astype(np.float32))


@pytest.fixture
def backbone() -> jax.Array:
    n, ca, c, o = jnp.array(allatom_oracle.build_backbone([0.0, -60.0, 0.0], [0.0, -40.0, 0.0])[1], jnp.float32)
    residue = jnp.stack([n, ca, c, o, place_beta(jnp.stack([n, ca, c])[None])[0]])
    return jnp.broadcast_to(residue[None], (len(LETTERS), 5, 3))


def test_bonds_and_angles_are_ideal(backbone: jax.Array, chi: jax.Array):
    atoms = np.asarray(place_atoms(backbone, KINDS, chi)).astype(float)
    for row, letter in zip(atoms, AMINO_ACIDS):
        place = {name: row[k] for k, name in enumerate(ATOMS[letter])}
        beyond = set(ATOMS[letter][FIRST:])
        for bond in BONDS[letter]:
            # Rings are not closed by construction, but their angles nearly close them; proline's is left to χ.
            if beyond & set(bond.atoms) and set(bond.atoms) != {"CD", "N"}:
                length = np.linalg.norm(place[bond.atoms[0]] - place[bond.atoms[1]])
                assert length == pytest.approx(bond.mean, abs=0.03), (letter, bond.atoms)
        for angle in ANGLES[letter]:
            if beyond & set(angle.atoms) and "N" not in angle.atoms:
                one, other = (place[angle.atoms[k]] - place[angle.atoms[1]] for k in (0, 2))
                cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
                assert np.degrees(np.arccos(cosine)) == pytest.approx(angle.mean, abs=2.5), (letter, angle.atoms)


def test_true_side_chains_come_back_from_their_torsions(kinase: Chain):
    residues = residue_atoms([kinase])
    true = np.full((len(kinase), 14, 3), np.nan)
    for r, letter in enumerate(kinase.sequence):
        for place, name in enumerate(ATOMS[letter]):
            true[r, place] = residues.atom(name)[r]
    chi = np.nan_to_num(np.radians(side_chain_torsions(residues)))
    placed = place_atoms(
        jnp.array(np.nan_to_num(true[:, :5]), jnp.float32), jnp.array(residues.letters), jnp.array(chi, jnp.float32)
    )
    off = np.linalg.norm(np.asarray(placed) - true, axis=-1)
    arginine = residues.letters == LETTERS.index("R")
    off[arginine, ATOMS["R"].index("NH1") :] = np.nan  # named either way round
    assert np.sqrt(np.nanmean(off[:, FIRST:] ** 2)) < 0.3
    for letter, name in (("I", "CG2"), ("T", "CG2"), ("V", "CG2"), ("L", "CD2")):
        assert np.nanmax(off[residues.letters == LETTERS.index(letter), ATOMS[letter].index(name)]) < 1.0


def test_torques_are_slopes_by_torsions(backbone: jax.Array, chi: jax.Array, rng: np.random.Generator):
    pull = jnp.array(rng.normal(size=(len(LETTERS), 14, 3)).astype(np.float32))
    pull = pull * jnp.array([[k < len(ATOMS[a]) for k in range(14)] for a in LETTERS])[..., None]
    wanted = jax.grad(lambda chi: (place_atoms(backbone, KINDS, chi) * pull).sum())(chi)
    slopes = torques(place_atoms(backbone, KINDS, chi), pull, KINDS)
    np.testing.assert_allclose(slopes, wanted, atol=2e-4)


def test_atoms_more_than_three_bonds_from_the_main_chain():
    lysine, tryptophan = (FAR[LETTERS.index(letter)] for letter in "KW")
    names = ATOMS["K"]
    assert not lysine[names.index("CG") - FIRST, [0, 1, 2, CB]].any()
    assert lysine[names.index("CG") - FIRST, names.index("O")]
    assert lysine[names.index("NZ") - FIRST].all()
    assert tryptophan[-1].all()
    assert not FAR[LETTERS.index("P")][:, 0].any()
    assert not FAR[LETTERS.index("X")].any()
