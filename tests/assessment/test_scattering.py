"""Density of a model: the analytic sum over atoms where the resolution does not cut, the Fourier sum where it does."""

import gemmi
import numpy as np
import pytest

from deepmm_jax.assessment.scattering import scattering


POSITIONS = np.array([[0.3, 0.1, 0.7], [2.2, 1.4, -0.6], [-1.7, 3.05, 1.9], [4.0, -2.2, 0.5]])
NUMBERS = np.array([6, 7, 8, 16], np.float32)


def in_box(atoms, step: np.ndarray) -> np.ndarray:
    """Position of every voxel of the box, Å."""
    return (atoms.corner + np.stack(np.meshgrid(*map(np.arange, atoms.shape), indexing="ij"), axis=-1)) * step


@pytest.mark.parametrize("step", [(1.0, 1.0, 1.0), (0.8, 1.0, 1.1)])
def test_blurred_atoms_are_sums_of_gaussians(step):
    """At B = 250 Å² nothing is left beyond 2.5 Å, so the synthesis is the density itself."""
    step = np.array(step)
    atoms = scattering(POSITIONS / step, NUMBERS, step, 2.5)
    expected = np.zeros(atoms.shape)
    for position, number in zip(POSITIONS, NUMBERS):
        squared = np.square(in_box(atoms, step) - position).sum(axis=-1)
        factor = gemmi.Element(int(number)).c4322
        for a, b in zip(factor.a, factor.b):
            expected += a * (4 * np.pi / (b + 250)) ** 1.5 * np.exp(-4 * np.pi**2 * squared / (b + 250))
    np.testing.assert_allclose(np.asarray(atoms.at(250.0)), expected, atol=2e-3 * expected.max())


@pytest.mark.parametrize(("step", "resolution"), [(1.0, 3.0), (1.4, 3.0), (0.6, 2.0)])
def test_coefficients_are_structure_factors(step, resolution):
    steps = np.full(3, step)
    atoms = scattering(POSITIONS / step, NUMBERS, steps, resolution)
    counts = [np.round(np.fft.fftfreq(n, 1 / n)) for n in atoms.shape[:2]] + [np.arange(atoms.shape[2] // 2 + 1)]
    waves = np.stack(np.meshgrid(*counts, indexing="ij"), axis=-1) / np.array(atoms.shape) / step
    s2 = np.square(waves).sum(axis=-1)
    expected = np.zeros(s2.shape, complex)
    for position, number in zip(POSITIONS, NUMBERS):
        factor = gemmi.Element(int(number)).c4322
        f = sum(a * np.exp(-b * s2 / 4) for a, b in zip(factor.a, factor.b))
        expected += f * np.exp(-2j * np.pi * waves @ (position - atoms.corner * step))
    expected[s2 > resolution**-2] = 0
    np.testing.assert_allclose(atoms.coefficients * step**3, expected, atol=2e-3 * np.abs(expected).max())


def test_the_box_lies_on_the_lattice_of_the_map():
    atoms = scattering(POSITIONS + 5.0, NUMBERS, np.ones(3), 3.0)
    in_map, in_box_ = atoms.overlap((12, 12, 8))
    for axis in range(3):
        assert in_map[axis].start - in_box_[axis].start == atoms.corner[axis]
        assert in_map[axis].stop - in_map[axis].start == in_box_[axis].stop - in_box_[axis].start
    assert [part.start for part in in_map] == [0, 0, 0] and [part.stop for part in in_map] == [12, 12, 8]
