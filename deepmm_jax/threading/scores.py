"""The threading score: what it is worth that residues stand at candidates and bonds join them.

A sum of log-likelihood ratios with fitted weights: how well the type and the secondary structure of a residue agree
with what the map shows at a candidate, how likely the candidate is a Cα at all, and how likely a bond is one; less the
costs of residues left unbuilt and of Cα that clash. The paper's equation 3 has the first and the last of these.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree

from deepmm_jax.alignment.match import match_scores
from deepmm_jax.config import AlignmentConfig
from deepmm_jax.evidence.points import type_points
from deepmm_jax.evidence.volumes import Evidence, TypedPoints
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.threading.bonds import Bonds, find_bonds
from deepmm_jax.threading.candidates import CalphaCandidates, find_candidates
from deepmm_jax.threading.geometry import shape_counts


TYPES = AlignmentConfig(match="log-odds", weight_amino_acid=1.0, weight_secondary_structure=0.0)
"""Amino acids are scored as in the alignment; secondary structure has weights of its own."""
CLASH_DISTANCE = 2.7
"""Å: two Cα nearer than this are one, or one of them is wrong."""
CLOSE_DISTANCE = 3.8
"""Å: Cα of residues that are no neighbours are rarely as near as this."""
LONGEST_STEP = 3.9
"""Å that the chain can go from one residue to the next; bounds the distance across unbuilt ones."""
NEIGHBOURS = 3
"""Residues so far apart in the sequence, or farther, are no neighbours."""
LEAST_BOND = -12.0
"""A bond worth less than this is none."""


@dataclass(frozen=True, kw_only=True)
class ScoreWeights:
    """Weights of the threading score, fitted by `benchmarks/fit_threading.py`; each multiplies what its name says.

    `structure[s, t]` multiplies P(predicted state s) P(state t at the candidate), states Helix, Sheet, Coil; `residue`
    is the worth of building one at all; `candidate` and `bond` multiply the features of `CalphaCandidates` and `Bonds`,
    `angle` and `dihedral` the counts of `shape_counts`. The rest are costs: of each pair of Cα that are close without
    being neighbours, of each stretch of unbuilt residues inside the chain, of each of these residues, of each unbuilt
    residue at an end, and of each pair of clashing Cα.
    """

    amino_acid: float
    structure: Sequence[Sequence[float]]
    residue: float
    candidate: Sequence[float]
    bond: Sequence[float]
    angle: Sequence[Sequence[float]]
    dihedral: Sequence[Sequence[float]]
    close: float
    gap: float
    gap_residue: float
    end_residue: float
    clash: float


@dataclass(frozen=True, kw_only=True)
class ThreadingProblem:
    """Everything that a search needs to know of a map and a sequence: n residues, m candidates.

    `sites` (m, n) is the score of each residue at each candidate; `bonds` (m, m) that of a bond from one candidate to
    the other, -inf where there is none; `near` (m, m) marks candidates that exclude each other, `close` (m, m) others
    that are nearer than residues that are no neighbours use to be. `structure` (n, 3) is P(Helix, Sheet, Coil) of each
    residue.
    """

    points: TypedPoints
    structure: Float[np.ndarray, "n 3"]
    sites: Float[np.ndarray, "m n"]
    bonds: Float[np.ndarray, "m m"]
    near: Bool[np.ndarray, "m m"]
    close: Bool[np.ndarray, "m m"]
    weights: ScoreWeights


@cache
def fitted_weights() -> ScoreWeights:
    """The weights that travel with the program."""
    values = json.loads(Path(__file__).with_name("weights.json").read_text(encoding="utf-8"))["weights"]
    return ScoreWeights(**values)


def threading_problem(
    evidence: Evidence, profile: SequenceProfile, weights: ScoreWeights | None = None
) -> ThreadingProblem:
    """Candidates and bonds of a map, scored for a sequence, with the fitted weights unless others are given."""
    candidates = find_candidates(evidence)
    bonds = find_bonds(evidence, candidates.positions) if len(candidates) else NO_BONDS
    points = type_points(evidence, candidates.positions)
    return score_problem(candidates, bonds, points, profile, weights or fitted_weights())


NO_BONDS = Bonds(ends=np.zeros((0, 2), int), features=np.zeros((0, 11), np.float32))


def score_problem(
    candidates: CalphaCandidates, bonds: Bonds, points: TypedPoints, profile: SequenceProfile, weights: ScoreWeights
) -> ThreadingProblem:
    """The threading score in tables; `points` are the candidates with their types."""
    m = len(candidates)
    sites = (
        weights.amino_acid * np.asarray(match_scores(profile, points, TYPES))
        + profile.secondary_structure @ np.array(weights.structure) @ points.secondary_structure.T
        + weights.residue
        + candidates.features @ np.array(weights.candidate)
    )
    table = np.full((m, m), -np.inf, np.float32)
    worth = bonds.features @ np.array(weights.bond)
    worth = np.where(worth > LEAST_BOND, worth, -np.inf)
    table[tuple(bonds.ends.T)] = worth
    near, close = marked_pairs(candidates.positions, CLASH_DISTANCE), marked_pairs(candidates.positions, CLOSE_DISTANCE)
    return ThreadingProblem(
        points=points,
        structure=np.asarray(profile.secondary_structure, np.float64),
        sites=sites.T.astype(np.float32, order="C"),
        bonds=table,
        near=near,
        close=close & ~near,
        weights=weights,
    )


def marked_pairs(positions: Float[np.ndarray, "m 3"], distance: float) -> Bool[np.ndarray, "m m"]:
    """True where two positions are nearer than a distance."""
    marked = np.zeros((len(positions),) * 2, bool)
    if len(positions):
        pairs = KDTree(positions).query_pairs(distance, output_type="ndarray")
        marked[tuple(pairs.T)] = marked[tuple(pairs[:, ::-1].T)] = True
    return marked


def chain_score(problem: ThreadingProblem, places: Int[np.ndarray, "n"]) -> float:
    """The score of a threaded chain: `places` holds the candidate of every residue, -1 where it is unbuilt.

    A bond that is none, or a stretch of unbuilt residues too short for the distance across it, counts as a clash.
    """
    weights = problem.weights
    residues = np.flatnonzero(places >= 0)
    if not len(residues):
        return 0.0
    there = places[residues]
    total = float(problem.sites[there, residues].sum())
    total -= weights.end_residue * (residues[0] + len(places) - 1 - residues[-1])
    pair = np.ix_(there, there)
    apart = np.abs(residues[:, None] - residues) >= NEIGHBOURS
    total -= weights.clash * int(np.triu(problem.near[pair], 1).sum())
    total -= weights.close * int(np.triu(problem.close[pair] & apart, 1).sum())
    shapes = shape_counts(problem.points.positions, problem.structure, problem.points.secondary_structure, places)
    total += sum(float((counts * w).sum()) for counts, w in zip(shapes, (weights.angle, weights.dihedral)))
    skipped = np.diff(residues) - 1
    step = np.linalg.norm(np.diff(problem.points.positions[there], axis=0), axis=1)
    bond = problem.bonds[there[:-1], there[1:]]
    gap = skipped > 0
    total -= float((weights.gap + weights.gap_residue * skipped[gap]).sum())
    total += float(np.where(np.isfinite(bond), bond, -weights.clash)[~gap].sum())
    return total - weights.clash * int((step[gap] > LONGEST_STEP * (skipped[gap] + 1)).sum())
