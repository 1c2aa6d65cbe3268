"""Training of DenseNets A and B: Adam, mean absolute error or cross-entropy (sections 2.2 and 2.6); resumable."""

import hashlib
import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float, Key

from deepmm_jax.devices import agreed, batch_mesh, check_batch_memory, copied, is_first, one_copy, own_rows, spread
from deepmm_jax.errors import ConfigError
from deepmm_jax.evidence.boxes import spans
from deepmm_jax.networks.boxes import (
    OUTPUTS,
    BoxConfig,
    BoxKind,
    BoxNetwork,
    apply_box_network,
    box_outputs,
    initial_weights,
    load_box_network,
    save_box_network,
)
from deepmm_jax.networks.densenet import Tree, fresh_moments
from deepmm_jax.training.box_examples import BoxBatch, BoxStream, PointSet, VoxelSet, box_set
from deepmm_jax.training.chains import (
    TrainingChain,
    load_training_chains,
    source_of_names,
    split_names,
    training_names,
)
from deepmm_jax.training.examples import made_ahead
from deepmm_jax.training.plan import TrainingConfig
from deepmm_jax.training.real_maps import NOT_LEARNT_FROM, RealMap, load_real_maps
from deepmm_jax.training.state import check_settled, kept_state, run_history, save_state
from deepmm_jax.training.whole_map import minutes_of, origin, plan_line


logger = logging.getLogger(__name__)

MOMENTUM = 0.1
"""Share of a batch's moments in the running ones."""
PAPER_EPOCHS = 30
"""Networks that saw fewer are called undertrained."""
BYTES_A_BOX = {"box-a": 82_000_000, "box-b": 46_000_000}
"""What a box takes while its gradient is computed, by XLA's count on a CPU."""
SETTLED = ("maps", "chains", "batch_size", "rate", "decay", "weight_decay", "balanced", "augmented", "seed")
"""Settings that a run keeps when it goes on; its length may change."""
VALIDATION_CHAINS, VALIDATION_BATCHES, VALIDATION_SIZE = 48, 8, 64


