"""Figures of a whole suite from the rows of its targets. A target without a model has TM-score 0 and no match."""

import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from deepmm_jax.assessment.reliability import reliability_figures
from deepmm_jax.benchmark.measure import Row
from deepmm_jax.confidence.doubts import PROBABLY_WRONG


MATCHES = ("coverage", "residue_match", "sequence_match")
"""Figures of a model that are 0 where there is none."""
CLICK = ("click_overlap", "click_rmsd")
IN_MAP = ("cc_mask", "q_score")
THIRDS = ("lowest third", "middle third", "highest third")
GOOD = 0.9
"""TM-score above which a model is worth judging by all its atoms."""


def mean(rows: Sequence[Row], value: Callable[[Row], float]) -> float:
    """Mean over proteins of the means over the targets of each."""
    proteins: dict[str, list[float]] = {}
    for row in rows:
        proteins.setdefault(row["protein"], []).append(float(value(row)))
    return round(float(np.mean([np.mean(values) for values in proteins.values()])), 4)


def summarise(rows: Sequence[Row], until: str = "calpha") -> dict[str, Any]:
    """Counts of targets, and means over proteins; RMSDs (Å, in place) and seconds are of what was built.

    There must be a row. Of a suite that went `until` the evidence only, nothing is said of models.
    """
    summary: dict[str, Any] = {
        "cases": len(rows),
        "proteins": len({row["protein"] for row in rows}),
        "failed": sum("failure" in row for row in rows),
    }
    seen = [row for row in rows if "evidence" in row]
    if seen:
        keys = seen[0]["evidence"]
        summary["evidence"] = {key: mean(seen, lambda row, key=key: row["evidence"][key]) for key in keys}
    if until == "evidence":
        return summary
    built = [row for row in rows if "model" in row]
    summary |= {
        "built": len(built),
        "not_built": sum("error" in row for row in rows),
        "tm_score_mean": mean(rows, _tm_score),
        "tm_score_at_least_0.8": sum(_tm_score(row) >= 0.8 for row in rows),
        **{key: mean(rows, lambda row, key=key: _of_model(row, key)) for key in MATCHES},
        **{rank: {key: mean(rows, passes) for key, passes in limits.items()} for rank, limits in LIMITS.items()},
    }
    paired = [row for row in built if row["model"]["ca_rmsd"] is not None]
    if paired:
        rmsds = [row["model"]["ca_rmsd"] for row in paired]
        summary |= {
            "ca_rmsd_mean": mean(paired, lambda row: row["model"]["ca_rmsd"]),
            "ca_rmsd_median": round(float(np.median(rmsds)), 4),
            "ca_rmsd_worst": max(rmsds),
            "seconds_mean": mean(built, lambda row: row["seconds_total"]),
        }
    summary |= click_figures(built)
    for whose in ("reference", "model"):
        fitted = [row for row in rows if row.get("in_map", {}).get(whose)]
        if fitted:
            figures = {key: mean(fitted, lambda row, whose=whose, key=key: row["in_map"][whose][key]) for key in IN_MAP}
            summary.setdefault("in_map", {})[whose] = figures
    if any(row.get("residues", {}).get("right") for row in built):
        summary["confidence"] = confidence_figures(built)
    whole = [row for row in built if _all_atom_rmsd(row) is not None]
    if whole:
        summary["atoms"] = {"of": len(whole)} | {when: atom_means(whole, when) for when in whole[0]["atoms"]}
    return summary


def atom_means(rows: Sequence[Row], when: str) -> dict[str, float]:
    """Means of the figures of all atoms over the models that have them; `when` is `placed` or `minimised`."""
    found = {}
    for key in rows[0]["atoms"][when]:
        known = [row for row in rows if row["atoms"][when][key] is not None]
        if known:
            found[key] = mean(known, lambda row, key=key: row["atoms"][when][key])
    return found


def confidence_figures(rows: Sequence[Row]) -> dict[str, Any]:
    """How far the confidence of the residues of all models together can be trusted."""
    confidence, right = (np.concatenate([row["residues"][key] for row in rows]) for key in ("confidence", "right"))
    built = [row["residues"] for row in rows if row["residues"]["confidence"]]
    expected, true = ([np.mean(residues[key]) for residues in built] for key in ("confidence", "right"))
    warned = warnings_of_wrong_models(expected, true)
    return reliability_figures(confidence, right.astype(bool)) | {"probably_wrong": warned}


