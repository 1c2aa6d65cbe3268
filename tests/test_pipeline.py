"""From evidence to ranked models, on the evidence that a perfect network would give of adenylate kinase.

The stages that place atoms have stand-ins: what is tested here is who is given what, and what a failure costs.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepmm_jax import pipeline
from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.allatom.completion import complete_residues
from deepmm_jax.config import PRESETS, BuildConfig, MinimisationConfig, RefinementConfig, ThreadingConfig
from deepmm_jax.constants import SECONDARY_STRUCTURES
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.errors import CheckpointError, NothingBuiltError
from deepmm_jax.evidence.ideal import ideal_evidence
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.pipeline import (
    build_atoms,
    build_chains,
    build_model,
    complete_atoms,
    map_evidence,
    minimise_best,
)
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.stages import StageRunner, StageStore
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.secondary_structure import assign_secondary_structure
from reference.known_atoms import use_known_atoms


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
    assert heard == [("threading", True), ("gaps", True), ("refinement", True), ("confidence", True)]
    np.testing.assert_array_equal(again.positions, models.positions)


def test_how_many_models_are_kept_changes_nothing_that_is_said_of_them(
    models: CalphaModels, evidence: Evidence, profile: SequenceProfile, store: StageStore
):
    config = replace(CONFIG, alignment=replace(CONFIG.alignment, models=1))
    (ranked,) = build_chains(evidence, [profile], config, seed=3, run=StageRunner(store=store, reuse=True))
    assert len(ranked) == 1 < len(models)
    for name in ("positions", "built", "scores", "mscores", "support", "confidence"):
        np.testing.assert_array_equal(getattr(ranked, name), getattr(models, name)[:1], err_msg=name)


def test_models_of_both_tracers_compete(
    models: CalphaModels, evidence: Evidence, profile: SequenceProfile, crystal: Chain
):
    searches = replace(CONFIG.threading, fields=0, searches=1, moves=1, merges=0)  # too little without proposals
    tracing = replace(CONFIG.tracing, trajectories=2, rounds=(30,))
    config = replace(CONFIG, tracer="both", tracing=tracing, threading=searches)
    (ranked,) = build_chains(evidence, [profile], config, seed=3)
    deviation = np.linalg.norm(ranked.positions[0] - crystal.calpha, axis=1)[ranked.built[0]]
    assert ranked.built[0].mean() > 0.99 and deviation.max() < 0.5
    assert ranked.scores[0] > models.scores[0] - 5


def test_chain_that_finds_nothing_is_named(evidence: Evidence, profile: SequenceProfile):
    empty = np.zeros_like(evidence.main_chain)
    nothing = replace(evidence, main_chain=empty, calpha=empty)
    with pytest.raises(NothingBuiltError, match="1AKE_A: no chain of 10 residues"):
        build_chains(nothing, [profile], CONFIG)
    twin = replace(profile, name="twin")
    with pytest.raises(NothingBuiltError, match="none of the 2 chains .*; chain 1 of 2, twin, is not built: twin: no"):
        build_chains(nothing, [twin, profile], CONFIG)


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


@pytest.fixture
def halves(crystal: Chain, profile: SequenceProfile) -> tuple[list[SequenceProfile], list[CalphaModels]]:
    """The crystal as two chains, with two models of each; one residue of the second chain is not built."""
    profiles, traces = [], []
    for name, part in (("first", slice(0, 100)), ("second", slice(100, 214))):
        letters, states = profile.letters[part], profile.secondary_structure[part]
        profiles.append(SequenceProfile(name=name, letters=letters, secondary_structure=states))
        built = np.ones((2, len(letters)), bool)
        built[:, 5] = name == "first"
        positions = np.where(built[..., None], crystal.calpha[part], np.float32(np.nan))
        scores = np.array([2, 1], np.float32)
        traces.append(
            CalphaModels(
                positions=positions, built=built, scores=scores, mscores=scores, support=built.astype(np.float32)
            )
        )
    return profiles, traces


@pytest.fixture
def density(crystal: Chain) -> DensityMap:
    return simulate_map(crystal.positions, crystal.atomic_numbers, 5.0, 2.0)


def test_atoms_of_all_models_are_placed_and_the_best_of_all_chains_minimised_together(
    halves: Any, density: DensityMap, evidence: Evidence, crystal: Chain, monkeypatch: pytest.MonkeyPatch
):
    use_known_atoms(monkeypatch, crystal)
    profiles, traces = halves
    heard: list[str] = []

    def observer(stage: str, value: Any, seconds: float, *, restored: bool = False) -> None:
        if value is not None:
            heard.append(stage)

    run = StageRunner(observer=observer)
    placed = build_atoms(density, evidence, profiles, traces, CONFIG, run=run)
    atoms = minimise_best(density, placed, CONFIG, run=run)
    assert heard == ["backbone 1", "side chains 1", "backbone 2", "side chains 2", "minimisation"]
    for profile, ranked in zip(profiles, atoms, strict=True):
        first, second = ranked
        assert first.letters == profile.letters and complete_residues(first).sum() == len(profile) - (
            profile.name == "second"
        )
        np.testing.assert_array_equal(first.mask, second.mask)
        np.testing.assert_allclose((first.positions - second.positions)[first.mask], 0.01, atol=1e-4)
    off = replace(CONFIG, minimisation=MinimisationConfig(enabled=False))
    for one, other in zip(minimise_best(density, placed, off), placed, strict=True):
        np.testing.assert_array_equal(one[0].positions, other[0].positions)


def test_until_calpha_places_nothing(halves: Any, density: DensityMap, evidence: Evidence):
    profiles, traces = halves
    config = replace(CONFIG, until="calpha")
    for ranked, trace in zip(build_atoms(density, evidence, profiles, traces, config), traces, strict=True):
        assert [model.mask.sum() for model in ranked] == trace.built.sum(axis=1).tolist()
        assert minimise_best(density, [ranked], config) == [ranked]


def test_chain_whose_atoms_cannot_be_placed_keeps_its_calpha(
    halves: Any,
    density: DensityMap,
    evidence: Evidence,
    crystal: Chain,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    """The other chain has all its atoms, and is minimised alone; a third, not built, does not come into it."""
    use_known_atoms(monkeypatch, crystal)
    profiles, traces = halves
    place, minimise = pipeline.place_side_chains, pipeline.minimise
    minimised = []

    def failing(models: Any, density: Any) -> Any:
        if len(models[0]) == 100:
            raise FloatingPointError("no rotamer fits")
        return place(models, density)

    def counted(chains: Any, *settings: Any) -> Any:
        minimised.append([len(chain) for chain in chains])
        return minimise(chains, *settings)

    monkeypatch.setattr(pipeline, "place_side_chains", failing)
    monkeypatch.setattr(pipeline, "minimise", counted)
    three = [*profiles, profiles[1]], [*traces, pipeline.unbuilt(len(profiles[1]))]
    placed = build_atoms(density, evidence, *three, CONFIG)
    first, second, third = minimise_best(density, placed, CONFIG)
    assert "chain 1 keeps its Cα alone, other atoms cannot be placed: FloatingPointError('no rotamer" in caplog.text
    assert first[0].mask.sum() == 100 and complete_residues(second[0]).sum() == 113 and not third[0].mask.any()
    assert minimised == [[114]]


def test_model_that_cannot_be_minimised_stays_as_it_was_placed(
    halves: Any,
    density: DensityMap,
    evidence: Evidence,
    crystal: Chain,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    use_known_atoms(monkeypatch, crystal)

    def failing(*_: Any) -> None:
        raise ValueError("no force field")

    monkeypatch.setattr(pipeline, "minimise", failing)
    placed = build_atoms(density, evidence, *halves, CONFIG)
    assert minimise_best(density, placed, CONFIG) == placed
    assert "the best model is not minimised: ValueError('no force field')" in caplog.text


def test_whole_way_gives_traces_and_atoms(
    halves: Any, density: DensityMap, evidence: Evidence, crystal: Chain, monkeypatch: pytest.MonkeyPatch
):
    use_known_atoms(monkeypatch, crystal)
    profiles, traces = halves
    monkeypatch.setattr(pipeline, "map_evidence", lambda *_, **__: evidence)
    monkeypatch.setattr(pipeline, "build_chains", lambda *_, **__: traces)
    for models, trace in zip(build_model(density, profiles, CONFIG), traces, strict=True):
        np.testing.assert_array_equal(models.positions, trace.positions)
        assert len(models) == len(models.atoms) == 2
        np.testing.assert_array_equal(complete_residues(models.atoms[0]), trace.built[0])


def test_atoms_that_a_known_model_lacks_are_placed(
    density: DensityMap, crystal: Chain, monkeypatch: pytest.MonkeyPatch
):
    use_known_atoms(monkeypatch, crystal)
    kept = np.flatnonzero((crystal.residue_of_atom != 50) | (np.array(crystal.atom_names) == "CA"))
    lacking = replace(
        crystal,
        positions=crystal.positions[kept],
        atom_names=tuple(crystal.atom_names[a] for a in kept),
        elements=tuple(crystal.elements[a] for a in kept),
        residue_of_atom=crystal.residue_of_atom[kept],
        b_factors=crystal.b_factors[kept],
    )
    heard: list[str] = []

    def observer(stage: str, value: Any, seconds: float, *, restored: bool = False) -> None:
        heard.append(stage)

    whole, mended = complete_atoms(density, [crystal, lacking], run=StageRunner(observer=observer))
    assert heard == ["backbone 2", "backbone 2", "side chains 2", "side chains 2"], "what is whole is left alone"
    np.testing.assert_array_equal(mended.positions, whole.positions)
    np.testing.assert_array_equal(whole.chain("A").positions, crystal.positions[:-1], "all but the terminal oxygen")
