"""Cα off the grid: true places on ideal evidence, laws of the energy, and what must not change."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import KDTree

from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.config import RefinementConfig, TracingConfig
from deepmm_jax.density.map import DensityMap
from deepmm_jax.evidence.ideal import ideal_evidence
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax.threading.refinement import (
    Heard,
    Model,
    clash_partners,
    energy,
    gather_votes,
    refine_models,
    refine_positions,
)
from deepmm_jax.tracing.points import find_local_dense_points


EXAMPLE = Path(__file__).parents[2] / "examples" / "1ake_A.pdb.gz"
CONFIG = RefinementConfig()


def ideal(chain: Chain) -> Evidence:
    low = np.floor(chain.calpha.min(axis=0) - 6).astype(float)
    size = np.ceil(chain.calpha.max(axis=0) + 6 - low).astype(int) + 1
    return ideal_evidence(chain, DensityMap(data=np.zeros(size, np.float32), step=np.ones(3), origin=low))


def rmsd(positions: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.square(positions - truth).sum(axis=-1).mean()))


def disturbed(calpha: np.ndarray, rng: np.random.Generator, models: int, size: float = 0.45) -> np.ndarray:
    noise = rng.normal(scale=size / np.sqrt(3), size=(models, *calpha.shape))
    return (calpha + noise).astype(np.float32)


@pytest.fixture(scope="module")
def chain() -> Chain:
    return read_chains(EXAMPLE)[0]


@pytest.fixture(scope="module")
def evidence(chain: Chain) -> Evidence:
    return ideal(chain)


def test_ideal_evidence_of_the_example_gives_the_true_places(chain: Chain, evidence: Evidence, rng):
    start = disturbed(chain.calpha, rng, 1)
    refined = refine_positions(evidence, start, np.ones(start.shape[:2], bool), chain.sequence, CONFIG)
    assert rmsd(start[0], chain.calpha) > 0.4
    assert rmsd(refined[0], chain.calpha) < 0.08


def test_ideal_evidence_of_1yfq_gives_the_true_places_from_its_local_dense_points(data_directory: Path):
    chain = read_chains(data_directory / "structures" / "1yfq_A.pdb.gz")[0]
    evidence = ideal(chain)
    points = find_local_dense_points(
        evidence.main_chain, evidence.step, evidence.origin, TracingConfig(threshold=0.0, bandwidth=2.0)
    ).positions
    start = points[KDTree(points).query(chain.calpha)[1]][None].astype(np.float32)
    refined = refine_positions(evidence, start, np.ones(start.shape[:2], bool), chain.sequence, CONFIG)
    assert rmsd(start[0], chain.calpha) > 0.38, "the floor of the paper"
    assert rmsd(refined[0], chain.calpha) < 0.06


def test_votes_that_do_not_know_the_direction_are_read_with_the_models(chain: Chain, evidence: Evidence, rng):
    """Vectors to the next and the previous Cα that cancel are a network unsure of the direction: votes are moved."""
    unsure = replace(evidence, directions=np.zeros_like(evidence.directions))
    start = disturbed(chain.calpha, rng, 1, 0.2)
    built = np.ones(start.shape[:2], bool)
    moved = refine_positions(unsure, start, built, chain.sequence, CONFIG)[0] - chain.calpha
    along = chain.calpha[2:] - chain.calpha[:-2]
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    helix = evidence.secondary_structure[tuple(np.rint(chain.calpha - evidence.origin).astype(int).T)][1:-1, 0] > 0.5
    assert (moved[1:-1] * along).sum(axis=1)[helix].mean() < -0.2, "votes lie ahead of the Cα of a helix"


def test_whole_voxels_and_other_models_change_nothing(chain: Chain, evidence: Evidence, rng):
    """Nor does padding: one model alone and three together are padded to different sizes. (Rounding is: near its
    minimum Adam walks with the sign of the gradient.)"""
    start = disturbed(chain.calpha, rng, 3)
    built = np.ones(start.shape[:2], bool)
    refined = refine_positions(evidence, start, built, chain.sequence, CONFIG)
    alone = refine_positions(evidence, start[1:2], built[1:2], chain.sequence, CONFIG)
    np.testing.assert_allclose(alone[0], refined[1], atol=0.05)

    move = np.array([64.0, -32.0, 128.0])
    elsewhere = replace(evidence, origin=evidence.origin + move)
    there = refine_positions(elsewhere, start[1:2] + move.astype(np.float32), built[1:2], chain.sequence, CONFIG)
    np.testing.assert_allclose(there - move, alone, atol=0.05)

    volumes = ("main_chain", "calpha", "atoms", "offset", "directions", "amino_acids", "secondary_structure")
    padded = {name: getattr(evidence, name) for name in volumes}
    padded = {name: np.pad(volume, [(3, 3)] * 3 + [(0, 0)] * (volume.ndim - 3)) for name, volume in padded.items()}
    wider = replace(evidence, origin=evidence.origin - 3, **padded)
    np.testing.assert_allclose(
        refine_positions(wider, start[1:2], built[1:2], chain.sequence, CONFIG), alone, atol=0.05
    )


def test_what_is_not_built_stays_so_and_support_is_that_of_the_new_places(chain: Chain, evidence: Evidence, rng):
    n = len(chain)
    built = np.ones((2, n), bool)
    built[0, 50:60] = built[1, :20] = False
    positions = np.where(built[..., None], disturbed(chain.calpha, rng, 2), np.nan).astype(np.float32)
    models = CalphaModels(
        positions=positions,
        built=built,
        scores=np.array([2.0, 1.0], np.float32),
        mscores=np.array([0.2, 0.1], np.float32),
        support=np.zeros((2, n), np.float32),
    )
    profile = SequenceProfile(
        name="1ake", letters=chain.sequence, secondary_structure=np.full((n, 3), 1 / 3, np.float32)
    )
    refined = refine_models(evidence, models, profile, CONFIG)
    np.testing.assert_array_equal(np.isfinite(refined.positions).all(axis=-1), built)
    assert refined.scores is models.scores and refined.built is models.built
    assert (refined.support[~built] == 0).all() and refined.support[built].mean() > 0.6, "0.4 where they began"
    assert np.linalg.norm(refined.positions - positions, axis=-1)[built].max() <= CONFIG.max_move + 1e-3
    assert refine_models(evidence, models, profile, RefinementConfig(enabled=False)) is models

    nothing = replace(models, built=np.zeros_like(built), positions=np.full_like(positions, np.nan))
    assert not np.isfinite(refine_models(evidence, nothing, profile, CONFIG).positions).any()


def spots(calpha: np.ndarray) -> Evidence:
    """Evidence with the exact offset in every voxel within 2 Å of a Cα, and no other head."""
    shape = tuple((np.ceil(calpha.max(axis=0)) + 6).astype(int))
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 3)
    distance, nearest = KDTree(calpha).query(voxels)
    probability = np.where(distance < 2, np.exp(-(distance**2)), 0).reshape(shape).astype(np.float32)
    offset = (calpha[nearest] - voxels).reshape(*shape, 3).astype(np.float32)
    return Evidence(main_chain=probability, calpha=probability, offset=offset, step=np.ones(3), origin=np.zeros(3))


def test_cis_proline_keeps_its_short_bond_and_no_other_residue_does():
    line = np.array([[0.0, 0, 0], [3.2, 2.0, 0], [6.4, 0, 0], [9.35, 0, 0.0], [12.6, 2.0, 0], [15.8, 0, 0]]) + 6
    evidence = spots(line)

    def bond(letters: str) -> float:
        start = line.astype(np.float32)[None]
        refined = refine_positions(evidence, start, np.ones((1, len(line)), bool), letters, CONFIG)[0]
        return float(np.linalg.norm(refined[3] - refined[2]))

    assert bond("AAAPAA") == pytest.approx(2.95, abs=0.05)
    assert bond("AAAAAA") > 3.4


def test_residues_without_evidence_are_parted_and_bonded():
    """Two strands that touch, in empty space: no overlap is left, bonds are 3.8 Å long, nothing runs away."""
    strand = np.arange(5)[:, None] * np.array([3.4, 0.0, 0.0])
    turn = np.array([[17.0, 1.5, 3.0]])
    start = np.concatenate([strand, turn, strand[::-1] + [0, 2.6, 0]]).astype(np.float32) + 8
    empty = np.zeros((34, 20, 20), np.float32)
    evidence = Evidence(main_chain=empty, calpha=empty, step=np.ones(3), origin=np.zeros(3))
    built = np.ones((1, len(start)), bool)
    refined = refine_positions(evidence, start[None], built, "A" * len(start), CONFIG)[0]
    apart = np.linalg.norm(refined[:, None] - refined[None], axis=-1)
    far = np.abs(np.subtract.outer(np.arange(len(start)), np.arange(len(start)))) >= 3
    assert np.linalg.norm(start[:, None] - start[None], axis=-1)[far].min() < 2.7
    assert apart[far].min() > 3.3
    assert np.abs(np.diagonal(apart, 1) - 3.8).max() < 0.3
    assert np.linalg.norm(refined - start, axis=-1).max() <= CONFIG.max_move + 1e-3


def test_gradient_is_finite_far_out_and_where_residues_coincide(rng):
    n = 12
    start = jnp.asarray(rng.normal(scale=4, size=(n, 3)), jnp.float32).at[3].set(1e4).at[6].set(0.0).at[7].set(0.0)
    built = jnp.ones(n, bool).at[10].set(False)
    joined = (built & jnp.roll(built, -1)).at[-1].set(False)
    model = Model(start, built, joined, jnp.zeros(n, bool), clash_partners(start, built))
    heard = Heard(jnp.zeros((n, 3)), jnp.ones(n), jnp.zeros((n, 3)), jnp.full((n, 3), 1 / 3))
    value, gradient = jax.jit(jax.value_and_grad(energy), static_argnums=3)(start, model, heard, CONFIG)
    assert np.isfinite(value) and np.isfinite(gradient).all()
    assert not np.asarray(gradient)[10].any(), "what is not built has no energy"
    votes = gather_votes(spots(np.full((1, 3), 8.0)), np.full((1, 1, 3), 500.0, np.float32), np.ones((1, 1), bool))
    assert not np.asarray(votes.weight).any(), "beyond the volume nothing votes"
