"""Whether confidence can be trusted: which residues are right, and how often those of like confidence are."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import KDTree
from scipy.stats import rankdata


RIGHT = 2.0
"""A residue is right if the nearest Cα of the reference is within this, Å, and has its type."""
BINS = 10
"""Of the reliability diagram and of the calibration error."""


def right_residues(
    positions: Float[np.ndarray, "n 3"], letters: str, reference: Float[np.ndarray, "m 3"], reference_letters: str
) -> Bool[np.ndarray, "n"]:
    """Which residues of a model are right; those with NaN for a position are not."""
    right = np.zeros(len(positions), bool)
    built = np.flatnonzero(np.isfinite(positions).all(axis=1))
    away, nearest = map(np.asarray, KDTree(reference).query(positions[built]))
    same = np.array([letters[i] == reference_letters[j] for i, j in zip(built, nearest, strict=True)], bool)
    right[built] = (away <= RIGHT) & same
    return right


def reliability(
    confidence: Float[np.ndarray, "n"], right: Bool[np.ndarray, "n"], bins: int = BINS
) -> Float[np.ndarray, "b 3"]:
    """Mean confidence, share of right residues and their number in equal bins of confidence that are not empty."""
    rank = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(rank, minlength=bins)
    there = count > 0
    sums = [np.bincount(rank, weights=values, minlength=bins)[there] for values in (confidence, right)]
    return np.stack([total / count[there] for total in sums] + [count[there]], axis=1)


def calibration_error(confidence: Float[np.ndarray, "n"], right: Bool[np.ndarray, "n"], bins: int = BINS) -> float:
    """Expected calibration error: Σ_b n_b/n |share right − mean confidence| (Naeini et al. 2015)."""
    said, true, count = reliability(confidence, right, bins).T
    return float((np.abs(said - true) * count).sum() / max(len(right), 1))


def ranking_power(confidence: Float[np.ndarray, "n"], right: Bool[np.ndarray, "n"]) -> float | None:
    """Chance that a right residue has more confidence than a wrong one (area under the ROC); None if all are alike."""
    n_right = int(right.sum())
    n_wrong = len(right) - n_right
    if not n_right or not n_wrong:
        return None
    ranks = rankdata(confidence)
    return float((ranks[right].sum() - n_right * (n_right + 1) / 2) / (n_right * n_wrong))


def reliability_figures(confidence: Float[np.ndarray, "n"], right: Bool[np.ndarray, "n"]) -> dict[str, Any]:
    """All of these of so many residues, as JSON has them: `residues`, the share `right`, the mean `confidence`,
    `calibration_error`, `ranking_power` and the diagram, `reliability`.
    """
    power = ranking_power(confidence, right)
    return {
        "residues": len(right),
        "right": round(float(right.mean()), 4),
        "confidence": round(float(confidence.mean()), 4),
        "calibration_error": round(calibration_error(confidence, right), 4),
        "ranking_power": None if power is None else round(power, 4),
        "reliability": reliability(confidence, right).round(4).tolist(),
    }
