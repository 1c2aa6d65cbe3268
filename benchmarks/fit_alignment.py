"""Weights and gap costs of the alignment from the likelihood of the true register on training chains.

    python benchmarks/fit_alignment.py simulated-experimental --chains 12 --paths runs/paths
    python benchmarks/fit_alignment.py simulated --names 7qbo_P 2iqj_B --val-names 1ash_A --paths runs/paths

Every chain is simulated, seen by the preset's network and traced; half of the chains lose a loop and their tails. The
likelihood is that of all alignments which put every visible residue within 2 Å of its Cα, among all alignments to the
path in both directions, under the recurrence of `exact` with sums in place of maxima. The fitted settings and today's
then align the same paths of validation chains. Writes benchmarks/results/fit-alignment-<kind>.json. `--paths` keeps
the traced chains between runs.
"""

import argparse
import json
import pickle
import time
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from evidence import chain_cases
from jax import lax
from scipy.optimize import minimize
from scipy.spatial import KDTree

from deepmm_jax.alignment.match import BACKGROUND_FREQUENCIES, PROBABILITY_FLOOR
from deepmm_jax.alignment.ranking import align_paths
from deepmm_jax.alignment.segments import segment_diameters
from deepmm_jax.alignment.skips import FORBIDDEN, LONGEST_LEAP, POINTS_LEAPT, path_leaps
from deepmm_jax.assessment.report import evaluate_model
from deepmm_jax.config import PRESETS, AlignmentConfig, BuildConfig
from deepmm_jax.constants import MATCH_SECONDARY_STRUCTURE, UNKNOWN_SECONDARY_STRUCTURE
from deepmm_jax.evidence.points import type_points
from deepmm_jax.evidence.volumes import TypedPoints
from deepmm_jax.files import data_directory
from deepmm_jax.networks.secondary_structure import predict_secondary_structure
from deepmm_jax.pipeline import main_chain_graph, map_evidence
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.write import calpha_chain
from deepmm_jax.tracing.paths import trace_paths
from deepmm_jax.tracing.values import MainChainPaths
from deepmm_jax.training.chains import split_names


NEAR = 2.0
"""Å from a Cα within which its residue may truly stand."""
REWARD = 50.0
"""Score that makes the true alignments those with the most visible residues."""
STANDARD = 3.5
"""d_std of the fit, Å."""
RESIDUES, POINTS, BAND = 192, 1280, 24
"""Sizes that chains are padded to, and points between neighbours at most in the fit."""
OFFSETS = tuple(o for o in POINTS_LEAPT if o <= BAND)
"""Leaps of the fit."""
WEIGHTS = ("weight_amino_acid", "weight_secondary_structure", "weight_calpha")
GAPS = ("end_gap", "skip_open", "skip_extend")


@dataclass(frozen=True, kw_only=True)
class TracedChain:
    """Main-chain paths of a chain, what its points are, and the truth."""

    name: str
    paths: MainChainPaths
    points: TypedPoints
    profile: SequenceProfile
    reference: Chain


