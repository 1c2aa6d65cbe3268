"""Torsions against gemmi, and the table of φ and ψ against what is known of them."""

import gemmi
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax.allatom.ramachandran import (
    GUIDE,
    guiding_table,
    ramachandran_table,
    residue_classes,
    torsion_bin,
    torsion_energy,
    with_unknown,
)
from deepmm_jax.structure.ramachandran import CLASSES
from deepmm_jax.structure.ramachandran import ramachandran_table as shipped_table
from deepmm_jax.structure.torsions import torsion


def energy(residue_class: str, phi: float, psi: float) -> float:
    place = jnp.radians(jnp.array([phi])), jnp.radians(jnp.array([psi]))
    return float(torsion_energy(jnp.array(ramachandran_table()), jnp.array([CLASSES.index(residue_class)]), *place)[0])


def test_torsions_are_those_of_gemmi(rng: np.random.Generator):
    points = rng.normal(size=(20, 4, 3))
    wanted = [gemmi.calculate_dihedral(*(gemmi.Position(*atom) for atom in four)) for four in points]
    np.testing.assert_allclose(torsion(*np.moveaxis(points, 1, 0)), wanted, atol=1e-6)
    in_jax = torsion(*jnp.moveaxis(jnp.array(points), 1, 0))
    np.testing.assert_allclose(in_jax, wanted, atol=1e-4)


def test_torsions_of_atoms_in_one_place_have_no_slope():
    slope = jax.grad(lambda points: torsion(*points).sum())(jnp.zeros((4, 1, 3)))
    assert np.isfinite(slope).all()


def test_classes_are_those_of_the_residue_and_the_next():
    names = [CLASSES[c] for c in residue_classes("APPGPAVG")]
    pre = "pre-proline"
    assert names == [pre, "proline", "proline", "glycine", "proline", "general", "isoleucine or valine", "glycine"]


def test_the_table_is_a_density():
    density = np.exp(-ramachandran_table().astype(float))
    np.testing.assert_allclose(density.mean(axis=(1, 2)), 1, atol=5e-3)


@pytest.mark.parametrize("residue_class", ["general", "proline"])
def test_right_handed_helices_are_likely(residue_class: str):
    assert energy(residue_class, -63, -42) < -3
    assert energy(residue_class, -63, -42) < energy(residue_class, 63, 42) - 3


def test_what_is_known_of_the_classes():
    assert energy("general", -120, 130) < -1
    assert energy("glycine", 85, 10) < -1
    assert energy("glycine", 85, 10) < energy("general", 85, 10)
    assert energy("pre-proline", -63, -42) > energy("general", -63, -42) + 1
    assert energy("proline", -120, 130) > energy("proline", -65, 140) + 3
    for place in ((0, 0), (100, -130), (0, 120)):
        assert energy("general", *place) > 2


def test_the_energy_is_near_the_bins_and_periodic():
    table = ramachandran_table()
    size = table.shape[-1]
    centre = (10 / size - 0.5) * 360
    assert energy("general", centre, centre) == pytest.approx(float(table[0, 10, 10]), abs=0.5)
    assert energy("general", 179.999, -60) == pytest.approx(energy("general", -179.999, -60), abs=1e-3)
    angles = jnp.array([-np.pi, np.pi - 1e-4, 0.0])
    assert torsion_bin(angles, size).tolist() == [0, 0, size // 2]


def test_outliers_are_led_back_to_what_is_favoured():
    shipped, table, guiding = shipped_table(), ramachandran_table(), guiding_table()
    size = table.shape[-1]
    for kind in range(len(CLASSES)):
        favoured = shipped.log_density[kind] >= shipped.favoured[kind]
        np.testing.assert_array_equal(guiding[kind][favoured], table[kind][favoured])
        # By hand: the nearest favoured node, around the torus.
        nodes = np.argwhere(favoured)
        for node in np.argwhere(~favoured)[::97]:
            apart = np.abs(nodes - node)
            apart = np.minimum(apart, size - apart)
            degrees = np.sqrt((apart**2).sum(axis=1)).min() * 360 / size
            added = guiding[kind][tuple(node)] - table[kind][tuple(node)]
            np.testing.assert_allclose(added, GUIDE * degrees, rtol=1e-4)


def test_an_unknown_angle_leaves_the_density_of_the_other():
    table = ramachandran_table()
    unknown = np.exp(-with_unknown(table).astype(float))
    np.testing.assert_allclose(unknown[:, :-1, -1], np.exp(-table.astype(float)).mean(axis=2), rtol=1e-4)
    np.testing.assert_allclose(unknown[:, -1, -1], 1, atol=2e-3)
