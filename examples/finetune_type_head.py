"""The type heads of the whole-map network, tuned through the differentiable alignment, end to end.

    python examples/finetune_type_head.py --cache runs/paths

What grows is the expected share of residues in their true places (or the log-likelihood of the true register): network,
pooling of types, match scores, soft alignment, with gradients all the way to the last layer of the shipped network, of
which only the channels of types may change. Prints the log-likelihood and the register accuracy of `val` chains before
and after, with error bars over chains. Nothing is saved: to ship such weights takes more chains than this.
"""

import argparse
import time
from functools import partial
from itertools import islice, product
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from learn_match_scores import OBJECTIVES, STANDARD, interval
from typed_paths import CONFIG, TypedPath, chosen_names, data_folder, kept_path

from deepmm_jax.alignment.match import log_odds_match
from deepmm_jax.alignment.soft_register import (
    MatchParameters,
    RegisterProblem,
    parameters_of,
    register_accuracy,
    register_alignment,
    register_log_likelihood,
    register_problem,
)
from deepmm_jax.config import AlignmentConfig
from deepmm_jax.constants import UNKNOWN_AMINO_ACID
from deepmm_jax.density.amplitudes import TAPER
from deepmm_jax.evidence.points import POOL_WIDTH
from deepmm_jax.networks.calibration import TYPE_HEADS, read_temperatures
from deepmm_jax.networks.checkpoints import find_checkpoint
from deepmm_jax.networks.inference import load_network
from deepmm_jax.networks.whole_map import HEADS, WholeMapConfig, apply_network, network_input, split_heads


SIDE = 80
"""Voxels of the box that a chain must fit into."""
LONGEST, SIZES = 120, (120, 800)
"""Residues of a chain at most, and what all are padded to: residues and points on a path."""
LOG_ODDS = AlignmentConfig(match="log-odds", weight_secondary_structure=0.0)


class Example(NamedTuple):
    """A chain as the loss needs it: what the network sees, and which voxels say what a point is."""

    density: jax.Array
    voxels: jax.Array
    weights: jax.Array
    amino_acids: jax.Array
    problem: RegisterProblem


def main() -> None:
    """Parse, tune, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps simulated, traced chains")
    parser.add_argument("--chains", type=int, default=12, help="training chains")
    parser.add_argument("--val-chains", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rate", type=float, default=3e-3, help="learning rate (Adam)")
    parser.add_argument("--objective", choices=OBJECTIVES, default="accuracy")
    arguments = parser.parse_args()
    data, started = data_folder(), time.process_time()
    examples = {}
    for split, count in (("train", arguments.chains), ("val", arguments.val_chains)):
        chains = (kept_path(data, name, arguments.cache) for name in chosen_names(data, split, LONGEST))
        fitting = (example for example in map(as_example, chains) if example is not None)
        examples[split] = list(islice(fitting, count))
    checkpoint = find_checkpoint(CONFIG.network)
    network, parameters = load_network(checkpoint)
    temperatures = read_temperatures(checkpoint)
    settings = {
        "network": network,
        "scores": parameters_of(CONFIG.alignment, STANDARD),
        "temperatures": tuple(temperatures[head] for head in TYPE_HEADS),
    }
    before = figures(parameters, examples["val"], settings)
    tuned = tune(parameters, examples["train"], arguments, settings)
    after = figures(tuned, examples["val"], settings)
    for name, old, new in zip(("log-likelihood per residue", "register accuracy"), before.T, after.T):
        mean, low, high = interval(new - old)
        verdict = "better" if low > 0 else "worse" if high < 0 else "no difference that these chains can show"
        print(f"{name}: {old.mean():.4f}, then {new.mean():.4f}: {mean:+.4f} ({low:+.4f} to {high:+.4f}), {verdict}")
    print(f"{len(before)} val chains, {len(examples['train'])} training chains, {time.process_time() - started:.0f} s")


def as_example(chain: TypedPath) -> Example | None:
    """The arrays of a chain; None where its box or path is too large."""
    if max(chain.density.shape) > SIDE or len(chain.points.positions) > SIZES[1]:
        return None
    inner = slice(TAPER, -TAPER)
    channels = network_input(np.pad(chain.density.data, TAPER, mode="symmetric"))[inner, inner, inner]
    voxels, weights = pooled_voxels(chain.votes, chain.density.shape)
    return Example(
        density=jnp.asarray(np.pad(channels, [*((0, SIDE - k) for k in chain.density.shape), (0, 0)]))[None],
        voxels=jnp.asarray(np.pad(voxels, ((0, SIZES[1] - len(voxels)), (0, 0), (0, 0)))),
        weights=jnp.asarray(np.pad(weights, ((0, SIZES[1] - len(weights)), (0, 0))), jnp.float32),
        amino_acids=jnp.asarray(
            np.pad(chain.profile.amino_acids, (0, SIZES[0] - len(chain.profile)), constant_values=UNKNOWN_AMINO_ACID)
        ),
        problem=register_problem(chain.profile, chain.points, chain.calpha, "log-odds", SIZES),
    )


def pooled_voxels(places: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The voxels (m, 27, 3) around each place, and how much each weighs in `type_points` (m, 27)."""
    last = np.array(shape) - 1
    places = np.clip(places, 0, last)
    voxels = np.rint(places).astype(int)[:, None] + np.array(list(product((-1, 0, 1), repeat=3)))[None]
    squared = ((voxels - places[:, None]) ** 2).sum(axis=-1)
    inside = ((voxels >= 0) & (voxels <= last)).all(axis=-1) & (squared <= CONFIG.typing.pool_radius**2)
    weights = np.where(inside, np.exp(-squared / POOL_WIDTH**2), 0.0)
    return np.clip(voxels, 0, last), weights / weights.sum(axis=1, keepdims=True)


