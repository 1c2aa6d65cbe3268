"""Training examples: labels turn with the structure, agree with the density, and depend on seed and number alone."""

import dataclasses
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.evidence.points import interpolate
from deepmm_jax.structure.read import read_chains
from deepmm_jax.training import examples
from deepmm_jax.training.chains import LONGEST_CHAIN, TrainingChain, as_training_chain
from deepmm_jax.training.examples import SIMULATOR, Example, Sources, batches, make_example, make_real_example
from deepmm_jax.training.real_maps import RealMap
from reference.density_oracle import gaussian_sum
from reference.evidence_oracle import atom_probability


EXAMPLE = Path(__file__).parents[2] / "examples" / "1ake_A.pdb.gz"
CROP = 48
TURN = Rotation.from_rotvec([0.7, -1.1, 0.4]).as_matrix()


@pytest.fixture(scope="module")
def chain() -> TrainingChain:
    return as_training_chain(read_chains(EXAMPLE)[0])


@pytest.fixture(scope="module")
def turned(chain: TrainingChain) -> Example:
    return make_example(chain, np.random.default_rng(2), 1.0, rotation=TURN)


def test_residue_tables_turn_with_the_structure(chain: TrainingChain, turned: Example):
    n = len(chain.calpha)
    bonds = np.diff(chain.calpha, axis=0)
    bonds /= np.linalg.norm(bonds, axis=1, keepdims=True)
    ahead, back = turned.directions[: n - 1, 3:], turned.directions[1:n, :3]
    np.testing.assert_allclose(ahead, bonds @ TURN.T, atol=1e-4)
    np.testing.assert_allclose(back, -bonds @ TURN.T, atol=1e-4)
    assert np.abs(ahead - bonds @ TURN).max() > 0.5  # the inverse turn would show
    apart = (chain.calpha - chain.calpha[0]) @ TURN.T
    np.testing.assert_allclose(turned.calpha[:n] - turned.calpha[0], apart, atol=1e-3)
    for table in (turned.calpha, turned.directions, turned.amino_acids, turned.states):
        assert len(table) == LONGEST_CHAIN and not table[n:].any()
    np.testing.assert_array_equal(turned.amino_acids[:n], chain.amino_acids)
    np.testing.assert_array_equal(turned.states[:n], chain.states)


def test_voxels_point_to_their_nearest_calpha(chain: TrainingChain, turned: Example, rng: np.random.Generator):
    calpha = turned.calpha[: len(chain.calpha)]
    near = np.argwhere(turned.nearest >= 0)
    for voxel in near[rng.choice(len(near), 200, replace=False)]:
        distances = np.linalg.norm(calpha - voxel, axis=1)
        row = turned.nearest[tuple(voxel)]
        assert distances[row] == pytest.approx(distances.min(), abs=1e-4) and distances[row] <= 4.0001
        # The same vector, turned back into the frame of the file, leads to that residue's neighbour.
        step = chain.calpha[row] - chain.calpha[row - 1] if row else chain.calpha[1] - chain.calpha[0]
        table = turned.calpha[row] - turned.calpha[row - 1] if row else turned.calpha[1] - turned.calpha[0]
        np.testing.assert_allclose(table @ TURN, step, atol=1e-3)
    far = np.argwhere(turned.nearest < 0)
    for voxel in far[rng.choice(len(far), 50, replace=False)]:
        assert np.linalg.norm(calpha - voxel, axis=1).min() >= 3.9999


def test_density_and_atom_labels_lie_in_one_frame(chain: TrainingChain, turned: Example, rng: np.random.Generator):
    shift = turned.calpha[0] - chain.calpha[0] @ TURN.T
    atoms = chain.positions @ TURN.T + shift
    chosen = rng.integers(0, CROP, (300, 3))
    i, j, k = chosen.T
    expected = gaussian_sum(chosen, atoms, chain.atomic_numbers, np.full(len(atoms), 5 / np.pi))
    density = turned.density[i, j, k, 0]
    ratio = density @ expected / (expected @ expected)
    np.testing.assert_allclose(density, ratio * expected, atol=2e-4)
    for channel, kinds in {0: (0, 1, 2), 1: (0,), 2: (1,), 3: (2,), 4: (3,), 5: (4,)}.items():
        # A corner of the crop is enough for every atom against every voxel.
        centre = np.clip(np.round(turned.calpha[turned.nearest.max()] - 6).astype(int), 0, CROP - 12)
        labels = turned.atoms[tuple(slice(c, c + 12) for c in centre)][..., channel]
        mine = atoms[np.isin(chain.kind, kinds)] - centre
        inside = ((mine > -3) & (mine < 15)).all(axis=1)
        assert labels.max() > 0.3
        np.testing.assert_allclose(labels, atom_probability(mine[inside], (12, 12, 12)), atol=2e-3)


def test_without_a_rotation_the_turn_is_random(chain: TrainingChain):
    tables = [make_example(chain, np.random.default_rng(seed), 1.0).directions[:213, 3:] for seed in (0, 1)]
    assert np.abs(tables[0] - tables[1]).max() > 0.5
    for table in tables:  # a proper rotation keeps lengths, angles and handedness
        triple = np.linalg.det(np.stack([table[:-2], table[1:-1], table[2:]], axis=1))
        np.testing.assert_allclose(
            triple, np.linalg.det(np.stack([tables[0][i : 211 + i] for i in range(3)], axis=1)), atol=1e-3
        )


