"""From evidence to ranked models, on the evidence that a perfect network would give of adenylate kinase."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.config import PRESETS, BuildConfig, RefinementConfig, ThreadingConfig
from deepmm_jax.constants import SECONDARY_STRUCTURES
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.errors import CheckpointError, NothingBuiltError
from deepmm_jax.evidence.ideal import ideal_evidence
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.pipeline import OCCUPIED_RADIUS, build_chains, map_evidence, without_occupied
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.stages import StageRunner, StageStore
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.secondary_structure import assign_secondary_structure


EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "1ake_A.pdb.gz"
CONFIG = replace(PRESETS["simulated"], threading=ThreadingConfig(searches=3, moves=200))
"""Fewer searches than `build` makes: enough for ideal evidence."""


@pytest.fixture(scope="module")
def crystal() -> Chain:
    (chain,) = read_chains(EXAMPLE)
    return chain


@pytest.fixture(scope="module")
def profile(crystal: Chain) -> SequenceProfile:
    states = [SECONDARY_STRUCTURES.index(state) for state in assign_secondary_structure(crystal)]
    return SequenceProfile(
        name="1AKE_A", letters=crystal.sequence, secondary_structure=np.eye(3, dtype=np.float32)[states]
    )


@pytest.fixture(scope="module")
def evidence(crystal: Chain) -> Evidence:
    return ideal_evidence(crystal, simulate_map(crystal.positions, crystal.atomic_numbers, 5.0))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> StageStore:
    return StageStore(tmp_path_factory.mktemp("stages"))


@pytest.fixture(scope="module")
def models(evidence: Evidence, profile: SequenceProfile, store: StageStore) -> CalphaModels:
    (ranked,) = build_chains(evidence, [profile], CONFIG, seed=3, run=StageRunner(store=store))
    return ranked


def test_ideal_evidence_gives_the_crystal_back(models: CalphaModels, crystal: Chain):
    built = models.built[0]
    assert built.mean() > 0.99
    deviation = np.linalg.norm(models.positions[0] - crystal.calpha, axis=1)[built]
    assert np.sqrt((deviation**2).mean()) < 0.1
    assert deviation.max() < 0.5
    assert models.mscores[0] > 1.5
    assert (np.diff(models.scores) <= 0).all()


def test_the_tracer_of_the_paper_gives_it_back_on_its_points(
    evidence: Evidence, profile: SequenceProfile, crystal: Chain
):
    tracing = replace(CONFIG.tracing, trajectories=2, rounds=(30,))
    config = replace(CONFIG, tracer="tabu", tracing=tracing, refinement=RefinementConfig(enabled=False))
    (ranked,) = build_chains(evidence, [profile], config, seed=3)
    assert ranked.built[0].all()
    deviation = np.linalg.norm(ranked.positions[0] - crystal.calpha, axis=1)
    assert 0.2 < np.sqrt((deviation**2).mean()) < 0.6
    assert deviation.max() < 3.0, "no residue is out of register"


def test_same_seed_gives_the_same_models(models: CalphaModels, evidence: Evidence, profile: SequenceProfile):
    (again,) = build_chains(evidence, [profile], CONFIG, seed=3)
    for name in ("positions", "built", "scores", "mscores", "support"):
        np.testing.assert_array_equal(getattr(again, name), getattr(models, name), err_msg=name)


def test_resumed_run_restores_every_stage(
    models: CalphaModels, evidence: Evidence, profile: SequenceProfile, store: StageStore
):
    heard: list[tuple[str, bool]] = []

    def observer(stage: str, value: Any, seconds: float, *, restored: bool = False) -> None:
        if value is not None:
            heard.append((stage, restored))

    run = StageRunner(observer=observer, store=store, reuse=True)
    (again,) = build_chains(evidence, [profile], CONFIG, seed=3, run=run)
    assert heard == [("threading", True), ("gaps", True), ("refinement", True)]
    np.testing.assert_array_equal(again.positions, models.positions)


def test_second_chain_finds_only_what_the_first_one_left(models: CalphaModels, evidence: Evidence):
    half = replace(models, built=models.built & (np.arange(models.built.shape[1]) < 100))
    free = without_occupied(evidence, [half])
    calpha = models.positions[0, :100]
    taken = np.argwhere((evidence.main_chain > 0) & (free.main_chain == 0))
    left = np.argwhere(free.main_chain > 0)

    def nearest(ijk: np.ndarray) -> np.ndarray:
        xyz = evidence.origin + ijk * evidence.step
        return np.linalg.norm(xyz[:, None] - calpha, axis=2).min(axis=1)

    assert len(taken) and nearest(taken).max() < OCCUPIED_RADIUS
    assert len(left) and nearest(left).min() >= OCCUPIED_RADIUS
    np.testing.assert_array_equal(free.main_chain[tuple(left.T)], evidence.main_chain[tuple(left.T)])
    np.testing.assert_array_equal(free.calpha[tuple(taken.T)], 0)
    np.testing.assert_array_equal(free.calpha[tuple(left.T)], evidence.calpha[tuple(left.T)])
    assert without_occupied(evidence, []) is evidence


def test_chain_that_finds_nothing_is_named(models: CalphaModels, evidence: Evidence, profile: SequenceProfile):
    empty = np.zeros_like(evidence.main_chain)
    nothing = replace(evidence, main_chain=empty, calpha=empty)
    with pytest.raises(NothingBuiltError, match="1AKE_A: no chain of 10 residues"):
        build_chains(nothing, [profile], CONFIG)
    twin = replace(profile, name="twin")
    with pytest.raises(NothingBuiltError, match="none of the 2 chains .*; chain 1 of 2, twin, is not built: twin: no"):
        build_chains(nothing, [twin, profile], CONFIG)
    assert not without_occupied(nothing, [models]).main_chain.any()


def test_chain_that_cannot_be_built_does_not_take_the_others_with_it(
    models: CalphaModels, evidence: Evidence, profile: SequenceProfile, caplog: pytest.LogCaptureFixture
):
    """Of two chains of 214 residues, the second finds no density for its own."""
    twin = replace(profile, name="twin")
    first, second = build_chains(evidence, [profile, twin], CONFIG, seed=3)
    np.testing.assert_array_equal(first.positions, models.positions)
    assert len(second) == 1 and not second.built.any() and np.isnan(second.positions).all()
    assert (second.scores[0], second.mscores[0]) == (0, 0)
    assert "chain 2 of 2, twin, is not built: " in caplog.text


def test_missing_network_is_noticed_before_any_work(rng: np.random.Generator):
    density = DensityMap(data=rng.random((8, 8, 8), np.float32), step=np.full(3, 1.5), origin=np.zeros(3))

    def observer(stage: str, value: Any, seconds: float, *, restored: bool = False) -> None:
        raise AssertionError(f"{stage} was started")

    with pytest.raises(CheckpointError, match="'no-such-network'"):
        map_evidence(density, 10, BuildConfig(network="no-such-network"), run=StageRunner(observer=observer))
