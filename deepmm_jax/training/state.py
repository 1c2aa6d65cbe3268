"""State of a run: weights, their average, the optimiser; fresh, or as a run left it, and the runs before."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax
from jax import Array

from deepmm_jax.devices import is_first
from deepmm_jax.errors import CheckpointError, ConfigError
from deepmm_jax.networks.checkpoints import load_checkpoint, load_tree, save_tree
from deepmm_jax.networks.inference import load_network
from deepmm_jax.networks.whole_map import WholeMapConfig, initial_parameters, parameter_shapes
from deepmm_jax.training.plan import TrainingConfig


T = TypeVar("T")


class TrainingState(NamedTuple):
    """All that a run needs to go on."""

    parameters: Any
    averaged: Any
    optimiser: Any
    step: Array


def make_optimiser(config: TrainingConfig) -> optax.GradientTransformation:
    """Muon on convolution and matrix kernels (input axes flattened), Adam on the rest."""

    def axes(parameters: Any) -> Any:
        def of(leaf: Array) -> Any:
            if leaf.ndim < 2:
                return None
            return optax.contrib.MuonDimensionNumbers(tuple(range(leaf.ndim - 1)), leaf.ndim - 1)

        return jax.tree.map(of, parameters)

    return optax.contrib.muon(
        config.matrix_rate,
        adam_learning_rate=config.vector_rate,
        muon_weight_dimension_numbers=axes,
    )


def starting_state(
    output: Path, network: WholeMapConfig, config: TrainingConfig, initial: str | Path | None
) -> TrainingState:
    """The state kept in `output/run`, or a fresh one from the weights of `initial` or, without it, from the seed."""
    fresh_from = None if is_kept(output) else initial
    parameters = initial_parameters(network, config.seed) if fresh_from is None else weights_of(fresh_from, network)
    copy = jax.tree.map(jnp.array, parameters)
    fresh = TrainingState(parameters, copy, make_optimiser(config).init(parameters), jnp.zeros((), jnp.int32))
    return kept_state(output, fresh)


def is_kept(output: Path) -> bool:
    """Whether `output/run` holds the state of a run."""
    return (output / "run" / "state").exists()


def kept_state(output: Path, fresh: T) -> T:
    """The state kept in `output/run`, of the same form as `fresh`, or `fresh` where there is none."""
    if not is_kept(output):
        return fresh
    try:
        leaves = load_tree(output / "run" / "state", _as_dict(fresh))
    except CheckpointError as error:
        raise CheckpointError(f"{error}; give another output folder or remove this one") from error
    return jax.tree.unflatten(jax.tree.structure(fresh), [leaves[str(i)] for i in range(len(leaves))])


def weights_of(initial: str | Path, network: WholeMapConfig) -> dict[str, Any]:
    """Weights of a checkpoint for a network that may also look at the standard density, at first with zero weight."""
    known, _ = load_network(initial)
    if (known.inputs, network.inputs) != ("density", "both"):
        return load_checkpoint(initial, parameter_shapes(network))[0]
    parameters, _ = load_checkpoint(initial, parameter_shapes(replace(network, inputs="density")))
    kernel = parameters["stem"]["kernel"]
    # Space to depth keeps the channels of a voxel together: the standard density is every second one.
    parameters["stem"]["kernel"] = jnp.stack([kernel, jnp.zeros_like(kernel)], axis=4).reshape(
        *kernel.shape[:3], 2 * kernel.shape[3], kernel.shape[4]
    )
    return parameters


def save_state(state: Any, output: Path) -> None:
    """Keep the state in `output/run`, all or nothing."""
    save_tree(output / "run" / "state", _as_dict(state))


def _as_dict(state: Any) -> dict[str, Any]:
    return {str(i): leaf for i, leaf in enumerate(jax.tree.leaves(state))}


def check_settled(output: Path, training: dict[str, Any], settled: Sequence[str]) -> None:
    """Raise ConfigError if the run kept in `output/run` had other ones of the settings that may not change."""
    path = output / "run" / "history.json"
    if not is_kept(output) or not path.is_file():
        return
    before = json.loads(path.read_text())[-1]["training"]
    others = [name for name in settled if name in before and before[name] != training[name]]
    if others:
        was, now = (", ".join(f"{name} {values[name]}" for name in others) for values in (before, training))
        raise ConfigError(
            f"{output} holds a run with {was}, and this one has {now}; go on with the same, or give another --output "
            f"and --initial {output}"
        )


def run_history(output: Path, run: dict[str, Any]) -> list[dict[str, Any]]:
    """All runs that led to these weights, this one last; kept in `output/run/history.json` by the first process."""
    if not is_first():
        return [run]
    path = output / "run" / "history.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    runs = [*json.loads(path.read_text()), run] if path.is_file() else [run]
    path.write_text(json.dumps(runs, indent=1) + "\n")
    return json.loads(path.read_text())
