"""Training the whole-map network: Muon with a constant rate, a weight average, a decaying tail; resumable."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh

from deepmm_jax.devices import agreed, batch_mesh, copied, describe, is_first, one_copy, spread
from deepmm_jax.errors import ConfigError
from deepmm_jax.networks.checkpoints import read_card, save_checkpoint
from deepmm_jax.networks.inference import load_network
from deepmm_jax.networks.whole_map import WholeMapConfig, apply_network
from deepmm_jax.training.chains import TrainingChain, load_training_chains, source_of_names, split_names, training_names
from deepmm_jax.training.examples import Example, Sources, batches
from deepmm_jax.training.losses import type_accuracies, voxel_targets, whole_map_loss
from deepmm_jax.training.plan import TrainingConfig
from deepmm_jax.training.real_maps import NOT_LEARNT_FROM, RealMap, listed_maps, load_real_maps, residuals_of
from deepmm_jax.training.state import (
    TrainingState,
    check_settled,
    make_optimiser,
    run_history,
    save_state,
    starting_state,
)


logger = logging.getLogger(__name__)

SETTLED = ("batch_size", "crop")
"""Settings that a run keeps when it goes on: what it saw is counted by them."""


@partial(jax.jit, static_argnames=("network", "config"), donate_argnames="state")
def training_step(
    state: TrainingState, batch: Example, rate: Array, *, network: WholeMapConfig, config: TrainingConfig
) -> tuple[TrainingState, dict[str, Array]]:
    """One step; `rate` (0–1) scales the learning rates."""

    def objective(parameters: Any) -> tuple[Array, dict[str, Array]]:
        outputs = apply_network(network, parameters, jnp.asarray(batch.density))
        return whole_map_loss(outputs, voxel_targets(batch), absolute=config.absolute, auxiliary=config.auxiliary)

    gradients, losses = jax.grad(objective, has_aux=True)(state.parameters)
    updates, optimiser = make_optimiser(config).update(gradients, state.optimiser, state.parameters)
    parameters = jax.tree.map(lambda p, u: p + rate * u, state.parameters, updates)
    decay = jnp.minimum(config.average, (1.0 + state.step) / (10.0 + state.step))
    averaged = jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, state.averaged, parameters)
    return TrainingState(parameters, averaged, optimiser, state.step + 1), losses


@partial(jax.jit, static_argnames="network")
def validation_figures(parameters: Any, batch: Example, *, network: WholeMapConfig) -> dict[str, Array]:
    """Losses and type accuracies of a batch."""
    targets = voxel_targets(batch)
    outputs = apply_network(network, parameters, jnp.asarray(batch.density))
    return whole_map_loss(outputs, targets)[1] | type_accuracies(outputs, targets)


def validate(parameters: Any, held: dict[str, list[Example]], network: WholeMapConfig) -> dict[str, dict[str, float]]:
    """Mean figures on fixed validation batches, for simulated, experimental-like and real maps apart."""
    figures = {}
    for kind, examples in held.items():
        rows = [validation_figures(parameters, batch, network=network) for batch in examples]
        figures[kind] = {name: float(sum(row[name] for row in rows) / len(rows)) for name in rows[0]}
    return figures


def train_whole_map(
    data: Path,
    output: Path,
    *,
    network: WholeMapConfig | None = None,
    config: TrainingConfig | None = None,
    initial: str | Path | None = None,
    train_list: list[str] | None = None,
    command: str = "",
    report: Callable[[str], None] = logger.info,
) -> dict[str, Any]:
    """Train on `data/structures` and `data/maps` and write a checkpoint (averaged weights, card.json) to `output`.

    `output/run` keeps the full state; calling again with the same folder goes on from it. `initial` names a
    checkpoint whose weights (and network, unless one is given) start a fresh run. `train_list` replaces the package's
    list of training chains. The batch is shared by all devices, and by all processes after `start_distributed`, of
    which the first writes and reports.
    Returns the card.
    """
    config = config or TrainingConfig()
    mesh = batch_mesh(config.batch_size)
    check_settled(output, asdict(config), SETTLED)
    report = report if is_first() else logger.debug
    report(plan_line(mesh, config.batch_size, "crops"))
    if network is None:
        network = WholeMapConfig() if initial is None else load_network(initial)[0]
    structures = data / "structures"
    names = train_list or training_names(structures)
    chains = load_training_chains(structures, names)
    seen, unseen = _real_maps(data, config)
    sources = Sources(
        chains=chains,
        simulated_share=config.simulated_share,
        real_maps=seen,
        real_share=config.real_share,
        residuals=residuals_of(seen),
    )
    held = _held_out(load_training_chains(structures, split_names(structures, "val")[:48]), unseen)
    state = starting_state(output, network, config, initial)
    first = int(state.step)
    report(
        f"{len(chains)} chains, {sum(leaf.size for leaf in jax.tree.leaves(state.parameters))} weights, step {first}"
    )
    share = config.batch_size // jax.process_count()
    stream = batches(sources, share, config.seed, first, config.crop, part=jax.process_index())
    run = {"command": command, "training": asdict(config), "first_step": first}
    lent = [real.name for real in seen]
    run |= {"noise_of": lent, "crops_of": lent if config.real_share > 0 else []}
    runs = run_history(output, run | ({"initial": origin(initial, "voxels")} if first == 0 else {}))
    state, figures = _run(state, stream, held, output, network, config, mesh, report)
    card = {
        "kind": "whole-map",
        "network": network.as_dict(),
        "runs": runs,
        "initial": runs[0].get("initial"),
        "data": {
            "list": source_of_names(structures, train_list),
            "chains": len(names),
            "sha256": hashlib.sha256("\n".join(names).encode()).hexdigest(),
        },
        "steps": int(state.step),
        "voxels": int(state.step) * config.batch_size * config.crop**3,
        "validation": figures,
        "versions": {name: version(name) for name in ("deepmm-jax", "jax", "optax")},
    }
    save_checkpoint(output, state.averaged, card)
    return card


def _real_maps(data: Path, config: TrainingConfig) -> tuple[list[RealMap], list[RealMap]]:
    """Real maps to learn from, and those of the unseen groups; none where the data folder has no maps.

    Raises ConfigError for a group that does not exist or real crops without maps.
    """
    groups = {row.group for row in listed_maps(data / "maps")}
    for group in config.unseen_groups:
        if group not in groups:
            raise ConfigError(f"unseen_groups: {group!r} is no group; choose from {', '.join(sorted(groups))}")
    if not (data / "maps").is_dir():
        if config.real_share > 0:
            raise ConfigError(f"real_share is {config.real_share}, but {data / 'maps'} does not exist; set it to 0")
        return [], []
    real_maps = load_real_maps(data)
    unseen = [real for real in real_maps if real.group in config.unseen_groups]
    seen = [real for real in real_maps if real.group not in config.unseen_groups and not real.notes & NOT_LEARNT_FROM]
    if config.real_share > 0 and not seen:
        raise ConfigError("unseen_groups leaves no real map to learn from; leave some out of it or set real_share to 0")
    return seen, unseen


def _held_out(chains: list[TrainingChain], real_maps: list[RealMap]) -> dict[str, list[Example]]:
    """Twelve fixed batches of two crops for each kind of map."""
    kinds = {
        "simulated": Sources(chains=chains, simulated_share=1.0),
        "experimental": Sources(chains=chains, simulated_share=0.0),
    }
    if real_maps:
        kinds["real"] = Sources(chains=chains, simulated_share=0.0, real_maps=real_maps, real_share=1.0)
    return {kind: list(islice(batches(sources, 2, seed=7), 12)) for kind, sources in kinds.items()}


def origin(initial: str | Path | None, examples: str) -> dict[str, Any] | None:
    """What the card says of a checkpoint that a run began from; `examples` names the count of what it had seen."""
    if initial is None:
        return None
    card = read_card(initial)
    return {"checkpoint": Path(initial).name} | {key: card.get(key) for key in ("initial", "runs", "steps", examples)}


def _run(
    state: TrainingState,
    stream: Iterator[Example],
    held: dict[str, list[Example]],
    output: Path,
    network: WholeMapConfig,
    config: TrainingConfig,
    mesh: Mesh,
    report: Callable[[str], None],
) -> tuple[TrainingState, dict[str, dict[str, float]]]:
    """Step until the budget is spent; validate and save on the way. The state that is returned lies on one device."""

    def stands(state: TrainingState) -> tuple[TrainingState, dict[str, dict[str, float]]]:
        """Validate and keep everything."""
        here = one_copy(state)
        figures = validate(here.averaged, held, network)
        if is_first():
            _record(output, here, figures, report)
        save_state(here, output)
        return here, figures

    state = copied(state, mesh)
    clock = minutes_of(config.clock)
    done = 0
    recent: dict[str, float] = {}
    while True:
        left = float(agreed(config.minutes - clock()))
        if done and (left <= 0 or (config.steps is not None and done >= config.steps)):
            break
        tail = min(1.0, max(left, 0.0) / config.tail_minutes) if config.tail_minutes > 0 else 1.0
        rate = jnp.float32(tail * min(1.0, (done + 1) / config.warm_up))
        state, losses = training_step(state, spread(next(stream), mesh), rate, network=network, config=config)
        done += 1
        recent = {k: 0.98 * recent.get(k, float(v)) + 0.02 * float(v) for k, v in losses.items()}
        if done % 25 == 0:
            speed = done * config.batch_size * config.crop**3 / (60 * clock())
            report(f"step {int(state.step)} {_line(recent)} rate {float(rate):.2f} {speed:.0f} voxels/s")
        if done % config.validate_every == 0:
            stands(state)
    return stands(state)


def plan_line(mesh: Mesh, batch_size: int, items: str) -> str:
    """What trains, for the first line of a run: devices, their memory, and how they share a batch."""
    idle = len(jax.devices()) - mesh.size
    advice = f"; {idle} more would help with a batch that {mesh.size + idle} devices share evenly" if idle else ""
    return f"{describe(list(mesh.devices.flat))}; {batch_size // mesh.size} {items} a step each{advice}"


def minutes_of(kind: Literal["wall", "processor"]) -> Callable[[], float]:
    """Minutes since now, by the clock on the wall or by the processor time of this process over all cores."""
    now, cores = (time.monotonic, 1) if kind == "wall" else (time.process_time, os.cpu_count() or 1)
    started = now()
    return lambda: (now() - started) / (60 * cores)


def _record(
    output: Path, state: TrainingState, figures: dict[str, dict[str, float]], report: Callable[[str], None]
) -> None:
    for kind, row in figures.items():
        report(f"validation {kind}: {_line(row)}")
    with (output / "run" / "curve.jsonl").open("a") as stream:
        stream.write(json.dumps({"step": int(state.step), **figures}) + "\n")


def _line(figures: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.3f}" for name, value in figures.items())
