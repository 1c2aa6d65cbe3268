"""Fit the weights of the threading score so that true chains score above whatever else the search finds.

    python benchmarks/fit_threading.py --chains 24 --rounds 4 --threads 2

Evidence of training chains comes from the shipped networks, on maps simulated at 5 Å and as `simulated-experimental-v1`
shows them in every resolution bin. In every round each chain is searched with the present weights; the weights are then
moved no farther from the first ones than they must be, until the best chain along the true one beats all that was
found, by a margin that grows with how wrong it was (a structural support vector machine). `amino_acid` is 1, the costs
stay: they set the scale. Writes `deepmm_jax/threading/weights.json`.
"""

import argparse
import csv
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from evidence import chain_cases
from scipy.optimize import minimize
from scipy.spatial import KDTree

from deepmm_jax.alignment.match import match_scores
from deepmm_jax.config import ThreadingConfig, build_config
from deepmm_jax.evidence.points import type_points
from deepmm_jax.evidence.volumes import TypedPoints
from deepmm_jax.files import data_directory
from deepmm_jax.networks.secondary_structure import predict_secondary_structure
from deepmm_jax.pipeline import map_evidence
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.threading import scores
from deepmm_jax.threading.bonds import Bonds, find_bonds
from deepmm_jax.threading.candidates import CalphaCandidates, find_candidates
from deepmm_jax.threading.geometry import shape_counts
from deepmm_jax.threading.models import find_chains
from deepmm_jax.threading.scores import TYPES, ScoreWeights, ThreadingProblem, fitted_weights, score_problem
from deepmm_jax.threading.search import align_path
from deepmm_jax.threading.tables import NEVER, prepare


FIXED = ("amino_acid", "gap", "gap_residue", "end_residue", "clash")
NEAR = 2.0
"""Å: a candidate this near to a Cα stands for it."""
MARGIN, SOFTNESS = 30.0, 5.0
"""Score by which a chain of TM-score 0 must lose to a perfect one, and the width of the hinge."""
SEARCHES = ThreadingConfig(fields=2, merges=1, searches=0)
"""Fewer than the program's own; the margin makes up for it."""


@dataclass(frozen=True, kw_only=True)
class FitCase:
    """One map: what the threading knows of it, and the true Cα."""

    name: str
    group: str
    profile: SequenceProfile
    candidates: CalphaCandidates
    bonds: Bonds
    points: TypedPoints
    calpha: np.ndarray

    def problem(self, weights: ScoreWeights) -> ThreadingProblem:
        return score_problem(self.candidates, self.bonds, self.points, self.profile, weights)


def vector(weights: ScoreWeights) -> np.ndarray:
    return np.concatenate([np.ravel(value) for value in asdict(weights).values()]).astype(float)


def from_vector(values: np.ndarray, like: ScoreWeights) -> ScoreWeights:
    new, k = {}, 0
    for name, value in asdict(like).items():
        size = np.size(value)
        part = np.reshape(values[k : k + size], np.shape(value))
        new[name] = (
            float(part)
            if part.ndim == 0
            else tuple(map(tuple, part.tolist()))
            if part.ndim == 2
            else tuple(part.tolist())
        )
        k += size
    return ScoreWeights(**new)


def features(case: FitCase, places: np.ndarray) -> np.ndarray:
    """What the weights multiply in the score of a chain, in the order of `vector`."""
    residues = np.flatnonzero(places >= 0)
    there = places[residues]
    if not len(residues):
        return np.zeros(len(vector(fitted_weights())))
    match = np.asarray(match_scores(case.profile, case.points, TYPES))
    structure = case.profile.secondary_structure[residues].T @ case.points.secondary_structure[there]
    number = {tuple(ends): k for k, ends in enumerate(case.bonds.ends.tolist())}
    skipped = np.diff(residues) - 1
    joined = [number[a, b] for a, b in zip(there[:-1][skipped == 0].tolist(), there[1:][skipped == 0].tolist())]
    tree = KDTree(case.points.positions[there])
    near = tree.query_pairs(scores.CLASH_DISTANCE)
    close = [
        pair
        for pair in tree.query_pairs(scores.CLOSE_DISTANCE) - near
        if abs(residues[pair[0]] - residues[pair[1]]) >= scores.NEIGHBOURS
    ]
    shape = shape_counts(
        case.points.positions,
        np.asarray(case.profile.secondary_structure, float),
        case.points.secondary_structure,
        places,
    )
    ends = residues[0] + len(places) - 1 - residues[-1]
    gaps = [-(skipped > 0).sum(), -skipped.sum(), -ends, -len(near)]
    return np.concatenate(
        [
            [match[residues, there].sum()],
            structure.ravel(),
            [len(residues)],
            case.candidates.features[there].sum(axis=0),
            case.bonds.features[joined].sum(axis=0),
            *map(np.ravel, shape),
            [-len(close)],
            gaps,
        ]
    )


def true_path(case: FitCase) -> tuple[np.ndarray, np.ndarray]:
    """Candidates along the true chain in its order, and which residues each may stand for, (m, n)."""
    away = np.linalg.norm(case.points.positions[:, None] - case.calpha[None], axis=2)
    allowed = away < NEAR
    chosen = np.flatnonzero(allowed.any(axis=1))
    nearest = away[chosen].argmin(axis=1)
    n = len(case.calpha)
    along = case.calpha[np.minimum(nearest + 1, n - 1)] - case.calpha[np.maximum(nearest - 1, 0)]
    beyond = ((case.points.positions[chosen] - case.calpha[nearest]) * along).sum(axis=1) / np.linalg.norm(
        along, axis=1
    )
    return chosen[np.lexsort((beyond, nearest))], allowed