@dataclass(frozen=True, kw_only=True)
class BoxTraining:
    """Schedule of a box network; the defaults are the reduced one for two processor cores."""

    boxes: int = 60_000
    """Boxes that the whole schedule sees, over all runs; without `epochs`."""
    epochs: int | None = None
    """The same in visits of every box of the training chains."""
    maps: Literal["simulated", "real"] = "simulated"
    """At 5 Å, of training chains; or the listed real maps, for the paper's second pair of networks."""
    chains: int = 200
    """Training chains of simulated maps, drawn from the list by the seed."""
    batch_size: int = 16
    """Few enough for the cache of a processor: 32 take a quarter longer a box."""
    rate: float = 1e-3
    """Adam's rate at first."""
    decay: Literal["cosine", "steps"] = "cosine"
    """To zero along half a cosine, or a tenth after each third of the schedule."""
    weight_decay: float = 1e-6
    """L2 regularisation, added to the gradient."""
    balanced: bool = True
    """A: every range of labels equally often, instead of every voxel once an epoch."""
    augmented: bool = True
    """The 24 turns of a cube; B: new points in every epoch."""
    minutes: float | None = None
    """Wall-clock budget of this run; the schedule goes on in the next."""
    steps: int | None = None
    """Steps of this run at most (tests)."""
    validate_every: int = 100
    """Steps between validations."""
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("boxes", "epochs", "chains", "batch_size", "rate", "minutes", "steps", "validate_every"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{name} is {value:g} and must be above 0")


PRESETS = {
    "reduced": BoxTraining(),
    "paper-training": BoxTraining(
        epochs=PAPER_EPOCHS, chains=100, batch_size=512, decay="steps", balanced=False, augmented=False
    ),
}
"""Schedules by name: one for two processor cores, and the paper's."""


class BoxState(NamedTuple):
    """All that a run needs to go on."""

    weights: Tree
    moments: Tree
    optimiser: Any
    step: Array


def optimiser(config: BoxTraining) -> optax.GradientTransformation:
    """Adam with L2 regularisation; the rate is an argument of the step."""
    return optax.chain(optax.add_decayed_weights(config.weight_decay), optax.scale_by_adam())


def box_loss(kind: BoxKind, outputs: dict[str, Float[Array, "b _"]], labels: Array) -> dict[str, Float[Array, ""]]:
    """Mean absolute error of each probability, or cross-entropy (nats) of each type."""
    if kind == "box-a":
        return {head: jnp.abs(outputs[head][:, 0] - labels[:, i]).mean() for i, head in enumerate(OUTPUTS[kind])}
    entropy = optax.softmax_cross_entropy_with_integer_labels
    return {head: entropy(outputs[head], labels[:, i]).mean() for i, head in enumerate(OUTPUTS[kind])}


@partial(jax.jit, static_argnames=("kind", "network", "config"), donate_argnames="state")
def training_step(
    state: BoxState,
    batch: BoxBatch,
    rate: Float[Array, ""],
    key: Key[Array, ""],
    *,
    kind: BoxKind,
    network: BoxConfig,
    config: BoxTraining,
) -> tuple[BoxState, dict[str, Float[Array, ""]]]:
    """One step of Adam at a rate; the losses of the heads, which count alike."""

    def objective(weights: Tree) -> tuple[Array, tuple[dict[str, Array], Tree]]:
        dice = jax.random.fold_in(key, state.step)
        outputs, used = apply_box_network(network, weights, jnp.asarray(batch.boxes), key=dice)
        losses = box_loss(kind, outputs, jnp.asarray(batch.labels))
        return sum(losses.values(), jnp.zeros(())), (losses, used)

    gradients, (losses, used) = jax.grad(objective, has_aux=True)(state.weights)
    updates, inner = optimiser(config).update(gradients, state.optimiser, state.weights)
    weights = jax.tree.map(lambda w, u: w - rate * u, state.weights, updates)
    moments = jax.tree.map(lambda old, new: (1 - MOMENTUM) * old + MOMENTUM * new, state.moments, used)
    return BoxState(weights, moments, inner, state.step + 1), losses


def learning_rate(config: BoxTraining, done: float) -> float:
    """Adam's rate when a share (0–1) of the schedule is done."""
    if config.decay == "steps":
        return config.rate * 0.1 ** min(int(3 * done), 2)
    return config.rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def figures_of(kind: BoxKind, outputs: dict[str, np.ndarray], labels: np.ndarray) -> dict[str, float]:
    """What is validated, and beside it the same of the best constant answer.

    A: mean absolute error and correlation of each probability; B: share of right types.
    """
    figures: dict[str, float] = {}
    for i, head in enumerate(OUTPUTS[kind]):
        true = labels[:, i]
        if kind == "box-a":
            said = outputs[head][:, 0]
            figures[f"{head}_error"] = float(np.abs(said - true).mean())
            figures[f"{head}_error_of_constant"] = float(np.abs(true - np.median(true)).mean())
            spread = said.std() * true.std()
            figures[f"{head}_correlation"] = float(np.corrcoef(said, true)[0, 1]) if spread > 0 else 0.0
        else:
            figures[f"{head}_accuracy"] = float((outputs[head].argmax(axis=1) == true).mean())
            figures[f"{head}_accuracy_of_constant"] = float(np.bincount(true).max() / len(true))
    return {name: round(value, 4) for name, value in figures.items()}


def validate(network: BoxNetwork, held: BoxBatch) -> dict[str, float]:
    """Figures on boxes that were not learnt from."""
    parts = []
    for rows in spans(len(held.boxes), VALIDATION_SIZE):
        parts.append(box_outputs(network.config, network.weights, network.moments, jnp.asarray(held.boxes[rows])))
    outputs = {head: np.concatenate([np.asarray(part[head]) for part in parts]) for head in OUTPUTS[network.kind]}
    return figures_of(network.kind, outputs, np.asarray(held.labels))


def train_boxes(
    kind: BoxKind,
    data: Path,
    output: Path,
    *,
    network: BoxConfig = BoxConfig(),
    config: BoxTraining = BoxTraining(),
    train_list: list[str] | None = None,
    initial: str | Path | None = None,
    command: str = "",
    report: Callable[[str], None] = logger.info,
) -> dict[str, Any]:
    """Train DenseNet A or B on maps of `data/structures` at 5 Å or on those of `data/maps`; the checkpoint's card.

    `output/run` keeps the full state; calling again with the same settings goes on from it, until the schedule is
    done. `train_list` replaces the package's list of training chains. `initial` is a checkpoint whose weights and sizes
    a new run begins with, instead of fresh ones of `network`. The batch is shared by all devices, and by all
    processes after `start_distributed`, of which the first writes, reports and returns the card. Raises ConfigError,
    CheckpointError or StructureError.
    """
    mesh = batch_mesh(config.batch_size)
    check_batch_memory(mesh, config.batch_size, BYTES_A_BOX[kind], "boxes")
    check_settled(output, asdict(config), SETTLED)
    report = report if is_first() else logger.debug
    report(plan_line(mesh, config.batch_size, "boxes"))
    names, sources, unseen, origin_of_names = _sources(data, config, train_list)
    held = _held_out(kind, unseen)
    learnt = box_set(kind, sources)
    if isinstance(learnt, PointSet) and not config.augmented:
        learnt = learnt.drawn(np.random.default_rng(config.seed))
    stream = BoxStream(
        boxes=learnt,
        batch_size=config.batch_size,
        seed=config.seed,
        balanced=config.balanced and kind == "box-a",
        augmented=config.augmented,
    )
    total = math.ceil(config.boxes / config.batch_size) if config.epochs is None else config.epochs * stream.epoch
    if initial is None:
        weights = initial_weights(kind, network, config.seed)
        moments = fresh_moments(weights)
    else:
        _, network, weights, moments = load_box_network(initial, kind)
    fresh = BoxState(weights, moments, optimiser(config).init(weights), jnp.zeros((), jnp.int32))
    state = copied(kept_state(output, fresh), mesh)
    first = int(state.step)
    what = "real maps" if config.maps == "real" else "chains"
    report(f"{len(names)} {what}, {len(learnt)} boxes, {total} steps of {config.batch_size}; at step {first}")
    run = {"command": command, "training": asdict(config), "first_step": first}
    runs = run_history(output, run | ({"initial": origin(initial, "boxes")} if first == 0 else {}))
    before = (runs[0].get("initial") or {}).get("boxes", 0)
    clock, key = minutes_of("wall"), jax.random.key(config.seed)
    minutes, limit = config.minutes or math.inf, first + (config.steps or total)

    def stands(state: BoxState) -> dict[str, Any]:
        """Validate and keep everything; the card."""
        state = one_copy(state)
        step = int(state.step)
        trained = BoxNetwork(kind, network, state.weights, state.moments)
        figures = validate(trained, held)
        report(f"step {step} validation " + " ".join(f"{name} {value:.3f}" for name, value in figures.items()))
        said = facts(step, figures) if is_first() else {}
        save_state(state, output)
        return save_box_network(output, trained, said)

    def facts(step: int, figures: dict[str, float]) -> dict[str, Any]:
        """What the card says of the run so far; the curve grows by a point."""
        with (output / "run" / "curve.jsonl").open("a") as lines:
            lines.write(json.dumps({"step": step, "losses": recent, "validation": figures}) + "\n")
        seen = before + step * config.batch_size
        return {
            "undertrained": seen < PAPER_EPOCHS * len(learnt),
            "schedule": f"{seen} boxes seen of {before + total * config.batch_size} planned; "
            f"the paper's {PAPER_EPOCHS} epochs of these chains would be {PAPER_EPOCHS * len(learnt)}",
            "initial": runs[0].get("initial"),
            "runs": runs,
            "data": {
                "list": origin_of_names,
                what.replace(" ", "_"): names,
                "sha256": hashlib.sha256("\n".join(names).encode()).hexdigest(),
                "maps": "real" if config.maps == "real" else "simulated at 5 Å",
                "boxes": len(learnt),
            },
            "steps": step,
            "boxes": seen,
            "seed": config.seed,
            "validation": figures,
            "curve": [json.loads(line) for line in (output / "run" / "curve.jsonl").read_text().splitlines()],
            "versions": {name: version(name) for name in ("deepmm-jax", "jax", "optax")},
        }

    recent: dict[str, float] = {}
    batches = made_ahead(lambda number: own_rows(stream.batch(number)), first)
    for step in range(first, min(total, limit)):
        rate = jnp.float32(learning_rate(config, step / total))
        batch = spread(next(batches), mesh)
        state, losses = training_step(state, batch, rate, key, kind=kind, network=network, config=config)
        recent = {name: 0.95 * recent.get(name, float(loss)) + 0.05 * float(loss) for name, loss in losses.items()}
        if float(agreed(clock())) > minutes:
            break
        if (step + 1 - first) % 10 == 0:
            speed = (step + 1 - first) * config.batch_size / (60 * clock())
            shown = " ".join(f"{name} {loss:.4f}" for name, loss in recent.items())
            report(f"step {step + 1} of {total} {shown} rate {float(rate):.1e} {speed:.1f} boxes/s")
        if (step + 1 - first) % config.validate_every == 0 and step + 1 < min(total, limit):
            stands(state)
    return stands(state)


def _sources(
    data: Path, config: BoxTraining, train_list: list[str] | None
) -> tuple[list[str], Sequence[TrainingChain | RealMap], Sequence[TrainingChain | RealMap], str]:
    """Names of what is learnt from, this itself, what validates, and the list that has the names.

    Of real maps those of the groups that validate the whole-map network do, or the last group where none of these is
    listed. Raises ConfigError without two groups of them.
    """
    if config.maps == "real":
        maps = [real for real in load_real_maps(data) if not real.notes & NOT_LEARNT_FROM]
        groups = list(dict.fromkeys(real.group for real in maps))
        apart = set(TrainingConfig().unseen_groups) & set(groups) or set(groups[-1:])
        seen = [real for real in maps if real.group not in apart]
        if not seen:
            raise ConfigError(f"{data / 'maps'} has no two groups of real maps, one to learn from and one to validate")
        return [real.name for real in seen], seen, [real for real in maps if real.group in apart], "real-maps.txt"
    structures = data / "structures"
    listed = sorted(train_list or training_names(structures))
    order = np.random.default_rng(config.seed).permutation(len(listed))
    names = [listed[row] for row in order[: config.chains]]
    unseen = load_training_chains(structures, split_names(structures, "val")[:VALIDATION_CHAINS])
    return names, load_training_chains(structures, names), unseen, source_of_names(structures, train_list)


def _held_out(kind: BoxKind, unseen: Sequence[TrainingChain | RealMap]) -> BoxBatch:
    """Fixed boxes of what is not learnt from, drawn evenly."""
    boxes: VoxelSet | PointSet = box_set(kind, unseen)
    rng = np.random.default_rng(7)
    rows = rng.choice(len(boxes), min(len(boxes), VALIDATION_BATCHES * VALIDATION_SIZE), replace=False)
    return boxes.cut(rows, rng)