def main() -> None:
    """Trace, fit, compare and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("simulated", "simulated-experimental"))
    parser.add_argument("--chains", type=int, default=20, help="training chains")
    parser.add_argument("--names", nargs="+", help="training chains by name instead")
    parser.add_argument("--val-names", nargs="+", help="validation chains instead of the list val-20")
    parser.add_argument("--paths", type=Path, required=True, help="folder that keeps traced chains")
    parser.add_argument("--iterations", type=int, default=60)
    arguments = parser.parse_args()
    data = data_directory()
    train = arguments.names or short_chains(data, arguments.chains)
    val = arguments.val_names or (data / "lists" / "val-20.txt").read_text().split()
    config = PRESETS["simulated" if arguments.kind == "simulated" else "experimental"]
    chains = traced(data, arguments.kind, train, config, arguments.paths)
    problems = [fit_problem(chain, i) for i, chain in enumerate(chains)]
    fitted, history = fit(
        [problem for problem in problems if problem is not None], config.alignment, arguments.iterations
    )
    changed = {name: getattr(fitted, name) for name in (*WEIGHTS, "weight_distance", *GAPS)}
    print(json.dumps(changed), flush=True)
    found = compare(traced(data, arguments.kind, val, config, arguments.paths), config.alignment, fitted)
    result = {"train": train, "fitted": changed, "log_likelihood_per_residue": history, "val": found}
    path = Path(__file__).parent / "results" / f"fit-alignment-{arguments.kind}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(found["mean"], indent=1), path)


def short_chains(data: Path, count: int) -> list[str]:
    """Every so many-th training chain of at most RESIDUES - 8 residues."""
    names = split_names(data / "structures", "train")
    spread = np.linspace(0, len(names) - 1, min(len(names), 3 * count)).astype(int)
    files = (data / "structures" / f"{names[i]}.pdb.gz" for i in spread)
    short = (file.name.split(".")[0] for file in files if len(read_chains(file)[0]) <= RESIDUES - 8)
    return list(islice(short, count))


def traced(data: Path, kind: str, names: list[str], config: BuildConfig, folder: Path) -> list[TracedChain]:
    """Chains from map to paths, each kept in a file of `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for name in names:
        kept = folder / f"{kind}-{name}.pkl"
        if not kept.exists():
            cases = chain_cases(data, kind, [name], 0)
            kept.write_bytes(pickle.dumps([trace(case.name, case, config) for case in cases]))
        found += pickle.loads(kept.read_bytes())
    return found


def trace(name: str, case: Any, config: BuildConfig) -> TracedChain:
    """Evidence, paths and typed points of a case, around the first voxel as in `build`."""
    started = time.perf_counter()
    evidence = map_evidence(case.density, case.n_residues, config)
    here = replace(evidence, origin=np.zeros(3))
    paths = trace_paths(main_chain_graph(here, config.tracing), config.tracing, 0)
    points = type_points(here, paths.points.positions, config.typing.pool_radius, vote=config.typing.vote)
    (chain,) = case.reference
    reference = replace(chain, positions=(chain.positions - evidence.origin).astype(np.float32))
    structure = predict_secondary_structure(chain.sequence)
    profile = SequenceProfile(name=name, letters=chain.sequence, secondary_structure=structure)
    print(name, f"{time.perf_counter() - started:.0f} s", flush=True)
    return TracedChain(name=name, paths=paths, points=points, profile=profile, reference=reference)


def fit_problem(chain: TracedChain, number: int) -> dict[str, Any] | None:
    """Features of every residue at every point of the first path, in both directions; None if it does not fit."""
    n, route = len(chain.profile), chain.paths.paths[0]
    calpha = chain.reference.calpha
    if n > RESIDUES:
        return None
    rng = np.random.default_rng(number)
    visible = np.ones(n, bool)
    if number % 2:  # a loop and both tails go
        length = int(rng.integers(5, 16))
        start = int(rng.integers(10, max(n - length - 10, 11)))
        visible[start : start + length] = visible[: rng.integers(1, 8)] = visible[n - rng.integers(1, 8) :] = False
    nearest = KDTree(calpha).query(chain.points.positions[route])[1]
    route = route[visible[nearest]]
    if len(route) > POINTS or len(route) < n:
        return None
    if np.corrcoef(np.arange(len(route)), KDTree(calpha).query(chain.points.positions[route])[1])[0, 1] < 0:
        route = route[::-1]
    background = np.log(BACKGROUND_FREQUENCIES / BACKGROUND_FREQUENCIES.sum())
    types = np.log(np.maximum(chain.points.amino_acids[route], PROBABILITY_FLOOR)) - background
    types = np.pad(types, ((0, 0), (0, 1)))[:, np.minimum(chain.profile.amino_acids, 20)].T
    matrix = MATCH_SECONDARY_STRUCTURE[:UNKNOWN_SECONDARY_STRUCTURE, :UNKNOWN_SECONDARY_STRUCTURE]
    structure = chain.profile.secondary_structure @ matrix @ chain.points.secondary_structure[route].T
    apart = np.linalg.norm(calpha[:, None] - chain.points.positions[route][None], axis=-1)
    support = np.broadcast_to(chain.points.calpha[route], types.shape)
    more = (0, RESIDUES - n), (0, POINTS - len(route))
    return {
        "features": np.stack([np.pad(values, more) for values in (types, structure, support)]).astype(np.float32),
        "true": np.pad((apart < NEAR) & visible[:, None], more),
        "positions": np.pad(chain.points.positions[route], (more[1], (0, 0)), mode="edge").astype(np.float32),
        "states": np.pad(chain.profile.secondary_structure, (more[0], (0, 0))).astype(np.float32),
        "n": np.int32(n),
        "m": np.int32(len(route)),
    }


def sum_of_alignments(
    sites: jax.Array, positions: jax.Array, weights: jax.Array, gaps: jax.Array, n: jax.Array, m: jax.Array
) -> jax.Array:
    """Logarithm of the sum over all alignments of exp(score): the `exact` recurrence with sums for maxima."""
    end_gap, skip_open, skip_extend = gaps
    rows, columns = sites.shape
    deviations = jnp.abs(segment_diameters(positions, BAND) - STANDARD)
    leaps = path_leaps(positions, skip_open, skip_extend)
    kept = np.array([POINTS_LEAPT.index(o) for o in OFFSETS])
    residues, scores = leaps.residues[:, kept], leaps.score[:, kept]
    start = end_gap * jnp.arange(rows)
    margin = LONGEST_LEAP + 1
    before = jnp.full((BAND, margin + rows), FORBIDDEN)

    def next_point(carry: tuple, point: tuple) -> tuple[tuple, jax.Array]:
        built, left = carry  # of the last BAND points, the latest first
        site, deviation, needed, score = point
        bonds = built[:, margin - 1 : -1] - weights[None] * deviation[:, None]
        shift = margin - 1 - needed[:, None] + jnp.arange(rows)[None]
        ways = jnp.take_along_axis(left[np.array(OFFSETS) - 1], shift, axis=1) + score[:, None]
        here = site + jax.nn.logsumexp(jnp.concatenate([bonds, ways, start[None]]), axis=0)
        here = jnp.maximum(here, FORBIDDEN)
        unbuilt = here
        for s in range((rows - 1).bit_length()):
            k = 1 << s
            earlier = jnp.concatenate([jnp.full(k, FORBIDDEN), unbuilt[:-k]]) + k * skip_extend
            unbuilt = jnp.logaddexp(unbuilt, earlier)
        edge = jnp.full(margin, FORBIDDEN)
        built = jnp.concatenate([jnp.concatenate([edge, here])[None], built[:-1]])
        left = jnp.concatenate([jnp.concatenate([edge, unbuilt])[None], left[:-1]])
        return (built, left), here

    steps = (sites.T, deviations.T, residues, scores)
    _, here = lax.scan(jax.checkpoint(next_point), (before, before), steps)
    finish = jnp.where(jnp.arange(rows) < n, end_gap * (n - 1 - jnp.arange(rows)), FORBIDDEN)
    return jax.nn.logsumexp(jnp.where(jnp.arange(columns)[:, None] < m, here + finish[None], FORBIDDEN))


@jax.jit
def minus_log_likelihood(values: jax.Array, problem: dict[str, jax.Array]) -> jax.Array:
    """Of the true register, per residue; `values` are the settings in the order of `as_config`."""
    sites = jnp.tensordot(values[:3], problem["features"], 1)
    real = jnp.arange(sites.shape[1])[None] < problem["m"]
    weights = problem["states"] @ values[3:6]
    gaps = values[6:]
    fixed = (weights, gaps, problem["n"], problem["m"])
    sites = jnp.where(real, sites, FORBIDDEN)
    # Leaving out a residue that has a point of its own is no true register: all of these are built if any way can.
    seen = jnp.count_nonzero((problem["true"] & real).any(axis=1))
    built = jnp.where(problem["true"], sites + REWARD, FORBIDDEN)
    truth = sum_of_alignments(built, problem["positions"], *fixed) - REWARD * seen
    forward = sum_of_alignments(sites, problem["positions"], *fixed)
    order = jnp.mod(problem["m"] - 1 - jnp.arange(sites.shape[1]), sites.shape[1])
    backward = sum_of_alignments(sites[:, order], problem["positions"][order], *fixed)
    return (jnp.logaddexp(forward, backward) - truth) / problem["n"]


def fit(
    problems: list[dict[str, Any]], config: AlignmentConfig, iterations: int
) -> tuple[AlignmentConfig, dict[str, float]]:
    """The settings of the greatest likelihood by L-BFGS-B within their ranges, started from `config`."""
    skip_open = -6.0 if config.skip_open is None else config.skip_open
    now = [getattr(config, name) for name in WEIGHTS] + list(config.weight_distance)
    now = np.array([*now, config.end_gap or 0.0, skip_open, config.skip_extend])
    differentiate = jax.jit(jax.value_and_grad(minus_log_likelihood))

    def mean(values: np.ndarray) -> tuple[float, np.ndarray]:
        each = [differentiate(jnp.asarray(values, jnp.float32), problem) for problem in problems]
        value, gradient = (np.mean([np.asarray(part, np.float64) for part in parts], axis=0) for parts in zip(*each))
        print(f"{value:.4f}", np.round(values, 3), flush=True)
        return float(value), gradient

    bounds = [(0.0, 10.0)] * 6 + [(-30.0, 0.0)] * 3
    best = minimize(mean, now, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxfun": iterations})
    history = {"chains": len(problems), "before": -mean(now)[0], "after": -float(best.fun)}
    return as_config(best.x, config), history


def as_config(values: np.ndarray, config: AlignmentConfig) -> AlignmentConfig:
    """Alignment settings from WEIGHTS, the distance weights of Helix, Sheet and Coil, and GAPS."""
    rounded = [round(float(value), 3) for value in values]
    named = dict(zip((*WEIGHTS, "", "", "", *GAPS), rounded))
    named.pop("")
    return replace(config, weight_distance=tuple(rounded[3:6]), **named)


def compare(chains: list[TracedChain], now: AlignmentConfig, fitted: AlignmentConfig) -> dict[str, Any]:
    """Figures of the best model of each chain on the same paths, with both settings."""
    columns = ("coverage", "ca_rmsd", "tm_score", "residue_match", "sequence_match")
    cases = {}
    for chain in chains:
        row = {}
        for label, config in (("now", now), ("fitted", fitted)):
            models = align_paths(chain.paths, chain.points, chain.profile, config)
            model = calpha_chain("A", chain.profile.letters, models.positions[0])
            figures = evaluate_model([model], [chain.reference])
            row[label] = {name: round(float(figures[name] or 0.0), 4) for name in columns}
        cases[chain.name] = row
        print(chain.name, row["now"]["sequence_match"], row["fitted"]["sequence_match"], flush=True)
    mean = {
        label: {name: round(float(np.mean([row[label][name] for row in cases.values()])), 4) for name in columns}
        for label in ("now", "fitted")
    }
    return {"mean": mean, "cases": cases}


if __name__ == "__main__":
    main()
