"""Training of the sequence's secondary-structure network on DSSP labels (stands in for SPIDER2, section 2.4).

Loss: cross-entropy of three states plus 0.3 times that of eight states where they are known; unobserved residues are
left out. AdamW with warm-up and a cosine; the weights that count are a moving average. Chosen on `validation` only.
"""

import hashlib
import platform
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from deepmm_jax import __version__
from deepmm_jax.constants import UNKNOWN_AMINO_ACID
from deepmm_jax.errors import CheckpointError, ConfigError, SequenceError
from deepmm_jax.networks.checkpoints import load_checkpoint, save_checkpoint
from deepmm_jax.networks.secondary_structure import (
    PADDING,
    SecondaryStructureConfig,
    apply,
    initial_parameters,
    parameter_shapes,
    state_probabilities,
)
from deepmm_jax.training.labelled_chains import UNLABELLED, LabelledChain, epoch_batches, q3, read_labelled_chains


@dataclass(frozen=True, kw_only=True)
class SecondaryStructureTraining:
    """Schedule; the defaults made the shipped weights."""

    batch_residues: int = 6144
    rate: float = 2.5e-3
    warm_up: float = 0.03
    """Share of the run in which the rate rises linearly."""
    weight_decay: float = 0.01
    clip: float = 1.0
    average: float = 0.998
    """Decay of the moving average of the weights."""
    eight_state_weight: float = 0.3
    unknown: float = 0.03
    """Share of input residues replaced by X."""
    validate_every: int = 200


class TrainingState(NamedTuple):
    """Weights, their moving average, Adam's moments and the number of steps taken."""

    parameters: PyTree
    average: PyTree
    optimiser: PyTree
    step: Int[Array, ""]


@dataclass
class Diary:
    """Where a run stands, kept beside its `TrainingState`."""

    data_sha256: str
    seed: int
    step: int = 0
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    best: float = 0.0
    """Highest Q3 on the validation split so far."""


def cross_entropy(logits: Float[Array, "*n k"], labels: Int[Array, "*n"]) -> Float[Array, ""]:
    """Mean negative log probability (nats) of the labels; those equal to -1 do not count."""
    known = labels != UNLABELLED
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.where(known, labels, 0))
    return jnp.sum(losses * known) / jnp.maximum(jnp.sum(known), 1)


def secondary_structure_loss(
    parameters: PyTree,
    batch: Int[Array, "3 rows length"],
    key: Key[Array, ""],
    *,
    network: SecondaryStructureConfig,
    training: SecondaryStructureTraining,
) -> Float[Array, ""]:
    """Loss of one batch, with residues hidden at random and dropout."""
    hide, drop = jax.random.split(key)
    letters, three, eight = batch
    hidden = jax.random.bernoulli(hide, training.unknown, letters.shape) & (letters != PADDING)
    logits = apply(parameters, jnp.where(hidden, UNKNOWN_AMINO_ACID, letters), config=network, key=drop)
    return cross_entropy(logits[0], three) + training.eight_state_weight * cross_entropy(logits[1], eight)


def learning_rate(progress: float, training: SecondaryStructureTraining) -> float:
    """Rate at a share (0–1) of the run: linear warm-up, then half a cosine down to zero."""
    if progress < training.warm_up:
        return training.rate * progress / training.warm_up
    return training.rate * 0.5 * (1 + np.cos(np.pi * min(1.0, (progress - training.warm_up) / (1 - training.warm_up))))


def _optimiser(training: SecondaryStructureTraining) -> optax.GradientTransformation:
    # The rate is an argument of the step, because the share of the run done may be counted in minutes.
    return optax.chain(
        optax.clip_by_global_norm(training.clip),
        optax.scale_by_adam(),
        optax.add_decayed_weights(training.weight_decay, mask=lambda tree: jax.tree.map(lambda x: x.ndim > 1, tree)),
    )


def initial_state(
    network: SecondaryStructureConfig, training: SecondaryStructureTraining, *, seed: int
) -> TrainingState:
    """Fresh weights, their average and an empty optimiser."""
    parameters = initial_parameters(network, seed=seed)
    return TrainingState(parameters, parameters, _optimiser(training).init(parameters), jnp.int32(0))


@partial(jax.jit, static_argnames=("network", "training"))
def train_step(
    state: TrainingState,
    batch: Int[Array, "3 rows length"],
    rate: Float[Array, ""],
    key: Key[Array, ""],
    *,
    network: SecondaryStructureConfig,
    training: SecondaryStructureTraining,
) -> tuple[TrainingState, Float[Array, ""]]:
    """One AdamW step and the update of the average; returns the new state and the batch's loss."""
    loss, gradient = jax.value_and_grad(secondary_structure_loss)(
        state.parameters, batch, jax.random.fold_in(key, state.step), network=network, training=training
    )
    update, optimiser = _optimiser(training).update(gradient, state.optimiser, state.parameters)
    parameters = jax.tree.map(lambda p, u: p - rate * u, state.parameters, update)
    # Early on the average must not remember the random start.
    decay = jnp.minimum(training.average, (1.0 + state.step) / (10.0 + state.step))
    average = jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, state.average, parameters)
    return TrainingState(parameters, average, optimiser, state.step + 1), loss


