"""Rows of targets, with stand-ins for the stages that take long."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.benchmark import measure as module
from deepmm_jax.benchmark.mainmast import mainmast_models
from deepmm_jax.benchmark.measure import Work, correlations_by_residue, measure
from deepmm_jax.benchmark.targets import Case, Target
from deepmm_jax.config import build_config
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.errors import NothingBuiltError
from deepmm_jax.evidence.ideal import ideal_evidence
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.stages import StageRunner
from deepmm_jax.structure.chain import Chain


TARGET = Target(name="1ake_A", kind="example")


@pytest.fixture(scope="module")
def case(kinase: Chain) -> Case:
    density = simulate_map(kinase.positions, kinase.atomic_numbers, 5.0)
    coil = np.tile(np.array([0, 0, 1], np.float32), (len(kinase), 1))
    profile = SequenceProfile(name="kinase", letters=kinase.sequence, secondary_structure=coil)
    return Case(density=density, resolution=5.0, profiles=[profile], reference=[kinase])


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch, case: Case) -> Callable[[Any], None]:
    """Stand-ins for reading, for the network and, as given, for the tracer: a value or an exception."""
    (chain,) = case.reference
    evidence = ideal_evidence(chain, case.density)
    monkeypatch.setattr(module, "read_target", lambda target, data: case)

    def look(density, n_residues, config, *, run):
        return run("evidence", lambda: evidence)

    def use(result: CalphaModels | Exception) -> None:
        def build(evidence, profiles, config, *, run):
            if isinstance(result, Exception):
                raise result
            return [result]

        monkeypatch.setattr(module, "map_evidence", look)
        monkeypatch.setattr(module, "build_chains", build)

    return use


def two_models(chain: Chain) -> CalphaModels:
    """The first 12 Å off, the second right but for its last ten residues."""
    positions = np.stack([chain.calpha + 12.0, chain.calpha]).astype(np.float32)
    positions[1, -10:] = np.nan
    built = ~np.isnan(positions[..., 0])
    scores = np.array([2.0, 1.0], np.float32)
    return CalphaModels(
        positions=positions, built=built, scores=scores, mscores=scores, support=built.astype(np.float32)
    )


def test_row_has_the_first_model_and_the_best_of_ten(stages: Callable, kinase: Chain):
    stages(two_models(kinase))
    row = measure(TARGET, Work(config=build_config("simulated", until="calpha")))
    assert json.loads(json.dumps(row)) == row
    assert row["model"]["ca_rmsd"] == pytest.approx(12 * 3**0.5, abs=1e-3) and row["model"]["tm_score"] == 1.0
    assert row["model"]["residue_match"] < 0.5 and row["mscore"] == 2.0
    assert row["best_tm_score_of_ten"] == 1.0 and row["best_ca_rmsd_of_ten"] == 0.0
    assert row["evidence"]["recall_1.0"] > 0.9 and set(row["seconds"]) == {"evidence"}
    assert row["seconds_total"] == pytest.approx(sum(row["seconds"].values()), abs=0.1)
    fit = row["in_map"]["reference"]
    assert row["resolution"] == 5.0 and fit["cc_mask"] > 0.7 and 0.3 < fit["q_score"] < 1.0
    assert "model" not in row["in_map"], "Cα atoms alone have no density"


def test_correlations_of_a_model_stand_at_the_residues_of_the_reference(case: Case, kinase: Chain):
    here = kinase.residue_of_atom >= 5
    part = replace(
        kinase,
        sequence=kinase.sequence[5:],
        numbers=kinase.numbers[5:] - 5,
        residue_of_atom=kinase.residue_of_atom[here] - 5,
        positions=kinase.positions[here],
        **{
            field: tuple(value for value, inside in zip(getattr(kinase, field), here, strict=True) if inside)
            for field in ("atom_names", "elements")
        },
        b_factors=kinase.b_factors[here],
    )
    found = correlations_by_residue(case, [part], {"reference": {"b": 20.0}, "model": {"b": 20.0}})
    assert correlations_by_residue(case, [part], {"reference": {}, "model": {"b": 20.0}}) == {}
    residues, whole = found["model"], found["reference"]
    assert residues[:5] == [None] * 5 and len(residues) == len(whole) == len(kinase) and min(whole) > 0.3
    assert found["numbers"] == kinase.numbers.tolist()
    apart = [np.abs(np.subtract(residues[5 + slip :], whole[5 : len(whole) - slip])).mean() for slip in (0, 1)]
    assert apart[0] < 0.01 < apart[1]  # but for the neighbours of what is missing


def test_row_says_why_nothing_is_built_and_stops_at_the_evidence(stages: Callable):
    stages(NothingBuiltError("no main chain"))
    row = measure(TARGET, Work(config=build_config("simulated", until="calpha")))
    assert row["error"] == "no main chain" and "model" not in row and row["evidence"]["recall_1.0"] > 0.9
    assert measure(TARGET, Work(config=build_config("simulated", until="evidence"))).keys() == {
        *("resolution", "in_map", "evidence", "seconds")
    }


def test_baseline_is_measured_in_the_same_way(stages: Callable, kinase: Chain, monkeypatch: pytest.MonkeyPatch):
    stages(RuntimeError("the pipeline is not asked"))

    def trace(case: Case, *, simulated: bool, run: StageRunner) -> list[CalphaModels]:
        assert simulated
        return [two_models(kinase)]

    monkeypatch.setattr(module, "mainmast_models", trace)
    row = measure(TARGET, Work(config=build_config("simulated"), baseline="mainmast"))
    assert row["best_ca_rmsd_of_ten"] == 0.0 and not {"evidence", "mscore"} & row.keys()


def test_mainmast_builds_one_chain(case: Case):
    two = replace(case, profiles=case.profiles * 2)
    with pytest.raises(NothingBuiltError, match="one chain, and this target has 2"):
        mainmast_models(two, simulated=True, run=StageRunner())


@pytest.mark.slow
def test_mainmast_follows_the_main_chain_of_the_density(case: Case):
    """At 5 Å, where the paper's authors measured 1.79 Å on their chains."""
    (models,) = mainmast_models(case, simulated=True, run=StageRunner())
    (chain,) = case.reference
    nearest = np.linalg.norm(models.positions[0][:, None] - chain.calpha[None], axis=-1).min(axis=1)
    assert models.built.all() and nearest.mean() < 2.0
