"""Atoms of the experimental simulator: electron scattering against gemmi, B factors, carboxylates, neighbours."""

import dataclasses

import gemmi
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from deepmm_jax.density.experimental.atoms import (
    BFactors,
    Carboxylates,
    atom_density,
    b_factors,
    exposure,
    least_b,
    scattering_terms,
    scattering_weights,
    wilson_b,
    wilson_power,
)
from deepmm_jax.density.experimental.molecule import Molecule, place_beside
from deepmm_jax.errors import MapError
from reference.molecules import random_coil, single_atoms


@pytest.fixture(scope="module")
def molecule() -> Molecule:
    return random_coil(120, np.random.default_rng(1))


@pytest.mark.parametrize("element", ["C", "N", "O", "S", "P", "Zn"])
def test_two_gaussians_stand_for_the_table(element: str):
    e = gemmi.Element(element)
    s = np.linspace(0, 0.5, 41)
    ours = sum(a * np.exp(-b * s**2 / 4) for a, b in scattering_terms(e.atomic_number))
    theirs = np.array([e.c4322.calculate_sf(x**2 / 4) for x in s])
    np.testing.assert_allclose(ours, theirs, atol=0.01 * theirs[0])


def test_density_is_that_of_gemmi(rng: np.random.Generator):
    n, side = 12, 32
    atoms = single_atoms(rng.uniform(10, 22, (n, 3)), rng.choice([6, 7, 8, 16], n))
    b = rng.uniform(60, 140, n).astype(np.float32)
    density = atom_density(atoms, np.ones(n, np.float32), b, (side, side, side))
    model, chain, residue = gemmi.Model(1), gemmi.Chain("A"), gemmi.Residue()
    for position, number, b_iso in zip(atoms.positions, atoms.atomic_numbers, b, strict=True):
        atom = gemmi.Atom()
        atom.pos, atom.element, atom.b_iso, atom.occ = (
            gemmi.Position(*map(float, position)),
            gemmi.Element(int(number)),
            float(b_iso),
            1.0,
        )
        residue.add_atom(atom)
    chain.add_residue(residue)
    model.add_chain(chain)
    calculator = gemmi.DensityCalculatorE()
    calculator.d_min, calculator.cutoff = 2.0, 1e-6
    calculator.grid.set_unit_cell(gemmi.UnitCell(side, side, side, 90, 90, 90))
    calculator.grid.set_size(side, side, side)
    calculator.add_model_density_to_grid(model)
    expected = np.array(calculator.grid.array)
    np.testing.assert_allclose(density, expected, atol=0.01 * expected.max())
    assert np.corrcoef(density.ravel(), expected.ravel())[0, 1] > 0.9999


def test_aliases_stay_small():
    # One atom at two places half a voxel apart: the amplitude along an axis differs by the aliases.
    for resolution in (2.3, 3.0, 5.0):
        b = np.array([least_b(resolution)], np.float32)
        amplitudes = []
        for shift in (0.0, 0.5):
            single = single_atoms(np.full((1, 3), 24 + shift), np.array([6]))
            density = atom_density(single, np.ones(1, np.float32), b, (48, 48, 48))
            amplitudes.append(np.abs(np.fft.fft(density.sum(axis=(1, 2))))[round(48 / resolution)])
        assert amplitudes[0] == pytest.approx(amplitudes[1], rel=0.09)


def test_wilson_power_is_that_of_scattered_atoms(rng: np.random.Generator):
    n, side = 400, 40
    atoms = single_atoms(rng.uniform(0, side, (n, 3)), rng.choice([6, 7, 8], n))
    b, weights = rng.uniform(60, 90, n).astype(np.float32), rng.uniform(0.5, 1, n).astype(np.float32)
    # Seen through a periodic box, or the faces would add power.
    images = np.concatenate([atoms.positions + side * np.array(step) for step in np.ndindex(3, 3, 3)]) - side
    periodic = single_atoms(images, np.tile(atoms.atomic_numbers, 27))
    density = atom_density(periodic, np.tile(weights, 27), np.tile(b, 27), (side, side, side))
    power = np.abs(np.fft.fftn(density)) ** 2 / n
    s = np.linalg.norm(np.stack(np.meshgrid(*[np.fft.fftfreq(side)] * 3, indexing="ij")), axis=0)
    for low in (0.1, 0.2, 0.3):
        shell = (s >= low) & (s < low + 0.05)
        expected = wilson_power(atoms, weights, b, s[shell]).mean()
        assert power[shell].mean() == pytest.approx(expected, rel=0.12)


def test_one_b_has_the_power_of_many(molecule: Molecule, rng: np.random.Generator):
    b, ones = rng.uniform(40, 400, len(molecule.depth)).astype(np.float32), np.ones(len(molecule.depth), np.float32)
    carbon = dataclasses.replace(molecule, atomic_numbers=np.full(len(ones), 6))
    at = np.array([1 / 3.0])
    one = wilson_power(carbon, ones, np.float32(wilson_b(b, 3.0)) * ones, at)
    np.testing.assert_allclose(one, wilson_power(carbon, ones, b, at), rtol=1e-3)
    assert 40 < wilson_b(b, 3.0) < np.median(b)


def test_without_spread_all_b_factors_are_the_level(molecule: Molecule, rng: np.random.Generator):
    b = b_factors(molecule, BFactors(level=7.0), 3.0, rng)
    np.testing.assert_allclose(b, 63.0)


