"""Evidence against a known structure: Cα and main chain found, vectors and types right, probabilities honest."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.spatial import KDTree

from deepmm_jax.assessment.reliability import calibration_error
from deepmm_jax.config import TypingConfig
from deepmm_jax.constants import CLASS_OF_AMINO_ACID, SECONDARY_STRUCTURES, UNKNOWN_AMINO_ACID, UNKNOWN_CLASS
from deepmm_jax.evidence.ideal import CUTOFF_RADIUS, calpha_directions, nearest_point
from deepmm_jax.evidence.points import calpha_peaks
from deepmm_jax.evidence.volumes import Evidence, TypedPoints
from deepmm_jax.rating import typed
from deepmm_jax.sequence.profile import encode_letters
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.secondary_structure import assign_secondary_structure


PEAK_THRESHOLD = 0.2
"""A maximum of the Cα probability above this is a predicted Cα; on validation maps this gives the best F1 at 2 Å."""
PEAK_SEPARATION = 2.0
"""Of two predicted Cα closer than this the more probable counts, Å; 2.5 would lose 1 % of the Cα."""
MAIN_CHAIN_THRESHOLD = 0.1
"""Voxels above this are traced (`TracingConfig.threshold`)."""
NEAR = 1.5
"""Offsets and directions are judged at the voxels within this of a true Cα, Å."""
BINS = 15
"""Of the calibration error."""


@dataclass(frozen=True, kw_only=True)
class LabelledPoints:
    """What the evidence says of places whose residue is known: `amino_acids` 0–20 (20 unknown), `states` 0–2."""

    points: TypedPoints
    amino_acids: Int[np.ndarray, "n"]
    states: Int[np.ndarray, "n"]


def evidence_figures(
    evidence: Evidence,
    reference: Sequence[Chain],
    typing: TypingConfig = TypingConfig(),
    box_b: Path | None = None,
) -> dict[str, float]:
    """All figures of a map's evidence: `place_figures`, `vector_figures`, and `type_figures` at the true Cα.

    `typing` and `box_b` as in `rating.typed`.
    """
    figures = place_figures(evidence, reference) | vector_figures(evidence, reference)
    return figures | type_figures([label_calpha(evidence, reference, typing, box_b)])


def place_figures(
    evidence: Evidence,
    reference: Sequence[Chain],
    *,
    threshold: float = PEAK_THRESHOLD,
    separation: float = PEAK_SEPARATION,
    near: float | None = None,
) -> dict[str, float]:
    """How well Cα and main chain are found.

    `recall_R` and `precision_R`: share of true Cα and of predicted Cα in pairs at most R Å apart; a Cα is in one pair
    only, so two peaks at one residue count once. `main_chain_recall`: share of true N, CA and C within 1 Å of a voxel
    above 0.1; `main_chain_precision`: share of such voxels within 2 Å (r_cut of equation 1) of a true N, CA or C. With
    `near`, only what is predicted within so many Å of a known atom counts (maps that show more than the reference has).
    """
    true = np.concatenate([chain.calpha for chain in reference])
    chain_atoms = np.concatenate([chain.atom(kind) for chain in reference for kind in ("N", "CA", "C")])
    chain_atoms = chain_atoms[np.isfinite(chain_atoms).all(axis=1)]
    peaks = calpha_peaks(evidence, threshold, separation)
    voxels = evidence.origin + np.argwhere(evidence.main_chain > MAIN_CHAIN_THRESHOLD) * evidence.step
    if near is not None:
        known = KDTree(np.concatenate([chain.positions for chain in reference]))
        peaks, voxels = (places[known.query(places)[0] <= near] for places in (peaks, voxels))
    figures = {"residues": float(len(true)), "calpha_peaks": float(len(peaks))}
    for radius in (1.0, 2.0):
        pairs = _pairs(true, peaks, radius)
        figures[f"recall_{radius}"] = pairs / len(true)
        figures[f"precision_{radius}"] = pairs / max(len(peaks), 1)
    to_voxel = KDTree(voxels).query(chain_atoms)[0] if len(voxels) else np.full(len(chain_atoms), np.inf)
    figures["main_chain_recall"] = float((to_voxel <= 1.0).mean())
    to_chain = KDTree(chain_atoms).query(voxels)[0]
    figures["main_chain_precision"] = float((to_chain <= CUTOFF_RADIUS).sum()) / max(len(voxels), 1)
    return figures


def _pairs(true: Float[np.ndarray, "n 3"], found: Float[np.ndarray, "m 3"], radius: float) -> int:
    """Most pairs of a true and a found place within `radius`, no place in two of them."""
    if not len(found):
        return 0
    within = KDTree(true).sparse_distance_matrix(KDTree(found), radius, output_type="coo_matrix")
    links = csr_array((np.ones(within.nnz, np.int8), (within.row, within.col)), shape=within.shape)
    return int((maximum_bipartite_matching(links) >= 0).sum())


def vector_figures(evidence: Evidence, reference: Sequence[Chain]) -> dict[str, float]:
    """Error of the offsets to the Cα (mean, Å) and of the directions along the chain (mean cosine and angle, degrees).

    Over all voxels within 1.5 Å of a true Cα; empty for a network without these heads.
    """
    if evidence.offset is None or evidence.directions is None:
        return {}
    true = np.concatenate([chain.calpha for chain in reference])
    along = np.concatenate([calpha_directions(chain.calpha) for chain in reference]).reshape(-1, 2, 3)
    rows, _ = nearest_point((true - evidence.origin) / evidence.step, evidence.calpha.shape, NEAR)
    ijk = np.argwhere(rows >= 0)
    at = tuple(ijk.T)
    nearest = rows[at]
    error = evidence.origin + ijk * evidence.step + evidence.offset[at].astype(np.float32) - true[nearest]
    predicted = evidence.directions[at].astype(np.float32).reshape(-1, 2, 3)
    known = np.linalg.norm(along[nearest], axis=-1) > 0.5
    length = np.maximum(np.linalg.norm(predicted, axis=-1), 1e-6)
    cosine = ((predicted * along[nearest]).sum(axis=-1) / length)[known]
    return {
        "offset_error": float(np.linalg.norm(error, axis=1).mean()),
        "direction_cosine": float(cosine.mean()),
        "direction_angle": float(np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean()),
    }


def label_calpha(
    evidence: Evidence,
    reference: Sequence[Chain],
    typing: TypingConfig = TypingConfig(),
    box_b: Path | None = None,
    *,
    first: int | None = None,
) -> LabelledPoints:
    """Types at the true Cα of the (`first`) residues, with their amino acids and secondary structure (DSSP)."""
    true = np.concatenate([chain.calpha for chain in reference])[:first]
    return label_points(evidence, reference, true, replace(typing, vote=False), box_b)


def label_points(
    evidence: Evidence,
    reference: Sequence[Chain],
    positions: Float[np.ndarray, "n 3"],
    typing: TypingConfig,
    box_b: Path | None = None,
    *,
    within: float = NEAR,
) -> LabelledPoints:
    """Types at those of the positions (Å) that lie `within` so many Å of a true Cα, with the labels of the nearest.

    `typing` and `box_b` as in `rating.typed`.
    """
    known = KDTree(np.concatenate([chain.calpha for chain in reference]))
    distance, nearest = (np.asarray(found) for found in known.query(positions))
    rows = np.flatnonzero(distance <= within)
    amino_acids, states = residue_labels(reference)
    return LabelledPoints(
        points=typed(evidence, positions[rows], typing, box_b),
        amino_acids=amino_acids[nearest[rows]],
        states=states[nearest[rows]],
    )


def residue_labels(reference: Sequence[Chain]) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """Amino acid (0–20) and secondary structure by DSSP (0–2) of every residue."""
    states = "".join(assign_secondary_structure(chain) for chain in reference)
    return (
        encode_letters("".join(chain.sequence for chain in reference)),
        np.array([SECONDARY_STRUCTURES.index(state) for state in states], np.int32),
    )


def type_figures(cases: Sequence[LabelledPoints]) -> dict[str, float]:
    """Shares of right types over all points together, and how far the probabilities can be trusted.

    `accuracy_20`, `accuracy_4` (classes of section 2.2) and `accuracy_ss`; `majority_4` is the share of the commonest
    class, a constant answer. `ece_*`: `reliability.calibration_error` of the likeliest answer; `log_loss_*`: mean
    -log p of the truth, which both sharpness and calibration lower. Residues of unknown type count for the secondary
    structure only.
    """
    amino_acids = np.concatenate([case.amino_acids for case in cases])
    states = np.concatenate([case.states for case in cases])
    known = amino_acids != UNKNOWN_AMINO_ACID
    by_type = np.concatenate([case.points.amino_acids for case in cases])[known]
    by_state = np.concatenate([case.points.secondary_structure for case in cases])
    by_class = by_type @ np.eye(UNKNOWN_CLASS, dtype=np.float32)[CLASS_OF_AMINO_ACID[:UNKNOWN_AMINO_ACID]]
    classes = CLASS_OF_AMINO_ACID[amino_acids[known]]
    figures = {"majority_4": float(np.bincount(classes, minlength=1).max() / max(len(classes), 1))}
    truths = {"20": (by_type, amino_acids[known]), "4": (by_class, classes), "ss": (by_state, states)}
    for name, (probabilities, labels) in truths.items():
        figures[f"accuracy_{name}"] = float((probabilities.argmax(axis=1) == labels).mean())
        confidence, answer = probabilities.max(axis=1).astype(np.float64), probabilities.argmax(axis=1)
        figures[f"ece_{name}"] = calibration_error(confidence, answer == labels, BINS)
        figures[f"log_loss_{name}"] = log_loss(probabilities, labels)
    return figures


def log_loss(probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, "n"]) -> float:
    """Mean -log p of the true answer, with p at least 1e-6."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-6)).mean())
