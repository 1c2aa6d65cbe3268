"""Match scores and gap costs by maximum likelihood of the true register, through the differentiable alignment.

    python examples/learn_match_scores.py --cache runs/paths

Learns M_AA and M_SS, all weights, d_std and the costs of unbuilt residues from training chains whose maps are
simulated with noise at 3 to 4.5 Å, twice: in the paper's form (matrices on the most probable classes) and in that of
the program (log-odds of the twenty types). Both are then compared with what they started from on `val` chains: the
share of residues put within 2 Å of their Cα, of those that have such a point on their path, by three ways to decide:

best       the alignment of the highest score, as `exact` finds it
bonus      the same with the mean entropy of a residue's true place added for every residue that is built: a residue has
           some five points, of which the sum over alignments counts all and the best alignment one
posterior  the alignment of the greatest sum of marginals

`--objective accuracy` maximises instead the expected share of residues in their true places, through the gradients of
the marginals. Prints tables with error bars (bootstrap over chains) and the learnt values; `--output` keeps them.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from typed_paths import TypedPath, chosen_names, data_folder, kept_path

from deepmm_jax.alignment.ranking import align_routes
from deepmm_jax.alignment.soft_register import (
    MatchParameters,
    RegisterProblem,
    distance_weights_of,
    parameters_of,
    register_accuracy,
    register_alignment,
    register_log_likelihood,
    register_problem,
    site_scores,
    within_ranges,
)
from deepmm_jax.config import AlignmentConfig


FORMS = {"matrices": "the paper's form", "log-odds": "the program's form"}
STANDARD = 3.5
"""d_std that learning starts from, Å; before it, the best of the eight of the configuration counts."""
WAYS = ("best", "bonus", "posterior")
ENTROPY = ("register_entropy", "built")
ALIGN = jax.jit(register_alignment)
Objective = Callable[[MatchParameters, RegisterProblem], jax.Array]


def expected_accuracy(parameters: MatchParameters, problem: RegisterProblem) -> jax.Array:
    """Mean probability that a residue stands in its true place."""
    return register_accuracy(register_alignment(parameters, problem), problem)


OBJECTIVES: dict[str, Objective] = {"likelihood": register_log_likelihood, "accuracy": expected_accuracy}
LONGEST, SIZES = 150, (152, 1024)
"""Residues of a chain at most, and what all are padded to: residues and points on a path."""


def main() -> None:
    """Parse, learn, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps simulated, traced chains")
    parser.add_argument("--chains", type=int, default=32, help="training chains")
    parser.add_argument("--val-chains", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=8, help="passes over the training chains")
    parser.add_argument("--rate", type=float, default=0.05, help="learning rate (Adam)")
    parser.add_argument("--objective", choices=OBJECTIVES, default="likelihood")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    parser.add_argument("--output", type=Path, help="JSON file for the figures and the learnt values")
    arguments = parser.parse_args()
    data, started = data_folder(), time.process_time()
    chains = {
        split: [kept_path(data, name, arguments.cache) for name in islice(chosen_names(data, split, LONGEST), count)]
        for split, count in (("train", arguments.chains), ("val", arguments.val_chains))
    }
    result: dict[str, Any] = {"command": f"python examples/learn_match_scores.py {shlex.join(sys.argv[1:])}"}
    result["chains"] = {split: [chain.name for chain in found] for split, found in chains.items()}
    for form in arguments.forms:
        config = replace(AlignmentConfig(), match=form)
        result[form] = study(config, chains, OBJECTIVES[arguments.objective], arguments.epochs, arguments.rate)
        print(f"\n{FORMS[form]} ({form})\n{table(result[form])}", flush=True)
    result["processor_seconds"] = round(time.process_time() - started)
    print(f"\n{result['processor_seconds']} s of processor time")
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")


def study(
    config: AlignmentConfig, chains: dict[str, list[TypedPath]], objective: Objective, epochs: int, rate: float
) -> dict[str, Any]:
    """Learn in one form, and the figures of `val` before and after."""
    problems = {split: as_problems(found, config.match) for split, found in chains.items()}
    before = parameters_of(config, STANDARD)
    after = learn(before, problems["train"], objective, epochs, rate)
    likelihood = jax.jit(register_log_likelihood)
    result: dict[str, Any] = {"learnt": jax.tree.map(lambda x: np.round(np.asarray(x), 3).tolist(), after._asdict())}
    accuracies: dict[str, dict[str, np.ndarray]] = {}
    for label, parameters, distances in (
        ("before", before, config.distances),
        ("after", after, (float(after.standard_distance),)),
    ):
        bonus = mean_entropy(parameters, problems["train"])
        found = [decided(parameters, problem, distances, bonus) for problem in problems["val"]]
        accuracies[label] = {way: np.array([row[way] for row in found]) for way in WAYS}
        result[label] = {"bonus": round(bonus, 3)}
        for split in ("train", "val"):
            each = [float(likelihood(parameters, problem)) for problem in problems[split]]
            result[label][f"{split}_log_likelihood"] = round(float(np.mean(each)), 4)
        for way, values in accuracies[label].items():
            result[label][way] = interval(values)
            result[label][f"{way}_by_chain"] = [round(float(value), 4) for value in values]
    result["gain"] = {way: interval(accuracies["after"][way] - accuracies["before"][way]) for way in WAYS}
    result["gain_over_best"] = {way: interval(accuracies["after"][way] - accuracies["before"]["best"]) for way in WAYS}
    return result


