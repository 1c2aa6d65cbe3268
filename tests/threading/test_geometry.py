"""The shape of a chain: counts of angles and dihedrals against their textbook definition, and the hand."""

import numpy as np
import pytest

from deepmm_jax.threading.geometry import N_ANGLES, N_DIHEDRALS, shape_counts


def angle(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> float:
    """Degrees at b."""
    u, v = a - b, c - b
    return float(np.degrees(np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v))))


def dihedral(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> float:
    """Degrees about the bond from b to c, from -180 to 180."""
    u, axis, v = a - b, (c - b) / np.linalg.norm(c - b), d - c
    u, v = u - (u @ axis) * axis, v - (v @ axis) * axis
    return float(np.degrees(np.arctan2(np.cross(axis, u) @ v, u @ v)))


def plain_counts(
    positions: np.ndarray, expected: np.ndarray, seen: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    angles, dihedrals = np.zeros((3, N_ANGLES)), np.zeros((3, N_DIHEDRALS))
    state = {i: (expected[i] + seen[places[i]]) / 2 for i in np.flatnonzero(places >= 0)}
    for i in range(len(places)):
        if all(k in state for k in range(i, i + 3)):
            kind = int(np.searchsorted([80, 95, 110, 125, 140], angle(*positions[places[i : i + 3]])))
            angles[:, kind] += state[i + 1]
        if all(k in state for k in range(i, i + 4)):
            turn = dihedral(*positions[places[i : i + 4]])
            kind = int(np.searchsorted([30, 60, 90, 120, 150], abs(turn))) + (6 if turn < 0 else 0)
            dihedrals[:, kind] += (state[i + 1] + state[i + 2]) / 2
    return angles, dihedrals


@pytest.mark.parametrize("n", [1, 2, 3, 4, 40])
def test_counts_are_those_of_the_definition(rng: np.random.Generator, n: int):
    positions = rng.normal(0, 5, (60, 3)).astype(np.float32)
    expected, seen = rng.dirichlet(np.ones(3), n), rng.dirichlet(np.ones(3), 60).astype(np.float32)
    places = rng.permutation(60)[:n]
    places[rng.random(n) < 0.1] = -1
    for found, wanted in zip(
        shape_counts(positions, expected, seen, places), plain_counts(positions, expected, seen, places), strict=True
    ):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_helix_and_its_mirror_image_differ_in_their_dihedrals_alone():
    turn = np.radians(100) * np.arange(20)
    helix = np.stack([2.3 * np.cos(turn), 2.3 * np.sin(turn), 1.5 * np.arange(20)], axis=1).astype(np.float32)
    state = np.tile([1.0, 0.0, 0.0], (20, 1))
    place = np.arange(20)
    angles, dihedrals = shape_counts(helix, state, state.astype(np.float32), place)
    mirrored, others = shape_counts(helix * [1, 1, -1], state, state.astype(np.float32), place)
    np.testing.assert_array_equal(angles, mirrored)
    assert (angles[0, 1], dihedrals[0, 1]) == (18, 17)  # near 92 and +50 degrees
    assert others[0, 7] == 17  # near -50