def warnings_of_wrong_models(expected: Sequence[float], right: Sequence[float]) -> dict[str, int]:
    """How many models are said to be probably wrong, and how many have few of their residues right.

    By the shares of the residues of each model that are expected to be right and that are.
    """
    warned, wrong = np.array(expected) < PROBABLY_WRONG, np.array(right) < PROBABLY_WRONG
    return {
        "warned": int(warned.sum()),
        "of_these_wrong": int((warned & wrong).sum()),
        "wrong_in_all": int(wrong.sum()),
    }


def by_resolution(rows: Sequence[Row]) -> dict[str, dict[str, float | int]]:
    """Figures of the models in every range of resolutions, Å."""
    return {
        resolutions: rates([row for row in rows if row["resolutions"] == resolutions])
        for resolutions in sorted({row["resolutions"] for row in rows if row["resolutions"]})
    }


def by_map_quality(rows: Sequence[Row]) -> dict[str, dict[str, dict[str, float | int]]]:
    """Figures of the models in thirds of the targets, by how well the true structure fits: CC_mask and Q-score.

    `from` and `to` are the lowest and the highest of these in a third.
    """
    judged = [row for row in rows if row.get("in_map", {}).get("reference")]
    if len(judged) < len(THIRDS):
        return {}
    table = {}
    for key in IN_MAP:
        quality = [row["in_map"]["reference"][key] for row in judged]
        parts = np.array_split(np.argsort(quality, kind="stable"), len(THIRDS))
        table[key] = {
            name: {"from": quality[part[0]], "to": quality[part[-1]], **rates([judged[k] for k in part])}
            for name, part in zip(THIRDS, parts)
        }
    return table


def of_novel_folds(rows: Sequence[Row]) -> dict[str, float | int]:
    """Figures of the models of targets whose fold no training chain has (`novel_folds.json`); empty without any."""
    novel = set(json.loads(files("deepmm_jax.benchmark").joinpath("novel_folds.json").read_text())["novel"])
    here = [row for row in rows if row["protein"] in novel]
    return rates(here) if here else {}


def rates(rows: Sequence[Row]) -> dict[str, float | int]:
    """Chains, how many have a TM-score above 0.5 and a Cα RMSD below 10 Å, and means; CLICK's of what it compares.

    All atoms (RMSD in Å, minimised) are of the models with a TM-score above 0.9, of which `atoms_of` is the number.
    """
    figures: dict[str, float | int] = {
        "chains": len(rows),
        **{key: sum(map(passes, rows)) for key, passes in LIMITS["top1"].items()},
        **{f"{key}_of_ten": sum(map(passes, rows)) for key, passes in LIMITS["top10"].items()},
        "tm_score": mean(rows, _tm_score),
        **{key: mean(rows, lambda row, key=key: _of_model(row, key)) for key in MATCHES},
    }
    figures |= click_figures(rows)
    good = [row for row in rows if _all_atom_rmsd(row) is not None and _tm_score(row) > GOOD]
    if good:
        figures |= {"atoms_of": len(good), "all_atom_rmsd": mean(good, _all_atom_rmsd)}
    return figures


def click_figures(rows: Sequence[Row]) -> dict[str, float]:
    """Means over the models in which CLICK finds something."""
    compared = [row for row in rows if row.get("model", {}).get("click_rmsd") is not None]
    return {key: mean(compared, lambda row, key=key: row["model"][key]) for key in CLICK} if compared else {}


def _of_model(row: Row, key: str) -> float:
    return row.get("model", {}).get(key) or 0.0


def _tm_score(row: Row) -> float:
    return _of_model(row, "tm_score")


def _below_10(rmsd: float | None) -> bool:
    return rmsd is not None and rmsd < 10.0


def _all_atom_rmsd(row: Row) -> Any:
    """Å, minimised; None where other atoms than Cα are not there."""
    return row.get("atoms", {}).get("minimised", {}).get("all_atom_rmsd")


LIMITS: dict[str, dict[str, Callable[[Row], bool]]] = {
    "top1": {
        "tm_score_above_0.5": lambda row: _tm_score(row) > 0.5,
        "ca_rmsd_below_10": lambda row: _below_10(row.get("model", {}).get("ca_rmsd")),
    },
    "top10": {
        "tm_score_above_0.5": lambda row: row.get("best_tm_score_of_ten", 0.0) > 0.5,
        "ca_rmsd_below_10": lambda row: _below_10(row.get("best_ca_rmsd_of_ten")),
    },
}
"""What the paper counts, of the first model and of the best of ten (section 3.2)."""
