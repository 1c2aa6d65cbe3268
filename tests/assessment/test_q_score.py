"""Q-scores: of ideal atoms, of noise, beside a plain twin, and what must not matter."""

from dataclasses import replace

import numpy as np
import pytest

from deepmm_jax.assessment.q_score import DIRECTIONS, POINTS, RADII, SIGMA, mean_q_score, q_scores
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.structure.chain import Chain


STEP = 0.5


def gaussians(positions: np.ndarray, sigma: float = SIGMA) -> DensityMap:
    """A map of atoms, each a Gaussian; its values are exact at the voxels."""
    origin = positions.min(0) - 4.0
    shape = np.ceil((positions.max(0) + 4.0 - origin) / STEP).astype(int) + 1
    xyz = origin + STEP * np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    data = sum(np.exp(-0.5 * np.square(xyz - atom).sum(-1) / sigma**2) for atom in positions)
    return DensityMap(data=np.asarray(data, np.float32), step=np.full(3, STEP), origin=origin)


def test_an_atom_that_is_the_gaussian_has_score_one():
    alone = np.zeros((1, 3))
    assert q_scores(gaussians(alone), alone) == pytest.approx([1.0], abs=0.01)
    far_apart = np.array([[0.0, 0, 0], [5.0, 0, 0], [0, 6.0, 0]])
    assert q_scores(gaussians(far_apart), far_apart) == pytest.approx(np.ones(3), abs=0.01)


def test_scale_and_level_of_the_map_do_not_matter(rng):
    atoms = rng.uniform(0, 8, (12, 3))
    density = gaussians(atoms)
    scores = q_scores(density, atoms)
    scaled = density.with_data(7.0 * density.data)
    np.testing.assert_allclose(q_scores(scaled, atoms), scores, atol=1e-5)
    # A level is lost beyond the box alone, and all points lie inside.
    np.testing.assert_allclose(q_scores(density.with_data(density.data + 3.0), atoms), scores, atol=1e-4)


def test_blurred_atoms_score_less_and_holes_below_zero():
    atom = np.zeros((1, 3))
    scores = [float(q_scores(gaussians(atom, sigma), atom)[0]) for sigma in (0.6, 1.0, 1.6)]
    assert scores[0] > scores[1] > scores[2] > 0
    hole = gaussians(atom)
    assert q_scores(hole.with_data(-hole.data), atom)[0] == pytest.approx(-scores[0], abs=1e-5)


def test_noise_and_emptiness_score_zero(rng):
    atoms = rng.uniform(4, 26, (200, 3))
    noise = DensityMap(data=rng.normal(size=(60, 60, 60)).astype(np.float32), step=np.full(3, STEP), origin=np.zeros(3))
    assert abs(q_scores(noise, atoms).mean()) < 0.1
    np.testing.assert_array_equal(q_scores(noise.with_data(np.zeros_like(noise.data)), atoms), 0.0)


def test_atoms_outside_have_none(kinase: Chain):
    density = gaussians(np.zeros((1, 3)))
    scores = q_scores(density, np.array([[0.0, 0, 0], [90.0, 0, 0]]))
    assert scores[0] > 0.9 and np.isnan(scores[1])
    assert np.isnan(mean_q_score(replace(density, origin=density.origin + 200.0), [kinase]))


def test_the_score_falls_with_resolution(kinase: Chain):
    """As published for maps from 1 to 5 Å, by and large."""
    finer, coarser = (
        mean_q_score(simulate_map(kinase.positions, kinase.atomic_numbers, resolution), [kinase])
        for resolution in (2.0, 4.0)
    )
    assert finer > coarser + 0.05 > 0.5


def test_agrees_with_a_plain_twin(rng):
    """Points by loops, nearest atoms by all distances, correlation by NumPy's."""
    atoms = rng.uniform(0, 6, (10, 3))
    density = gaussians(atoms)

    def value(point: np.ndarray) -> float:
        grid = (point - density.origin) / density.step
        low = np.floor(grid).astype(int)
        return sum(
            float(density.data[tuple(low + corner)]) * float(np.prod(np.where(corner, grid - low, 1 - grid + low)))
            for corner in np.ndindex(2, 2, 2)
        )

    k = np.arange(DIRECTIONS) + 0.5
    z, turn = 1 - 2 * k / DIRECTIONS, np.pi * (1 + 5**0.5) * k
    sphere = np.stack([np.sqrt(1 - z**2) * np.cos(turn), np.sqrt(1 - z**2) * np.sin(turn), z], 1)
    for a, score in enumerate(q_scores(density, atoms)):
        seen, ideal = [value(atoms[a])] * POINTS, [1.0] * POINTS
        for radius in RADII[1:]:
            around = atoms[a] + radius * sphere
            own = [p for p in around if np.argmin(np.square(atoms - p).sum(1)) == a]
            count = len(own)
            kept = [p for j, p in enumerate(own) if count <= POINTS or (j + 1) * POINTS // count > j * POINTS // count]
            assert len(kept) == min(count, POINTS)
            seen += [value(p) for p in kept]
            ideal += [float(np.exp(-0.5 * (radius / SIGMA) ** 2))] * len(kept)
        assert score == pytest.approx(np.corrcoef(seen, ideal)[0, 1], abs=1e-4)
