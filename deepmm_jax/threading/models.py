"""Cα models by threading: the sequence searched through the Cα candidates of a map; every search gives a model."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
from jaxtyping import Int
from scipy.spatial import KDTree

from deepmm_jax.alignment.mscore import paper_mscore
from deepmm_jax.alignment.ranking import FEWEST_RESIDUES, distinct
from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.config import AlignmentConfig, ThreadingConfig
from deepmm_jax.errors import NothingBuiltError
from deepmm_jax.evidence.volumes import Evidence, TypedPoints
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.threading.field import likely_path, settle
from deepmm_jax.threading.scores import ThreadingProblem, chain_score, threading_problem
from deepmm_jax.threading.search import ThreadedChain, align_path, longest_path, search_chain
from deepmm_jax.threading.tables import prepare
from deepmm_jax.threading.walks import Walks, find_walks


STANDARD_DISTANCE = 3.8
"""d_std of an MScore, Å: that of the chemistry, as no path is followed."""

PROPOSED = 2.5
"""Å: a residue of a proposal stands at the nearest candidate within this."""


def thread_models(
    evidence: Evidence,
    profile: SequenceProfile,
    config: ThreadingConfig,
    ranking: AlignmentConfig,
    seed: int = 0,
    proposals: CalphaModels | None = None,
) -> CalphaModels:
    """Thread a sequence through the Cα candidates of a map and rank the chains that are found.

    Every chain is also read backwards, so that the margin to the best reversed model shows in the scores. Of two models
    closer than `ranking.redundancy_rmsd` Å the one with the lower score is dropped, and `ranking.models` are kept.
    Positions are those of candidates, Å. The same input and seed give the same models on one machine.

    Of `proposals`, models of the same chain that another tracer made, the best are starts of further cool searches:
    what they become competes by the same score.

    Raises NothingBuiltError if no model has 10 residues, or all of a shorter sequence.
    """
    problem = threading_problem(evidence, profile)
    chains = find_chains(problem, config, seed, proposed_paths(problem, proposals, config.proposals))
    tables = prepare(problem)
    chains += [
        align_path(tables, chain.places[chain.places >= 0][::-1]) for chain in chains if (chain.places >= 0).any()
    ]

    places = np.array([chain.places for chain in chains], int).reshape(-1, len(profile))
    scores = np.array([chain_score(problem, chain) for chain in places])
    order = np.argsort(-scores, kind="stable")
    order = order[(places[order] >= 0).sum(axis=1) >= min(len(profile), FEWEST_RESIDUES)]
    if not len(order):
        raise NothingBuiltError(
            f"{profile.name}: no chain of {FEWEST_RESIDUES} residues leads through the {len(problem.sites)} places "
            "where the map may show a Cα; lower the contour level, and check that the map covers the molecule"
        )
    built = places >= 0
    positions = np.where(built[..., None], problem.points.positions[places], np.nan).astype(np.float32)
    order = order[distinct(positions[order], ranking.redundancy_rmsd, ranking.models)]
    return CalphaModels(
        positions=positions[order],
        built=built[order],
        scores=scores[order].astype(np.float32),
        mscores=np.array([model_mscore(profile, problem.points, places[k]) for k in order], np.float32),
        support=np.where(built, problem.points.calpha[places], 0.0)[order].astype(np.float32),
    )


def find_chains(
    problem: ThreadingProblem, config: ThreadingConfig, seed: int, proposed: Sequence[Int[np.ndarray, " _"]] = ()
) -> list[ThreadedChain]:
    """The chains that all searches find, in no order.

    `config.fields` runs of deterministic annealing (`field.py`) each give a path, from which a cool search goes on, as
    others do from the `proposed` paths; `config.searches` hot searches start from the longest path of the best bonds.
    Then `config.merges` runs of annealing see only the bonds of the chains found so far: they put together what each of
    them has right, as tours of a salesman are merged (Cook & Seymour 2003).
    """
    m, n = problem.sites.shape
    if not m:
        return []
    start = longest_path(problem)
    tables, walks = prepare(problem), find_walks(problem)
    halt = np.zeros(1, bool)

    def search(moves: int, temperature: float, path: Int[np.ndarray, " _"], state: int) -> ThreadedChain:
        return search_chain(tables, path, moves * n, (temperature, config.cold), state, halt)

    cool, hot = partial(search, config.polish, config.warm), partial(search, config.moves, config.hot)

    def anneal(problem: ThreadingProblem, walks: Walks, state: int) -> ThreadedChain:
        return cool(likely_path(settle(problem, walks, state, halt)), state)

    searches = [partial(anneal, problem, walks)] * config.fields + [partial(cool, path) for path in proposed]
    searches += [partial(hot, start if number % 2 == 0 else start[::-1]) for number in range(config.searches)]
    with ThreadPoolExecutor() as workers:
        try:
            chains = list(workers.map(lambda search, state: search(state), searches, states(seed, 0, len(searches))))
            narrow = merged(problem, chains)
            again = partial(anneal, narrow, find_walks(narrow))
            chains += workers.map(again, states(seed, 1, config.merges))
        finally:
            halt[0] = True  # Ctrl-C need not wait for the searches
    return chains


def states(seed: int, part: int, count: int) -> list[int]:
    """Seeds of so many searches."""
    return [int(np.random.SeedSequence((seed, part, k)).generate_state(1)[0]) for k in range(count)]


def merged(problem: ThreadingProblem, chains: Sequence[ThreadedChain]) -> ThreadingProblem:
    """The problem with the bonds of these chains and no others."""
    used = np.zeros_like(problem.bonds, bool)
    for chain in chains:
        before, after = chain.places[:-1], chain.places[1:]
        joined = (before >= 0) & (after >= 0)
        used[before[joined], after[joined]] = True
    return replace(problem, bonds=np.where(used, problem.bonds, -np.inf))


def proposed_paths(
    problem: ThreadingProblem, proposals: CalphaModels | None, limit: int
) -> list[Int[np.ndarray, " k"]]:
    """The candidates that the residues of the best proposals stand at, each once, in the order of the chain."""
    if proposals is None or not len(problem.sites):
        return []
    candidates = KDTree(problem.points.positions)
    paths = []
    for positions, built in list(zip(proposals.positions, proposals.built, strict=True))[:limit]:
        away, nearest = map(np.asarray, candidates.query(positions[built]))
        near = nearest[away < PROPOSED]
        paths.append(near[np.sort(np.unique(near, return_index=True)[1])].astype(np.int32))
    return paths


def model_mscore(profile: SequenceProfile, points: TypedPoints, places: np.ndarray) -> float:
    """The MScore of a threaded chain: its residues stand at the `points` that `places` says (-1: unbuilt)."""
    built = places >= 0
    here = TypedPoints(
        positions=points.positions[places],
        calpha=points.calpha[places],
        amino_acids=points.amino_acids[places],
        secondary_structure=points.secondary_structure[places],
    )
    distances = np.full(len(places), np.nan)
    residues = np.flatnonzero(built)
    distances[residues[1:]] = np.linalg.norm(np.diff(here.positions[residues], axis=0), axis=1)
    distances[residues[1:][np.diff(residues) > 1]] = np.nan  # no bond across unbuilt residues
    return paper_mscore(profile, here, built, distances, STANDARD_DISTANCE)