def benchmark_q3(
    chains: Sequence[LabelledChain], parameters: PyTree, network: SecondaryStructureConfig
) -> dict[str, float]:
    """Q3 of every split in `chains` that is not for training, by the split's name."""
    figures = {}
    for split in sorted({chain.split for chain in chains} - {"train"}):
        members = [chain for chain in chains if chain.split == split]
        figures[split] = q3(
            members, state_probabilities(parameters, [chain.letters for chain in members], config=network)
        )
    return figures


def train_secondary_structure(
    data_csv: Path,
    output: Path,
    *,
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    network: SecondaryStructureConfig | None = None,
    training: SecondaryStructureTraining | None = None,
    command: str = "",
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Train on the `train` rows of `data_csv`, choose on `validation`, write a checkpoint into `output`; its card.

    The run lasts `steps` steps or `minutes` of wall clock (one of the two). `output` receives weights and card.json
    at each validation that is the best so far, and `resume/` with all that a run needs to go on: calling again with
    the same data and seed continues an interrupted run, and lengthens a finished one where the new end lies further.
    The test splits are scored once, at the end. Raises ConfigError, CheckpointError, SequenceError.
    """
    if (steps is None) == (minutes is None) or (steps or minutes or 0) <= 0:
        raise ConfigError(f"training needs steps or minutes, one of them and above 0, not {steps=} and {minutes=}")
    network, training = network or SecondaryStructureConfig(), training or SecondaryStructureTraining()
    chains = read_labelled_chains(data_csv)
    train, validation = ([chain for chain in chains if chain.split == split] for split in ("train", "validation"))
    if not train or not validation:
        raise SequenceError(f"{data_csv} has no rows of the splits train and validation; both are needed")
    data = {"file": data_csv.name, "sha256": hashlib.sha256(data_csv.read_bytes()).hexdigest()}
    state, diary = _resume(output / "resume", Diary(data["sha256"], seed), initial_state(network, training, seed=seed))
    key, clock, losses = jax.random.key(seed), time.perf_counter() - diary.seconds, []

    def progress() -> float:
        done = int(state.step) / steps if steps else (time.perf_counter() - clock) / 60 / (minutes or 1)
        return min(1.0, done)

    def validate() -> None:
        diary.seconds = time.perf_counter() - clock
        figures = benchmark_q3(validation, state.average, network)
        log(
            f"step {diary.step} epoch {diary.epoch} loss {float(jnp.stack(losses).mean()):.4f} "
            f"Q3 validation {figures['validation']:.4f} after {diary.seconds / 60:.1f} min"
        )
        losses.clear()
        if figures["validation"] > diary.best:
            diary.best = figures["validation"]
            card = {
                "kind": "secondary-structure",
                "network": asdict(network),
                "training": asdict(training),
                "data": data,
                "splits": dict(Counter(chain.split for chain in chains)),
                "steps": diary.step,
                "seed": seed,
                "minutes": round(diary.seconds / 60, 1),
                "command": command,
                "figures": _rounded(figures),
                "versions": _versions(),
            }
            save_checkpoint(output, state.average, card)
        _save_resume(output / "resume", state, diary)

    finished = progress() >= 1
    while not finished:
        # Batches follow from seed and epoch alone, so that a resumed run sees what an unbroken one would.
        batches = list(epoch_batches(train, training.batch_residues, np.random.default_rng([seed, diary.epoch])))
        for batch in batches[diary.batch :]:
            rate = jnp.float32(learning_rate(progress(), training))
            state, loss = train_step(state, jnp.asarray(batch), rate, key, network=network, training=training)
            losses.append(loss)
            diary.step, diary.batch = diary.step + 1, diary.batch + 1
            finished = progress() >= 1
            if finished or diary.step % training.validate_every == 0:
                validate()
            if finished:
                break
        else:
            diary.epoch, diary.batch = diary.epoch + 1, 0

    parameters, card = load_checkpoint(output, parameter_shapes(network))
    card["figures"] = _rounded(benchmark_q3(chains, parameters, network))  # of the weights as stored, in float16
    save_checkpoint(output, parameters, card)
    log(", ".join(f"{name} {value}" for name, value in card["figures"].items()))
    return card


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {f"q3_{split}": round(value, 4) for split, value in figures.items()}


def _versions() -> dict[str, str]:
    return {
        "deepmm-jax": __version__,
        "jax": jax.__version__,
        "flax": flax.__version__,
        "python": platform.python_version(),
    }


def _save_resume(directory: Path, state: TrainingState, diary: Diary) -> None:
    from orbax.checkpoint import v1 as ocp  # imported late: it takes 1.6 s

    ocp.save(str(directory.resolve()), state, overwrite=True, custom_metadata=asdict(diary))


def _resume(directory: Path, diary: Diary, fresh: TrainingState) -> tuple[TrainingState, Diary]:
    """State and diary of an earlier run in `directory`, or the fresh ones."""
    if not directory.is_dir():
        return fresh, diary
    from orbax.checkpoint import v1 as ocp

    metadata: Any = ocp.metadata(str(directory.resolve())).custom_metadata
    stored = Diary(**metadata)
    if (stored.data_sha256, stored.seed) != (diary.data_sha256, diary.seed):
        raise CheckpointError(f"{directory} belongs to a run on other data or with another seed; choose another output")
    return ocp.load(str(directory.resolve()), fresh), stored