@pytest.mark.parametrize(("share", "jitter"), [(0.0, 0.2), (1.0, 0.07)])
def test_protein_density_is_about_one(chain: TrainingChain, share: float, jitter: float):
    for seed in range(6):
        example = make_example(chain, np.random.default_rng(seed), share)
        assert example.density.dtype == np.float32 and np.isfinite(example.density).all()
        calpha = example.calpha[: len(chain.calpha)]
        residues = int(((calpha > 0) & (calpha < CROP)).all(axis=1).sum())
        # The volume of the residues in the crop, 133 Å³ each; the scale was found in a box 8 Å wider.
        density = example.density[..., 0]
        highest = np.sort(density.ravel())[-133 * residues :]
        assert highest.mean() == pytest.approx(1, abs=jitter + 0.1)
        assert density[example.atoms[..., 0] > 0.5].mean() > 1.2
        assert example.known.all()


def test_batches_depend_on_seed_and_number_alone(chain: TrainingChain):
    sources = Sources(chains=[chain], simulated_share=0.5)
    whole = list(islice(batches(sources, 1, seed=3), 3))
    resumed = next(batches(sources, 1, seed=3, start=2))
    for field, old, new in zip(Example._fields, whole[2], resumed, strict=True):
        np.testing.assert_array_equal(old, new, err_msg=field)
    other = next(batches(sources, 1, seed=4, crop=32))
    assert other.density.shape == (1, 32, 32, 32, 2) and other.atoms.shape == (1, 32, 32, 32, 6)
    assert np.abs(whole[0].density - whole[1].density).max() > 0.1
    again = next(batches(sources, 1, seed=4))
    assert np.abs(whole[0].density - again.density).max() > 0.1
    assert whole[0].density.shape == (1, CROP, CROP, CROP, 2)


def test_what_goes_wrong_in_the_background_is_raised(chain: TrainingChain):
    broken = dataclasses.replace(chain, atomic_numbers=chain.atomic_numbers[:-1])
    with pytest.raises(Exception, match=r"."):
        next(batches(Sources(chains=[broken], simulated_share=1.0), 1, seed=0))


@pytest.fixture(scope="module")
def real(chain: TrainingChain) -> RealMap:
    """The example at 5 Å as if it were a real map, of which a part is not modelled."""
    density = simulate_map(chain.positions, chain.atomic_numbers, 5.0)
    labelled = np.ones(density.shape, bool)
    labelled[: density.shape[0] // 3] = False
    return RealMap(
        name="made-up",
        group="kinase",
        resolution=3.5,
        notes=frozenset(),
        density=density,
        chain=chain,
        chain_of_residue=np.zeros(len(chain.calpha), np.int32),
        support=np.ones(density.shape, bool),
        labelled=labelled,
    )


def test_crops_of_real_maps_show_the_density_at_the_labels(real: RealMap, chain: TrainingChain):
    for seed in range(3):
        example = make_real_example(real, np.random.default_rng(seed), rotation=TURN)
        inside = ((example.calpha > 6) & (example.calpha < CROP - 7)).all(axis=1)
        rows = np.flatnonzero(inside)
        np.testing.assert_allclose(
            example.calpha[rows[-1]] - example.calpha[rows[0]],
            (chain.calpha[rows[-1]] - chain.calpha[rows[0]]) @ TURN.T,
            atol=1e-3,
        )
        beside = np.random.default_rng(seed).normal(scale=2.0, size=(len(rows), 3))
        there = interpolate(example.density[..., 0], example.calpha[rows] + beside @ TURN.T)
        here = interpolate(real.density.data, real.density.to_grid(chain.calpha[rows] + beside))
        # Brightness and offset are jittered.
        assert np.corrcoef(there, here)[0, 1] > 0.95 and 0.7 < there.mean() / here.mean() < 1.3


def test_nothing_is_said_of_a_neighbour(chain: TrainingChain, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(examples, "SIMULATOR", dataclasses.replace(SIMULATOR, neighbour=1.0))
    silent = 0
    for seed in range(6):
        example = make_example(chain, np.random.default_rng(seed), 0.0, neighbour=chain)
        assert example.known[example.atoms.max(axis=-1) > 0.1].all(), "our own atoms are known"
        assert (example.known[example.nearest >= 0]).mean() > 0.8
        silent += int((~example.known).sum())
    assert silent > 1000


def test_where_a_real_map_is_not_modelled_nothing_is_known(real: RealMap, chain: TrainingChain):
    example = make_real_example(real, np.random.default_rng(0), rotation=TURN)
    rows = np.flatnonzero(((example.calpha > 0) & (example.calpha < CROP - 1)).all(axis=1))
    known = example.known[tuple(np.round(example.calpha[rows]).astype(int).T)]
    depth = real.density.to_grid(chain.calpha[rows])[:, 0] - real.density.shape[0] // 3
    assert known[depth > 1.5].all() and not known[depth < -1.5].any()


def test_shares_of_sources_are_kept(real: RealMap, chain: TrainingChain):
    sources = Sources(chains=[chain], simulated_share=1.0, real_maps=[real], real_share=0.5)
    drawn = [sources.draw(np.random.default_rng(seed), 16) for seed in range(24)]
    partly = sum(not example.known.all() for example in drawn)
    assert 2 <= partly <= 18