def seen_by(
    parameters: Any, example: Example, network: WholeMapConfig, temperatures: tuple[float, ...]
) -> RegisterProblem:
    """The problem of an example with the types that the network sees."""
    outputs = split_heads(apply_network(network, parameters, example.density)[0])
    x, y, z = jnp.moveaxis(example.voxels, -1, 0)
    types = []
    for head, temperature in zip(TYPE_HEADS, temperatures):
        logarithms = jax.nn.log_softmax(outputs[head][x, y, z] / temperature)
        types.append(jax.nn.softmax((example.weights[..., None] * logarithms).sum(axis=1)))
    problem = example.problem
    match = log_odds_match(example.amino_acids, problem.residue_state, *types, LOG_ODDS)
    return problem._replace(types=match, point_state=types[1])


def tune(
    parameters: Any, examples: list[Example], arguments: argparse.Namespace, settings: dict[str, Any]
) -> dict[str, Any]:
    """Adam on the last layer's channels of types, one chain after another."""
    steps = arguments.epochs * len(examples)
    optimiser = optax.adam(optax.cosine_decay_schedule(arguments.rate, max(1, steps), 0.1))
    objective = OBJECTIVES[arguments.objective]
    layer = parameters["heads"]
    free = jnp.asarray(np.tile(np.repeat([head in TYPE_HEADS for head in HEADS], list(HEADS.values())), 8), jnp.float32)
    scores: MatchParameters = settings["scores"]

    @jax.jit
    def step(layer: Any, rest: Any, state: Any, example: Example) -> tuple[Any, Any, Any]:
        def loss(layer: Any) -> jax.Array:
            whole = rest | {"heads": layer}
            return -objective(scores, seen_by(whole, example, settings["network"], settings["temperatures"]))

        value, gradient = jax.value_and_grad(loss)(layer)
        gradient = jax.tree.map(lambda g: g * free.reshape((1,) * (g.ndim - 1) + (-1,)), gradient)
        updates, state = optimiser.update(gradient, state)
        return jax.tree.map(jnp.add, layer, updates), state, -value

    state, order = optimiser.init(layer), np.random.default_rng(0)
    for epoch in range(arguments.epochs):
        values = []
        for i in order.permutation(len(examples)):
            layer, state, value = step(layer, parameters, state, examples[i])
            values.append(float(value))
        print(f"epoch {epoch + 1}: mean objective {np.mean(values):.4f}", flush=True)
    return parameters | {"heads": layer}


def figures(parameters: Any, examples: list[Example], settings: dict[str, Any]) -> np.ndarray:
    """Log-likelihood per residue and register accuracy of each chain."""

    @partial(jax.jit, static_argnames=("network", "temperatures"))
    def measure(parameters: Any, example: Example, scores: MatchParameters, **sizes: Any) -> tuple[Any, Any]:
        problem = seen_by(parameters, example, **sizes)
        soft = register_alignment(scores, problem)
        return register_log_likelihood(scores, problem), register_accuracy(soft, problem)

    return np.array([[float(x) for x in measure(parameters, example, **settings)] for example in examples])


if __name__ == "__main__":
    main()
