"""Peptide planes: their geometry, and the best choice against one that looks at every pair of states."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax.allatom.ideal_geometry import beta_weights, chord, peptide_plane
from deepmm_jax.allatom.peptide_planes import (
    STATES,
    TURNS,
    Choices,
    best_states,
    even_directions,
    joined_residues,
    peptide_choices,
)
from deepmm_jax.allatom.ramachandran import ramachandran_table, residue_classes, with_unknown
from deepmm_jax.allatom.surroundings import Surroundings, atom_costs, surroundings_of
from deepmm_jax.density.map import DensityMap
from reference import allatom_oracle


SEQUENCE = "AGPSPVK"
CALPHA = allatom_oracle.build_backbone([-60, -65, -60, 80, -70, -120, -60], [-40, -40, 140, 10, 150, 130, 0])[:, 1]


@pytest.fixture(scope="module")
def choices() -> tuple[np.ndarray, Choices]:
    built = np.ones(len(SEQUENCE), bool)
    around = surroundings_of(CALPHA[None].astype(np.float32), built[None], None, None, 1.0, 1.0)
    joined = np.array([True, True, True, False, True, True, False])
    proline = np.array([letter == "P" for letter in SEQUENCE[1:] + "X"])
    here = Surroundings(around.corner[0], around.step, around.cost[0])
    found = jax.jit(peptide_choices)(jnp.array(CALPHA, jnp.float32), jnp.array(joined), jnp.array(proline), here)
    return joined, Choices(*map(np.asarray, found))


@pytest.mark.parametrize("cis, length", [(False, 3.807), (True, 2.956)])
def test_planes_have_the_distances_of_real_chains(cis: bool, length: float):
    (carbon, oxygen, nitrogen), calpha = peptide_plane(cis=cis)
    assert calpha == pytest.approx(length, abs=0.05)  # medians of training chains
    assert np.linalg.norm(carbon) == pytest.approx(1.525)
    assert np.linalg.norm(oxygen - carbon) == pytest.approx(1.229)
    assert np.linalg.norm(nitrogen - carbon) == pytest.approx(1.336)
    assert np.linalg.norm(nitrogen - [calpha, 0]) == pytest.approx(1.459)
    assert np.linalg.norm(oxygen) == pytest.approx(chord(1.525, 1.229, 120.1))


def test_beta_has_its_bonds_and_angles_and_the_hand_of_l():
    n, c = np.array([1.459, 0, 0]), 1.525 * np.array([np.cos(np.radians(111)), np.sin(np.radians(111)), 0])
    beta = beta_weights() @ np.stack([n, c, np.cross(n, c)])
    assert np.linalg.norm(beta) == pytest.approx(1.535)
    assert np.linalg.norm(beta - n) == pytest.approx(chord(1.459, 1.535, 110.6))
    assert np.linalg.norm(beta - c) == pytest.approx(chord(1.525, 1.535, 110.4))
    assert np.cross(n, c) @ beta > 0  # "CORN": seen from H, CO, R and N are clockwise


def test_trans_planes_have_their_bonds_and_differ_in_their_turn(choices: tuple[np.ndarray, Choices]):
    joined, found = choices
    at = np.flatnonzero(joined)
    trans = slice(0, TURNS)
    np.testing.assert_allclose(np.linalg.norm(found.carbon[at, trans] - CALPHA[at, None], axis=-1), 1.525, atol=0.01)
    to_next = found.after[at, trans] - CALPHA[at + 1, None]
    np.testing.assert_allclose(np.linalg.norm(to_next, axis=-1), 1.459, atol=0.01)
    np.testing.assert_allclose(found.nitrogen[at + 1], found.after[at])
    np.testing.assert_allclose(found.before[at + 1], found.carbon[at])
    turned = np.linalg.norm(found.oxygen[at, 0] - found.oxygen[at, TURNS // 2], axis=-1)
    assert (turned > 3).all()


def test_cis_costs_much_but_before_proline(choices: tuple[np.ndarray, Choices]):
    _, found = choices
    assert (found.cost[0, TURNS:] > 1e5).all()
    assert (found.cost[1, TURNS:] < 30).all()
    np.testing.assert_allclose(found.cost[:3, :TURNS], 0, atol=0.1)


def test_the_ends_of_a_piece_look_everywhere(choices: tuple[np.ndarray, Choices]):
    _, found = choices
    np.testing.assert_allclose(found.nitrogen[0] - CALPHA[:1], 1.459 * even_directions(STATES), atol=1e-5)
    np.testing.assert_allclose(found.carbon[3] - CALPHA[3:4], 1.525 * even_directions(STATES), atol=1e-5)
    np.testing.assert_allclose(even_directions(STATES).mean(axis=0), 0, atol=0.02)


def test_the_best_states_are_those_of_the_oracle(choices: tuple[np.ndarray, Choices], rng: np.random.Generator):
    joined, found = choices
    seen = rng.gamma(1.0, 2.0, (2, *found.cost.shape)).astype(np.float32)
    start = np.where(np.roll(joined, 1)[:, None], 0, seen[0])
    found = found._replace(cost=found.cost + seen[1], start=start)
    classes, tables = residue_classes(SEQUENCE), with_unknown(ramachandran_table())
    calpha = CALPHA.astype(np.float32)
    wanted = allatom_oracle.best_states(calpha, joined, found, classes, tables)
    arrays = Choices(*map(jnp.asarray, found))
    into, out, total = jax.jit(best_states)(
        jnp.array(calpha), jnp.array(joined), arrays, jnp.array(classes), jnp.array(tables)
    )
    assert float(total) == pytest.approx(wanted[2], rel=1e-4)
    np.testing.assert_array_equal(into, wanted[0])
    np.testing.assert_array_equal(out, wanted[1])


def test_neither_gaps_nor_leaps_are_joined():
    calpha = np.cumsum(np.full((6, 3), 2.2), axis=0).astype(np.float32)
    calpha[4:] += 5
    built = np.array([True, True, False, True, True, True])
    joined = joined_residues(jnp.array(calpha), jnp.array(built), 5.5)
    assert joined.tolist() == [True, False, False, False, True, False]


def test_costs_of_a_map_are_those_of_the_places(rng: np.random.Generator):
    ijk = np.moveaxis(np.indices((20, 20, 20)), 0, -1)
    slope = np.array([0.3, -0.2, 0.1])
    density = DensityMap(data=(ijk @ slope).astype(np.float32), step=np.ones(3), origin=np.array([-3.0, 2, 5]))
    calpha = density.to_xyz(np.array([[[9.3, 10.2, 9.8], [8.1, 9.9, 10.4]]])).astype(np.float32)
    around = surroundings_of(calpha, np.ones((1, 2), bool), None, density, 1.0, 1.0)
    place = calpha[0, :, None] + rng.uniform(-2, 2, (2, 5, 3)).astype(np.float32)
    here = Surroundings(around.corner[0], around.step, around.cost[0])
    costs = np.asarray(atom_costs(here, jnp.array(place), np.arange(5)))
    wanted = -density.to_grid(place.reshape(-1, 3)) @ slope
    # A straight slope is its own spline; costs are in standard deviations of the density.
    scale = np.polyfit(wanted, costs.ravel(), 1)[0]
    np.testing.assert_allclose(costs.ravel(), scale * wanted, atol=0.02)
    assert scale > 0
