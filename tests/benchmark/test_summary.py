"""Means of a suite."""

import json
from importlib.resources import files

import pytest

from deepmm_jax.benchmark.summary import (
    by_map_quality,
    by_resolution,
    mean,
    of_novel_folds,
    rates,
    summarise,
    warnings_of_wrong_models,
)
from reference.benchmark_rows import EVIDENCE, model_row


def row(protein: str, figures: dict, resolutions: str | None = None) -> dict:
    return {"protein": protein, "resolutions": resolutions, **figures}


def test_a_protein_counts_once():
    rows = [row("VP6", model_row(1.0)), row("VP6", model_row(0.5)), row("TMV", model_row(0.25))]
    assert mean(rows, lambda row: row["model"]["tm_score"]) == 0.5
    summary = summarise(rows)
    assert (summary["cases"], summary["proteins"], summary["built"]) == (3, 2, 3)
    assert summary["tm_score_mean"] == summary["residue_match"] == 0.5
    assert summary["tm_score_at_least_0.8"] == 1
    assert summary["evidence"] == EVIDENCE


def test_what_has_no_model_counts_as_nothing_right():
    rows = [
        row("a", model_row(0.8, 2.0)),
        row("b", {"evidence": EVIDENCE, "error": "no main chain"}),
        row("c", {"failure": "MemoryError: ", "traceback": ""}),
        row("d", model_row(0.4, None)),
    ]
    summary = summarise(rows)
    assert (summary["built"], summary["not_built"], summary["failed"]) == (2, 1, 1)
    assert summary["tm_score_mean"] == pytest.approx(0.3) == summary["residue_match"]
    assert summary["coverage"] == 0.5
    assert summary["ca_rmsd_mean"] == summary["ca_rmsd_worst"] == 2.0
    assert summary["top1"] == {"tm_score_above_0.5": 0.25, "ca_rmsd_below_10": 0.25}


def test_best_of_ten_is_judged_by_the_same_limits():
    rows = [row("a", model_row(0.5, 10.0, best=0.6)), row("b", model_row(0.9, 0.0))]
    rows[0]["best_ca_rmsd_of_ten"] = 9.9
    summary = summarise(rows)
    assert summary["top1"] == {"tm_score_above_0.5": 0.5, "ca_rmsd_below_10": 0.5}
    assert summary["top10"] == {"tm_score_above_0.5": 1.0, "ca_rmsd_below_10": 1.0}


def test_atoms_are_averaged_where_they_are():
    atoms = {when: {"all_atom_rmsd": value, "twisted": None} for when, value in (("placed", 2.0), ("minimised", 1.0))}
    none = {when: {"all_atom_rmsd": None, "twisted": None} for when in atoms}  # Cα alone
    rows = [row("a", model_row(0.95) | {"atoms": atoms}), row("b", {"error": "no main chain"})]
    rows.append(row("c", model_row(0.95) | {"atoms": none}))
    assert summarise(rows)["atoms"] == {"of": 1, "placed": {"all_atom_rmsd": 2.0}, "minimised": {"all_atom_rmsd": 1.0}}
    assert {key: rates(rows)[key] for key in ("atoms_of", "all_atom_rmsd")} == {"atoms_of": 1, "all_atom_rmsd": 1.0}


def test_evidence_alone_has_no_models():
    rows = [row("a", {"evidence": EVIDENCE}), row("b", {"failure": "MemoryError: ", "traceback": ""})]
    assert summarise(rows, "evidence") == {"cases": 2, "proteins": 2, "failed": 1, "evidence": EVIDENCE}
    assert summarise(rows[1:], "evidence") == {"cases": 1, "proteins": 1, "failed": 1}


def test_by_resolution_is_sorted_and_counts_what_was_not_built():
    rows = [
        row("c", model_row(0.9), "3.0-3.5"),
        row("a", model_row(0.4, best=0.7), "2.5-3.0"),
        row("b", {"error": "no main chain"}, "2.5-3.0"),
    ]
    table = by_resolution(rows)
    assert list(table) == ["2.5-3.0", "3.0-3.5"]
    assert table["2.5-3.0"] == {
        "chains": 2,
        "tm_score_above_0.5": 0,
        "tm_score_above_0.5_of_ten": 1,
        "ca_rmsd_below_10": 1,
        "ca_rmsd_below_10_of_ten": 1,
        "tm_score": 0.2,
        "coverage": 0.5,
        "residue_match": 0.2,
        "sequence_match": 0.5,
    }
    assert by_resolution([row("a", model_row(0.9))]) == {}


def test_by_map_quality_has_thirds_from_the_worst_to_the_best_map():
    def fitted(tm_score: float, quality: float) -> dict:
        fit = {"cc_mask": quality, "q_score": 1 - quality}
        return row(str(quality), model_row(tm_score) | {"in_map": {"reference": fit}})

    rows = [fitted(0.9, 0.8), fitted(0.2, 0.3), fitted(0.8, 0.7), fitted(0.4, 0.35), fitted(0.6, 0.5)]
    table = by_map_quality(rows)
    assert list(table) == ["cc_mask", "q_score"]
    assert [(part["from"], part["to"]) for part in table["cc_mask"].values()] == [(0.3, 0.35), (0.5, 0.7), (0.8, 0.8)]
    assert [part["tm_score_above_0.5"] for part in table["cc_mask"].values()] == [0, 2, 1]
    assert [part["tm_score_above_0.5"] for part in table["q_score"].values()] == [2, 1, 0]
    figures = summarise(rows)["in_map"]
    assert figures == {"reference": {"cc_mask": pytest.approx(0.53), "q_score": pytest.approx(0.47)}}
    assert by_map_quality(rows[:2]) == by_map_quality([row("a", model_row(0.9))] * 3) == {}


def test_folds_that_no_training_chain_has_are_counted_apart():
    listed = json.loads(files("deepmm_jax.benchmark").joinpath("novel_folds.json").read_text())
    known = next(name for name, (_, score) in listed["targets"].items() if score > listed["limit"])
    novel = listed["novel"][0]
    assert listed["targets"][novel][1] < 0.5 and known not in listed["novel"]
    rows = [row(novel, model_row(0.6)), row(known, model_row(0.9))]
    assert of_novel_folds(rows) == rates(rows[:1])
    assert of_novel_folds(rows[1:]) == {}


def test_warnings_of_wrong_models_are_counted():
    """Two models are believed to have less than half of their residues right; of three that do, one is."""
    expected, right = [0.9, 0.4, 0.45, 0.7, 0.6], [1.0, 0.2, 0.8, 0.3, 0.4]
    assert warnings_of_wrong_models(expected, right) == {"warned": 2, "of_these_wrong": 1, "wrong_in_all": 3}
