"""Masks of the experimental simulator."""

import numpy as np
import pytest

from deepmm_jax.density.experimental.masks import Masking, apply_mask, distance_to_atoms, fill_in, keep
from reference.density_oracle import voxels


SHAPE = (20, 18, 22)


@pytest.fixture
def atoms(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-3, 14, (15, 3)).astype(np.float32)


def test_distances_are_those_to_the_nearest_atom(atoms: np.ndarray):
    points = voxels(SHAPE)
    expected = np.linalg.norm(points[:, None] - atoms, axis=2).min(axis=1).reshape(SHAPE)
    np.testing.assert_allclose(distance_to_atoms(atoms, SHAPE, 6.5), np.minimum(expected, 6.5), atol=1e-4)


def test_a_zone_ends_at_its_radius(rng: np.random.Generator, atoms: np.ndarray):
    density, distance = rng.normal(size=SHAPE).astype(np.float32), distance_to_atoms(atoms, SHAPE, 7.0)
    out = apply_mask(density, distance, Masking(kind="zone", radius=4.0), rng)
    np.testing.assert_array_equal(out, np.where(distance <= 4, density, 0))


def test_a_soft_mask_falls_steadily():
    distance = np.linspace(0, 9, 60, dtype=np.float32).reshape(3, 4, 5)
    share = keep(distance, 3.0, 4.0).ravel()
    assert (share[distance.ravel() <= 3] == 1).all() and np.abs(share[distance.ravel() >= 7]).max() < 1e-6
    assert (np.diff(share) <= 1e-6).all()
    assert np.interp(5.0, distance.ravel(), share) == pytest.approx(0.5, abs=0.02)


def test_no_mask_changes_nothing_and_clipping_only_the_negative(rng: np.random.Generator):
    density = rng.normal(size=SHAPE).astype(np.float32)
    distance = np.full(SHAPE, 9.0, np.float32)
    np.testing.assert_array_equal(apply_mask(density, distance, Masking(), rng), density)
    np.testing.assert_array_equal(apply_mask(density, distance, Masking(clip=True), rng), np.maximum(density, 0))


def test_filled_zones_are_positive_smooth_and_true_where_kept(rng: np.random.Generator, atoms: np.ndarray):
    distance = distance_to_atoms(atoms, SHAPE, 7.0)
    x, y, z = np.indices(SHAPE)
    smooth = (1 + np.sin(x / 3) * np.cos(y / 3 + z / 4)).astype(np.float32)
    density = smooth + 0.5 * rng.normal(size=SHAPE).astype(np.float32)
    zone, positive = distance <= 3.5, np.maximum(density, 0)
    filled = fill_in(density, zone, 0.3, rng)
    same = (filled == positive) & zone & (density > 0)
    assert same.sum() / (zone & (density > 0)).sum() == pytest.approx(0.3, abs=0.06)
    assert (filled >= 0).all()
    # Voxels that were filled in follow the smooth part, not their own noise.
    new = zone & (filled != positive)
    follows = np.corrcoef(filled[new], smooth[new])[0, 1]
    assert follows > 0.7 and follows > np.corrcoef(filled[new], (density - smooth)[new])[0, 1] + 0.3
    masked = apply_mask(density, distance, Masking(kind="filled", radius=3.5, kept=0.3), rng)
    assert not masked[distance > 3.5].any() and (masked >= 0).all()


@pytest.mark.parametrize(("masking", "reach"), [(Masking(), 0.0), (Masking(kind="soft", radius=3.0, edge=4.0), 7.0)])
def test_the_reach_is_where_nothing_is_left(masking: Masking, reach: float):
    assert masking.reach == reach