def as_problems(chains: list[TypedPath], form: Any) -> list[RegisterProblem]:
    """The chains whose paths are no longer than the common size."""
    fitting = [chain for chain in chains if len(chain.points.positions) <= SIZES[1]]
    return [register_problem(chain.profile, chain.points, chain.calpha, form, SIZES) for chain in fitting]


def learn(
    start: MatchParameters, problems: list[RegisterProblem], objective: Objective, epochs: int, rate: float
) -> MatchParameters:
    """Adam over one chain after another with a falling rate; the mean of the last quarter's parameters."""
    steps = epochs * len(problems)
    optimiser = optax.adam(optax.cosine_decay_schedule(rate, steps, 0.1))

    @jax.jit
    def step(parameters: MatchParameters, state: Any, problem: RegisterProblem) -> tuple[MatchParameters, Any, Any]:
        value, gradient = jax.value_and_grad(objective)(parameters, problem)
        updates, state = optimiser.update(jax.tree.map(jnp.negative, gradient), state)
        return within_ranges(jax.tree.map(jnp.add, parameters, updates)), state, value

    parameters, state, kept = start, optimiser.init(start), []
    order = np.random.default_rng(0)
    for epoch in range(epochs):
        values = []
        for i in order.permutation(len(problems)):
            parameters, state, value = step(parameters, state, problems[i])
            values.append(float(value))
            if 4 * (epoch + 1) > 3 * epochs:
                kept.append(parameters)
        print(f"epoch {epoch + 1}: mean objective {np.mean(values):.4f}", flush=True)
    return jax.tree.map(lambda *each: jnp.mean(jnp.stack(each), axis=0), *kept)


def mean_entropy(parameters: MatchParameters, problems: list[RegisterProblem]) -> float:
    """Entropy of the places of residues in the true register, nats: the mean over all that are built."""
    align = jax.jit(partial(register_alignment, truly=True))
    found = [align(parameters, problem) for problem in problems]
    entropy, built = (np.concatenate([np.asarray(getattr(soft, name)) for soft in found]) for name in ENTROPY)
    return float(entropy[built > 0.5].mean())


def decided(
    parameters: MatchParameters, problem: RegisterProblem, distances: tuple[float, ...], bonus: float
) -> dict[str, float]:
    """Share of the residues with a true place on the path that stand there, by each way to decide."""
    scores, weights = site_scores(parameters, problem), distance_weights_of(parameters, problem)
    gap, marginals = float(parameters.end_gap), ALIGN(parameters, problem).marginals
    return {
        "best": accuracy(problem, scores, weights, distances, gap, parameters.skip),
        "bonus": accuracy(problem, scores + bonus, weights, distances, gap, parameters.skip),
        "posterior": accuracy(problem, marginals, 0 * weights, distances[:1], 0.0, 0 * parameters.skip),
    }


def accuracy(
    problem: RegisterProblem, scores: Any, weights: Any, distances: tuple[float, ...], end_gap: float, skip: Any
) -> float:
    """Share of the residues with a true place on the path that the best alignment of all d_std puts there."""
    found, points, _ = align_routes(
        scores,
        problem.positions,
        jnp.arange(SIZES[1])[None],
        problem.n_points[None],
        weights,
        jnp.asarray(distances, jnp.float32),
        problem.n_residues,
        skip,
        recurrence="exact",
        band=AlignmentConfig().band,
        end_gap=end_gap,
        batch=1,
    )
    best = np.asarray(points)[0, int(np.argmax(np.asarray(found)[0]))]
    true = np.asarray(problem.true)
    right = (best >= 0) & true[np.arange(len(best)), best]
    return float(right.sum() / max(true.any(axis=1).sum(), 1))


def interval(values: np.ndarray) -> list[float]:
    """Mean, and the 2.5 and 97.5 per cent points of the means of 10,000 resampled sets of chains."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (10_000, len(values)))].mean(axis=1)
    return [round(float(x), 4) for x in (values.mean(), *np.percentile(means, [2.5, 97.5]))]


def table(result: dict[str, Any]) -> str:
    """Before and after, the gain, and the gain over the best alignment before."""
    rows = [f"{'':12s} log-likelihood  " + "  ".join(f"{way:28s}" for way in WAYS)]
    for label in ("before", "after", "gain", "gain_over_best"):
        row = result[label]
        sign = "+" if label.startswith("gain") else ""
        cells = ["{:{s}.3f} ({:{s}.3f} to {:{s}.3f})".format(*row[way], s=sign) for way in WAYS]
        likelihood = "" if sign else f"{row['val_log_likelihood']:.4f}"
        rows.append(f"{label:14s} {likelihood:>12s}  " + "  ".join(f"{cell:28s}" for cell in cells))
    return "\n".join([*rows, json.dumps(result["learnt"])])


if __name__ == "__main__":
    main()
