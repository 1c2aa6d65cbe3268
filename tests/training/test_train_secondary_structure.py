"""Training of the sequence's secondary-structure network: data, loss, schedule, resuming."""

import csv
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax.errors import CheckpointError, ConfigError, SequenceError
from deepmm_jax.networks.checkpoints import load_checkpoint
from deepmm_jax.networks.secondary_structure import PADDING, SecondaryStructureConfig, parameter_shapes
from deepmm_jax.training.labelled_chains import UNLABELLED, epoch_batches, q3, read_labelled_chains
from deepmm_jax.training.secondary_structure import (
    SecondaryStructureTraining,
    cross_entropy,
    learning_rate,
    train_secondary_structure,
)


SMALL = SecondaryStructureConfig(embedding=8, width=16, stem=3, kernel=3, dilations=(1,), head=8, dropout=0.1)
SCHEDULE = SecondaryStructureTraining(batch_residues=1120, rate=1e-2, average=0.9, validate_every=10)
STATE_OF = {"A": "H", "V": "E", "G": "C"}


def write_table(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "source", "split", "sequence", "ss3", "ss8", "scored"])
        writer.writeheader()
        writer.writerows({"source": "made", "ss8": "", "scored": ""} | row for row in rows)
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Chains whose states follow from their letters alone."""
    rng = np.random.default_rng(0)
    rows = []
    for split, count in (("train", 60), ("validation", 8), ("test_cb513", 4)):
        for i in range(count):
            letters = "".join(rng.choice(list("AVG"), int(rng.integers(20, 110))))
            states = "".join(STATE_OF[letter] for letter in letters)
            rows.append({"id": f"{split}-{i}", "split": split, "sequence": letters, "ss3": states})
    return write_table(tmp_path / "chains.csv", rows)


def train(table: Path, output: Path, **options: object) -> dict:
    return train_secondary_structure(table, output, network=SMALL, training=SCHEDULE, seed=3, **options)  # type: ignore[arg-type]


def test_labels_ranges_and_gaps_are_read(tmp_path: Path):
    rows = [
        dict(id="a", split="test_cb513", sequence="ACDEF", ss3="HE-CC", ss8="GB-TS", scored="1-2;5-5"),
        dict(id="b", split="train", sequence="AC", ss3="HC"),
    ]
    path = write_table(tmp_path / "table.csv", rows)
    first, second = read_labelled_chains(path)
    np.testing.assert_array_equal(first.three, [0, 1, UNLABELLED, 2, 2])
    np.testing.assert_array_equal(first.eight, [1, 4, UNLABELLED, 5, 6])
    np.testing.assert_array_equal(first.scored, [True, True, False, False, True])
    np.testing.assert_array_equal(second.eight, [UNLABELLED, UNLABELLED])
    # Residue 3 is not observed and residue 4 not scored: two of three are right.
    assert q3([first], [np.eye(3, dtype=np.float32)[[0, 1, 0, 0, 0]]]) == pytest.approx(2 / 3)


def test_row_whose_states_do_not_fit_is_named(tmp_path: Path):
    path = write_table(tmp_path / "table.csv", [{"id": "odd", "split": "train", "sequence": "ACD", "ss3": "HE"}])
    with pytest.raises(SequenceError, match=r"table\.csv: odd has 3 letters, 2"):
        read_labelled_chains(path)


def test_an_epoch_shows_every_residue_once_in_few_shapes(table: Path):
    chains = [chain for chain in read_labelled_chains(table) if chain.split == "train"]
    batches = list(epoch_batches(chains, 1120, np.random.default_rng(0)))
    assert {batch.shape for batch in batches} == {(3, 10, 112)}
    shown = sum(int((batch[0] != PADDING).sum()) for batch in batches)
    assert shown == sum(len(chain.letters) for chain in chains)
    assert all(((batch[0] == PADDING) <= (batch[1] == UNLABELLED)).all() for batch in batches)


def test_unlabelled_residues_do_not_count():
    logits = jnp.array([[2.0, 0, 0], [0, 5.0, 0], [9.0, 0, 0]])
    alone = cross_entropy(logits[:2], jnp.array([0, 1]))
    assert cross_entropy(logits, jnp.array([0, 1, UNLABELLED])) == pytest.approx(float(alone))
    assert cross_entropy(logits, jnp.full(3, UNLABELLED)) == 0


def test_rate_rises_and_falls_to_zero():
    rates = [learning_rate(progress, SCHEDULE) for progress in np.linspace(0, 1, 201)]
    assert rates[0] == 0 and max(rates) == pytest.approx(SCHEDULE.rate, rel=1e-3) and rates[-1] == pytest.approx(0)
    assert np.argmax(rates) == pytest.approx(200 * SCHEDULE.warm_up, abs=1)


def test_training_learns_and_an_interrupted_run_ends_as_an_unbroken_one(table: Path, tmp_path: Path):
    lines: list[str] = []
    card = train(table, tmp_path / "unbroken", steps=30, log=lines.append, command="made by a test")
    losses = [float(line.split("loss ")[1].split()[0]) for line in lines if "loss" in line]
    assert len(losses) == 3 and losses[2] < 0.5 * losses[0]
    assert card["figures"]["q3_validation"] > 0.9 and card["figures"]["q3_test_cb513"] > 0.9
    assert card["splits"] == {"train": 60, "validation": 8, "test_cb513": 4}
    assert (card["kind"], card["command"]) == ("secondary-structure", "made by a test")
    assert card["steps"] in (10, 20, 30)  # whichever validation was the best

    class PowerCut(Exception):
        pass

    def fail_at_20(line: str) -> None:
        if line.startswith("step 20"):
            raise PowerCut

    with pytest.raises(PowerCut):
        train(table, tmp_path / "broken", steps=30, log=fail_at_20)
    train(table, tmp_path / "broken", steps=30)
    weights = [load_checkpoint(tmp_path / name, parameter_shapes(SMALL))[0] for name in ("unbroken", "broken")]
    for one, other in zip(*map(jax.tree.leaves, weights), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)  # float16 in the file

    with pytest.raises(CheckpointError, match="other data or with another seed"):
        train_secondary_structure(table, tmp_path / "broken", steps=30, network=SMALL, training=SCHEDULE, seed=4)


def test_minutes_end_a_run_too(table: Path, tmp_path: Path):
    card = train(table, tmp_path / "short", minutes=0.02)
    assert card["steps"] >= 1 and card["minutes"] < 1


def test_a_run_needs_one_length_and_both_splits(table: Path, tmp_path: Path):
    for options in ({}, {"steps": 0}, {"minutes": -1.0}, {"steps": 5, "minutes": 1.0}):
        with pytest.raises(ConfigError, match="steps or minutes, one of them"):
            train(table, tmp_path / "out", **options)
    rows = [{"id": "a", "split": "train", "sequence": "ACD", "ss3": "HEC"}]
    with pytest.raises(SequenceError, match="train and validation"):
        train(write_table(tmp_path / "lone.csv", rows), tmp_path / "out", steps=1)