def test_b_factors_grow_along_side_chains(molecule: Molecule, rng: np.random.Generator):
    b = b_factors(molecule, BFactors(level=8.0, side_chain=0.2), 4.0, rng)
    np.testing.assert_allclose(b, 128 * (1 + 0.2 * molecule.depth), rtol=1e-5)


def test_b_factors_are_higher_at_the_surface(molecule: Molecule, rng: np.random.Generator):
    log_b = np.log(b_factors(molecule, BFactors(surface=0.3), 3.0, rng) / 72)
    crowd = (cdist(molecule.calpha, molecule.calpha) <= 10).sum(axis=1)
    outside = exposure(molecule.calpha.astype(float))
    assert np.corrcoef(crowd, outside)[0, 1] == pytest.approx(-1)
    assert outside.mean() == pytest.approx(0, abs=1e-9) and outside.std() == pytest.approx(1)
    np.testing.assert_allclose(log_b, np.clip(0.3 * outside, *np.log([1 / 3, 4]))[molecule.residue_of_atom], atol=1e-4)


def test_patches_are_smooth_and_as_strong_as_they_say(molecule: Molecule):
    spread = BFactors(patches=0.3, patch_length=25.0)
    fields = np.array([np.log(b_factors(molecule, spread, 3.0, np.random.default_rng(k)) / 72) for k in range(150)])
    assert fields.std(axis=0).mean() == pytest.approx(0.3, rel=0.1)
    distances = cdist(molecule.positions, molecule.positions)
    near, far = np.argwhere((distances > 0) & (distances < 2))[:200], np.argwhere(distances > 22)[:200]
    assert near.size and far.size
    together, apart = (np.mean([np.corrcoef(fields[:, i], fields[:, j])[0, 1] for i, j in p]) for p in (near, far))
    assert together > 0.85 and apart < 0.4


def test_ramp_ends_and_weak_loops(molecule: Molecule, rng: np.random.Generator):
    ramp = np.log(b_factors(molecule, BFactors(ramp=0.8), 3.0, rng) / 72)
    assert np.ptp(ramp) == pytest.approx(0.8, abs=1e-3)
    ends = np.log(b_factors(molecule, BFactors(ends=0.9), 3.0, rng) / 72)
    last = len(molecule.calpha) - 1
    for residue in (0, last):
        np.testing.assert_allclose(ends[molecule.residue_of_atom == residue], 0.9, atol=1e-4)
    np.testing.assert_allclose(
        ends[(molecule.residue_of_atom >= 5) & (molecule.residue_of_atom <= last - 5)], 0, atol=1e-4
    )
    shares = [
        (np.log(b_factors(molecule, BFactors(weak=0.8, weak_share=0.1), 3.0, rng) / 72) > 1e-3).mean()
        for _ in range(60)
    ]
    assert np.mean(shares) == pytest.approx(0.1, abs=0.04)


def test_only_carboxylates_are_weakened(molecule: Molecule, rng: np.random.Generator):
    weights = scattering_weights(molecule, Carboxylates(weight=0.4), rng)
    np.testing.assert_allclose(weights[~molecule.acidic], 1)
    np.testing.assert_allclose(weights[molecule.acidic], 0.4)
    scattered = scattering_weights(molecule, Carboxylates(weight=0.5, scatter=0.2), rng)[molecule.acidic]
    assert scattered.std() > 0.1 and scattered.min() >= -1 and scattered.max() <= 1
    assert (scattering_weights(molecule, Carboxylates(), rng) == 1).all()


@pytest.mark.parametrize("contact", [4.5, 8.0])
def test_neighbours_touch_and_keep_their_shape(molecule: Molecule, rng: np.random.Generator, contact: float):
    other = random_coil(60, rng)
    placed = place_beside(molecule, other, rng, contact)
    assert cdist(molecule.calpha, placed.calpha).min() == pytest.approx(contact, abs=0.11)
    np.testing.assert_allclose(cdist(placed.calpha, placed.calpha), cdist(other.calpha, other.calpha), atol=1e-3)
    triple = np.linalg.det(np.diff(placed.calpha, axis=0)[:3]), np.linalg.det(np.diff(other.calpha, axis=0)[:3])
    assert triple[0] == pytest.approx(triple[1], rel=1e-3)
    np.testing.assert_allclose(
        np.linalg.norm(placed.positions - placed.calpha[placed.residue_of_atom], axis=1),
        np.linalg.norm(other.positions - other.calpha[other.residue_of_atom], axis=1),
        atol=1e-3,
    )


def test_a_chain_that_fits_through_a_ring_is_placed_all_the_same(rng: np.random.Generator):
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    around = 40 * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1).astype(np.float32)
    ring, small = single_atoms(around, np.full(60, 6)), random_coil(8, rng)
    for _ in range(60):
        placed = place_beside(ring, small, rng, 5.0)
        gap = np.linalg.norm(placed.calpha[:, None] - around, axis=-1).min()
        assert gap == pytest.approx(5.0, abs=0.11)


def test_a_resolution_beyond_the_grid_is_refused():
    with pytest.raises(MapError, match=r"a map of 1\.8 Å cannot be simulated on a 1 Å grid; ask for 2\.1 Å or more"):
        least_b(1.8)
