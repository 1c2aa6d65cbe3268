"""Contacts, disulfides and the map against plain NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from deepmm_jax.allatom import side_chain_costs
from deepmm_jax.allatom.contacts import ATOM_KINDS, KINDS, NEAREST, NOTHING, contact_costs
from deepmm_jax.allatom.packing import IMPOSSIBLE
from deepmm_jax.allatom.side_chain_costs import DISULFIDE_WIDTH, STATES, WIDTH, Rotamers, Scene, rotamer_pairs
from deepmm_jax.allatom.side_chain_geometry import FIRST
from deepmm_jax.allatom.splined_map import map_values, splined_map, standardised
from deepmm_jax.density.map import DensityMap
from deepmm_jax.structure.residue_atoms import LETTERS
from reference import side_chain_oracle


def test_contacts_are_those_of_the_oracle(rng: np.random.Generator):
    apart = rng.uniform(1, 5, 200)
    one, other = rng.integers(0, NOTHING + 1, (2, 200))
    costs = contact_costs(jnp.array(apart, jnp.float32), jnp.array(one), jnp.array(other), 0.3)
    wanted = [side_chain_oracle.pair_cost(*row, 0.3) for row in zip(apart, one, other)]
    np.testing.assert_allclose(costs, wanted, atol=1e-3)
    assert (NEAREST == NEAREST.T).all()


def test_kinds_of_atoms():
    def kinds(letter: str) -> str:
        return "".join((*KINDS, "-")[k] for k in ATOM_KINDS[LETTERS.index(letter)])

    assert kinds("G") == "DCFA" + "-" * 10
    assert kinds("H") == "DCFACFBFFB" + "-" * 4
    assert kinds("P") == "FCFACCC" + "-" * 7
    assert kinds("C") == "DCFACG" + "-" * 8
    assert kinds("R") == "DCFACCCDFDD" + "-" * 3


@pytest.mark.parametrize("letters", ["CC", "KE", "WY", "CM"])
def test_pairs_of_rotamers_are_those_of_the_oracle(letters: str, rng: np.random.Generator):
    n = 8
    types = np.full(n, LETTERS.index("G"))
    types[[2, 5]] = [LETTERS.index(letter) for letter in letters]
    backbone = rng.normal(scale=30, size=(n, 5, 3)).astype(np.float32)
    backbone[5] = backbone[2] + [4.0, 0, 0] + rng.normal(scale=0.3, size=(5, 3))
    atoms = np.zeros((n, STATES, 9, 3), np.float32)
    atoms[[2, 5]] = backbone[[2, 5], None, 4:] + rng.normal(scale=1.5, size=(2, STATES, 9, 3))
    costs = np.full((n, STATES), IMPOSSIBLE, np.float32)
    costs[:, 0] = 0
    costs[[2, 5]] = 0
    scene = Scene(jnp.array(backbone), jnp.array(types), jnp.array(ATOM_KINDS[types]))
    rotamers = Rotamers(jnp.array(costs), jnp.zeros((n, STATES), jnp.int32), jnp.array(atoms))
    edges, found = rotamer_pairs(scene, rotamers)
    assert edges[0].tolist() == [2, 5]
    assert not np.any(edges[1:])
    assert not np.any(found[1:])
    whole = [np.concatenate([np.broadcast_to(backbone[r], (STATES, 5, 3)), atoms[r]], axis=1) for r in (2, 5)]
    for r in range(0, STATES, 5):
        for s in range(0, STATES, 5):
            wanted = side_chain_oracle.side_chain_cost(letters, whole[0][r], whole[1][s], WIDTH, DISULFIDE_WIDTH)
            assert float(found[0, r, s]) == pytest.approx(wanted, abs=2e-3, rel=1e-4)


def test_the_map_is_its_spline_wherever_it_lies(rng: np.random.Generator):
    data = rng.normal(size=(20, 24, 18)).astype(np.float32)
    density = DensityMap(data=data, step=np.array([0.9, 1.1, 1.3]), origin=np.array([-7.0, 3, 12]))
    places = density.to_xyz(rng.uniform(7, 10, (50, 3))).astype(np.float32)
    spline = splined_map(density, places, 5.0)
    wanted = map_coordinates(data, density.to_grid(places).T, order=3)
    np.testing.assert_allclose(map_values(spline, jnp.array(places)), wanted, atol=2e-3)

    counted = jnp.array(rng.random(50) < 0.5)
    values = np.asarray(map_values(standardised(spline, jnp.array(places), counted), jnp.array(places)))
    assert values[counted].mean() == pytest.approx(0, abs=1e-3)
    assert values[counted].std() == pytest.approx(1, abs=1e-3)


def test_acids_are_weak_and_sulphurs_strong():
    weights = side_chain_costs.MAP_WEIGHTS
    aspartate, asparagine, cysteine = (weights[LETTERS.index(letter)] for letter in "DNC")
    assert aspartate[1] < asparagine[1] < cysteine[0]
    assert not weights[LETTERS.index("A")].any()
    assert weights.shape[1] == ATOM_KINDS.shape[1] - FIRST
