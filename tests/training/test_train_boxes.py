"""Training of the box networks: it learns, goes on where it stopped, and says what it did."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.errors import CheckpointError, ConfigError
from deepmm_jax.networks.boxes import BoxConfig, BoxKind, initial_weights, load_box_network
from deepmm_jax.networks.densenet import fresh_moments
from deepmm_jax.structure.chain import Chain
from deepmm_jax.training import boxes as module
from deepmm_jax.training.box_examples import BoxStream, box_set
from deepmm_jax.training.boxes import (
    PRESETS,
    BoxState,
    BoxTraining,
    box_loss,
    figures_of,
    learning_rate,
    optimiser,
    train_boxes,
    training_step,
)
from deepmm_jax.training.chains import as_training_chain
from deepmm_jax.training.real_maps import RealMap
from reference.box_networks import TINY


EXAMPLE = Path(__file__).parents[2] / "examples" / "1ake_A.pdb.gz"
SCHEDULE = BoxTraining(boxes=64, batch_size=16, rate=3e-3, seed=2)


def fresh_state(kind: BoxKind, network: BoxConfig) -> BoxState:
    weights = initial_weights(kind, network, 1)
    return BoxState(weights, fresh_moments(weights), optimiser(SCHEDULE).init(weights), jnp.zeros((), jnp.int32))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["box-a", "box-b"])
def test_loss_falls_on_a_batch_that_is_seen_again(kind: BoxKind, kinase: Chain):
    batch = BoxStream(boxes=box_set(kind, [as_training_chain(kinase)]), batch_size=16, seed=0, balanced=True).batch(0)
    network = replace(TINY, dropout=0.0)
    state, history = fresh_state(kind, network), []
    for _ in range(24):
        state, losses = training_step(
            state, batch, jnp.float32(3e-3), jax.random.key(0), kind=kind, network=network, config=SCHEDULE
        )
        history.append(sum(map(float, losses.values())))
    assert history[-1] < 0.9 * history[0]
    assert int(state.step) == 24
    # Running moments come from 0 and 1 towards those of the batches, by a tenth a step.
    moved = state.moments["shared"]["block_1"]["block"]["layer_1"]["norm_1"]["mean"]
    assert np.abs(np.asarray(moved)).max() > 1e-3


def test_losses_are_the_papers():
    outputs = {"main_chain": jnp.array([[0.5], [1.5]]), "calpha": jnp.array([[0.0], [-1.0]])}
    losses = box_loss("box-a", outputs, jnp.array([[0.25, 0.0], [1.0, 1.0]]))
    assert {name: float(loss) for name, loss in losses.items()} == {"main_chain": 0.375, "calpha": 1.0}
    outputs = {"residue_class": jnp.log(jnp.array([[0.1, 0.2, 0.3, 0.4]])), "secondary_structure": jnp.zeros((1, 3))}
    losses = box_loss("box-b", outputs, jnp.array([[3, 0]]))
    np.testing.assert_allclose([losses[head] for head in outputs], [-np.log(0.4), np.log(3)], rtol=1e-5)


def test_schedules():
    paper = PRESETS["paper-training"]
    assert (paper.batch_size, paper.epochs, paper.chains) == (512, 30, 100)
    assert (paper.rate, paper.weight_decay) == (1e-3, 1e-6)
    assert not (paper.balanced or paper.augmented)
    rates = [learning_rate(paper, (epoch + 0.5) / 30) for epoch in range(30)]
    np.testing.assert_allclose(rates, np.repeat([1e-3, 1e-4, 1e-5], 10))
    cosine = [learning_rate(BoxTraining(rate=2.0), done) for done in (0.0, 0.5, 1.0)]
    np.testing.assert_allclose(cosine, [2, 1, 0], atol=1e-12)
    for changes in ({"boxes": 0}, {"rate": 0.0}, {"minutes": -1.0}):
        with pytest.raises(ConfigError, match=f"{next(iter(changes))} is .* and must be above 0"):
            BoxTraining(**changes)


def test_figures_stand_beside_the_best_constant_answer():
    labels = np.array([[0.0, 0.0], [0.0, 0.2], [0.8, 0.6]], np.float32)
    said = {"main_chain": np.array([[0.1], [0.1], [0.7]]), "calpha": np.zeros((3, 1))}
    figures = figures_of("box-a", said, labels)
    assert figures["main_chain_error"] == pytest.approx(0.1, abs=1e-4)
    assert figures["main_chain_error_of_constant"] == pytest.approx(0.8 / 3, abs=1e-4)
    assert figures["main_chain_correlation"] == pytest.approx(1, abs=1e-4)
    assert figures["calpha_correlation"] == 0
    types = {"residue_class": np.eye(4)[[0, 1, 3]], "secondary_structure": np.eye(3)[[2, 2, 2]]}
    figures = figures_of("box-b", types, np.array([[0, 2], [0, 2], [3, 1]]))
    assert figures["residue_class_accuracy"] == figures["residue_class_accuracy_of_constant"] == 0.6667
    assert figures["secondary_structure_accuracy"] == 0.6667


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with one chain in either split, and few boxes to validate on."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "VALIDATION_BATCHES", 1)
    structures = tmp_path / "data" / "structures"
    structures.mkdir(parents=True)
    with (structures / "MANIFEST.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["name", "split"], ["kinase", "train"], ["held", "val"]])
    for name in ("kinase", "held"):
        shutil.copy(EXAMPLE, structures / f"{name}.pdb.gz")
    return structures.parent


@pytest.mark.slow
def test_run_writes_a_checkpoint_and_goes_on_from_it(data: Path, tmp_path: Path):
    lines: list[str] = []
    run = {"network": TINY, "train_list": ["kinase"], "report": lines.append}
    output = tmp_path / "out"
    first = train_boxes("box-b", data, output, config=replace(SCHEDULE, steps=2), command="a test", **run)
    assert first == json.loads((output / "card.json").read_text())
    assert (first["steps"], first["boxes"], first["undertrained"]) == (2, 32, True)
    assert first["schedule"].startswith("32 boxes seen of 64 planned")
    assert first["data"]["chains"] == ["kinase"]
    second = train_boxes("box-b", data, output, config=SCHEDULE, **run)
    assert (second["steps"], [row["first_step"] for row in second["runs"]]) == (4, [0, 2])
    assert second["runs"][0]["command"] == "a test"
    assert [row["step"] for row in second["curve"]] == [2, 4]
    assert load_box_network(output, "box-b").config == TINY
    # A run in one piece comes to the same weights.
    whole = tmp_path / "whole"
    train_boxes("box-b", data, whole, config=SCHEDULE, **run)
    for a, b in zip(*(jax.tree.leaves(load_box_network(folder, "box-b")[2:]) for folder in (output, whole))):
        np.testing.assert_allclose(a, b, atol=2e-3)
    # A finished schedule takes no further step.
    assert train_boxes("box-b", data, output, config=SCHEDULE, **run)["steps"] == 4
    with pytest.raises(
        ConfigError, match=r"holds a run with batch_size 16, seed 2, and this one has batch_size 8, seed 3"
    ):
        train_boxes("box-b", data, output, config=replace(SCHEDULE, batch_size=8, seed=3), **run)
    third = train_boxes("box-b", data, tmp_path / "third", config=replace(SCHEDULE, steps=1), initial=output, **run)
    assert (third["steps"], third["boxes"], third["initial"]["boxes"]) == (1, 64 + 16, 64)
    assert third["initial"]["checkpoint"] == "out" and third["schedule"].startswith("80 boxes seen of 128 planned")
    with pytest.raises(CheckpointError, match="another network.*give another output folder"):
        train_boxes("box-b", data, output, config=SCHEDULE, **run | {"network": replace(TINY, stem=8)})


@pytest.mark.slow
def test_the_papers_schedule_draws_its_points_once(data: Path, tmp_path: Path):
    config = replace(PRESETS["paper-training"], batch_size=16, epochs=1, steps=1)
    card = train_boxes("box-b", data, tmp_path, network=TINY, config=config, train_list=["kinase"], report=print)
    assert card["runs"][0]["training"]["decay"] == "steps"
    assert f"of {642 // 16 * 16} planned" in card["schedule"]


@pytest.mark.slow
def test_real_maps_are_learnt_from_and_others_validate(kinase: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "VALIDATION_BATCHES", 1)
    chain = as_training_chain(kinase)
    density = simulate_map(chain.positions, chain.atomic_numbers, 4.0)
    everywhere = np.ones(density.shape, bool)
    common = {"resolution": 4.0, "density": density, "chain": chain, "support": everywhere, "labelled": everywhere}
    common["chain_of_residue"] = np.zeros(len(chain.amino_acids), int)
    groups = {"one": (), "two": (), "relative": ("related",), "gaba-a": ()}
    maps = [RealMap(name=name, group=name, notes=frozenset(notes), **common) for name, notes in groups.items()]
    monkeypatch.setattr(module, "load_real_maps", lambda data: maps)
    config = replace(SCHEDULE, maps="real", steps=1)
    lines: list[str] = []
    card = train_boxes("box-a", tmp_path, tmp_path / "out", network=TINY, config=config, report=lines.append)
    assert (card["data"]["maps"], card["data"]["real_maps"]) == ("real", ["one", "two"])
    assert any(line.startswith("2 real maps, ") for line in lines) and card["validation"]["calpha_error"] > 0
    del maps[1:3]
    assert module._sources(tmp_path, config, None)[1:3] == (maps[:1], maps[1:])
    del maps[0]
    with pytest.raises(ConfigError, match="has no two groups of real maps"):
        train_boxes("box-a", tmp_path, tmp_path / "other", network=TINY, config=config)
