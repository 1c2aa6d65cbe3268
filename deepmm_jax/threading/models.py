"""Cα models by threading: the sequence searched through the Cα candidates of a map; every search gives a model."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from deepmm_jax.alignment.mscore import paper_mscore
from deepmm_jax.alignment.ranking import FEWEST_RESIDUES, distinct
from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.config import AlignmentConfig, ThreadingConfig
from deepmm_jax.errors import NothingBuiltError
from deepmm_jax.evidence.volumes import Evidence, TypedPoints
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.threading.scores import chain_score, threading_problem
from deepmm_jax.threading.search import ThreadedChain, align_path, longest_path, prepare, search_chain


STANDARD_DISTANCE = 3.8
"""d_std of an MScore, Å: that of the chemistry, as no path is followed."""


def thread_models(
    evidence: Evidence, profile: SequenceProfile, config: ThreadingConfig, ranking: AlignmentConfig, seed: int = 0
) -> CalphaModels:
    """Thread a sequence through the Cα candidates of a map and rank the chains that `config.searches` searches find.

    Every chain is also read backwards, so that the margin to the best reversed model shows in the scores. Of two
    models closer than `ranking.redundancy_rmsd` Å the one with the lower score is dropped, and `ranking.models` are
    kept. Positions are those of candidates, Å. The same input and seed give the same models on every machine.

    Raises NothingBuiltError if no model has 10 residues, or all of a shorter sequence.
    """
    problem = threading_problem(evidence, profile)
    game, start = prepare(problem), longest_path(problem)
    temperatures = (config.hot, config.cold)
    seeds = [(seed, number) for number in range(config.searches)]

    def search(key: tuple[int, int]) -> ThreadedChain:
        path = start if key[1] % 2 == 0 else start[::-1]
        state = int(np.random.SeedSequence(key).generate_state(1)[0])
        return search_chain(game, path, config.steps, temperatures, state)

    with ThreadPoolExecutor() as workers:
        chains = list(workers.map(search, seeds))
    chains += [align_path(game, chain.places[chain.places >= 0][::-1]) for chain in chains if (chain.places >= 0).any()]

    places = np.array([chain.places for chain in chains])
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