def tm_score(case: FitCase, places: np.ndarray) -> float:
    """TM-score of a chain without superposition."""
    built = np.flatnonzero(places >= 0)
    n = len(places)
    away = np.linalg.norm(case.points.positions[places[built]] - case.calpha[built], axis=1)
    return float((1 / (1 + (away / max(1.24 * (n - 15) ** (1 / 3) - 1.8, 0.5)) ** 2)).sum() / n)


def search(case: FitCase, weights: ScoreWeights, seed: int) -> tuple[np.ndarray, float, np.ndarray, float]:
    """Features and TM-score of the best chain along the true one, and of the best that the search finds."""
    problem = case.problem(weights)
    path, allowed = true_path(case)
    true = align_path(prepare(replace(problem, sites=np.where(allowed, problem.sites, NEVER))), path).places
    found = max(find_chains(problem, SEARCHES, seed), key=lambda chain: chain.score).places
    return features(case, true), tm_score(case, true), features(case, found), tm_score(case, found)


def move(first: np.ndarray, now: np.ndarray, free: np.ndarray, met: dict[str, list], strength: float) -> np.ndarray:
    """The weights nearest to the first ones that rank the true chains above all chains met so far."""
    pairs = [
        (true - found, MARGIN * (tm - worse))
        for true, tm, rivals in met.values()
        for found, worse in rivals
        if tm - worse > 0.1
    ]
    count = np.array(
        [
            sum(tm - worse > 0.1 for _, worse in rivals)
            for _, tm, rivals in met.values()
            for _, worse in rivals
            if tm - worse > 0.1
        ]
    )
    difference, margin = np.array([d for d, _ in pairs]), np.array([m for _, m in pairs])
    spread = difference.std(axis=0) + 1e-3

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        weights = first.copy()
        weights[free] = values
        z = (margin - difference @ weights) / SOFTNESS
        pull = (values - first[free]) * spread[free] / SOFTNESS
        slope = (
            -(difference.T @ (1 / (1 + np.exp(-np.clip(z, -50, 50))) / count))[free]
            + strength * pull * spread[free] / SOFTNESS
        )
        return float((SOFTNESS * np.logaddexp(0, z) / count).sum() + strength * (pull**2).sum() / 2), slope

    new = first.copy()
    new[free] = minimize(loss, now[free], jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    return new


def fit_cases(data: Path, names: list[str], seed: int) -> list[FitCase]:
    """Candidates and bonds of the chains at 5 Å and in every bin."""
    made = []
    for kind in ("simulated", "simulated-experimental"):
        config = build_config("simulated" if kind == "simulated" else "experimental")
        for case in chain_cases(data, kind, names, seed):
            evidence = map_evidence(case.density, case.n_residues, config)
            (chain,) = case.reference
            candidates = find_candidates(evidence)
            made.append(
                FitCase(
                    name=f"{kind} {case.name}",
                    group=case.group,
                    profile=SequenceProfile(
                        name=case.name,
                        letters=chain.sequence,
                        secondary_structure=predict_secondary_structure(chain.sequence),
                    ),
                    candidates=candidates,
                    bonds=find_bonds(evidence, candidates.positions),
                    points=type_points(evidence, candidates.positions),
                    calpha=chain.calpha,
                )
            )
    return made


def training_names(data: Path, count: int, seed: int) -> list[str]:
    """Chains of the training split with 60 to 150 residues, none of them missing."""
    with (data / "structures" / "MANIFEST.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == "train" and 60 <= int(row["length"]) <= 150]
    names = [row["name"] for row in rows if row["observed_residues"] == row["length"]]
    return sorted(np.random.default_rng(seed).choice(sorted(names), count, replace=False).tolist())


def report(cases: list[FitCase], results: list, say: Callable[[str], None]) -> None:
    for group in sorted({case.group for case in cases}):
        here = [(true, found) for case, (_, true, _, found) in zip(cases, results) if case.group == group]
        true, found = np.mean(here, axis=0)
        say(f"  {group}: TM-score along the true chain {true:.3f}, found {found:.3f} ({len(here)} maps)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--chains", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--strength", type=float, default=200.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    data = data_directory()
    names = training_names(data, options.chains, options.seed)
    cases = fit_cases(data, names, options.seed)
    like = fitted_weights()
    first = now = vector(like)
    names_of = [name for name, value in asdict(like).items() for _ in np.ravel(value)]
    free = np.array([k for k, name in enumerate(names_of) if name not in FIXED])
    met: dict[str, list] = {}
    with ThreadPoolExecutor(options.threads) as workers:
        for number in range(options.rounds):
            begun = time.perf_counter()
            weights = from_vector(now, like)
            results = list(workers.map(partial(search, weights=weights, seed=number), cases))
            print(f"round {number}: {time.perf_counter() - begun:.0f} s", flush=True)
            report(cases, results, partial(print, flush=True))
            for case, (true, tm, found, worse) in zip(cases, results):
                rivals = met[case.name][2] if case.name in met else []
                met[case.name] = [true, tm, [*rivals, (found, worse)]]
            now = move(first, now, free, met, options.strength)
            kept = {
                "source": "benchmarks/fit_threading.py",
                "settings": vars(options) | {"round": number},
                "chains": names,
                "weights": asdict(from_vector(now.round(4), like)),
            }
            Path(scores.__file__).with_name("weights.json").write_text(
                json.dumps(kept, indent=1) + "\n", encoding="utf-8"
            )


if __name__ == "__main__":
    main()
