"""Training of the whole-map network: it learns, goes on where it stopped, and says what it did."""

import csv
import hashlib
import json
import shutil
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax.config import replace_fields
from deepmm_jax.errors import CheckpointError, ConfigError
from deepmm_jax.networks.checkpoints import load_checkpoint, save_checkpoint
from deepmm_jax.networks.inference import load_network
from deepmm_jax.networks.whole_map import HEADS, WholeMapConfig, apply_network, initial_parameters, parameter_shapes
from deepmm_jax.structure.read import read_chains
from deepmm_jax.training import real_maps, whole_map
from deepmm_jax.training.chains import as_training_chain
from deepmm_jax.training.examples import Sources, batches
from deepmm_jax.training.plan import TrainingConfig, TrainingPlan
from deepmm_jax.training.real_maps import listed_maps
from deepmm_jax.training.state import TrainingState, make_optimiser, starting_state, weights_of
from deepmm_jax.training.whole_map import train_whole_map, training_step


EXAMPLE = Path(__file__).parents[2] / "examples" / "1ake_A.pdb.gz"
TINY = WholeMapConfig(width=8, coarse_width=8, fine_blocks=1, coarse_blocks=1, head_width=8)
held_out = whole_map._held_out
SCHEDULE = TrainingConfig(batch_size=1, warm_up=2, steps=3, average=0.9, seed=2)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with one chain in either split."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    structures = tmp_path / "data" / "structures"
    structures.mkdir(parents=True)
    with (structures / "MANIFEST.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["name", "split"], ["kinase", "train"], ["held", "val"]])
    for name in ("kinase", "held"):
        shutil.copy(EXAMPLE, structures / f"{name}.pdb.gz")
    return structures.parent


@pytest.fixture(autouse=True)
def short_validation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One validation batch of a crop for each kind of map, in place of twelve of two."""
    kinds = {"simulated": 1.0, "experimental": 0.0}
    monkeypatch.setattr(
        whole_map,
        "_held_out",
        lambda chains, real_maps: {
            kind: [next(batches(Sources(chains=chains, simulated_share=share), 1, seed=7))]
            for kind, share in kinds.items()
        },
    )


def fresh_state(config: TrainingConfig) -> TrainingState:
    parameters = initial_parameters(TINY, config.seed)
    copy = jax.tree.map(jnp.array, parameters)
    return TrainingState(parameters, copy, make_optimiser(config).init(parameters), jnp.zeros((), jnp.int32))


def test_loss_falls_on_a_batch_that_is_seen_again():
    batch = next(batches(Sources(chains=[as_training_chain(read_chains(EXAMPLE)[0])], simulated_share=1.0), 1, seed=0))
    state, losses = fresh_state(SCHEDULE), []
    for _ in range(12):
        state, parts = training_step(state, batch, jnp.float32(1.0), network=TINY, config=SCHEDULE)
        losses.append({name: float(part) for name, part in parts.items()})
    assert int(state.step) == 12
    for name in losses[0]:
        assert losses[-1][name] < losses[0][name], name
    assert losses[-1]["atoms"] < 0.9 * losses[0]["atoms"]


def test_rate_zero_moves_nothing_and_the_average_lags():
    batch = next(batches(Sources(chains=[as_training_chain(read_chains(EXAMPLE)[0])], simulated_share=1.0), 1, seed=0))
    start = jax.tree.map(np.array, fresh_state(SCHEDULE).parameters)
    still, _ = training_step(fresh_state(SCHEDULE), batch, jnp.float32(0.0), network=TINY, config=SCHEDULE)
    moved, _ = training_step(fresh_state(SCHEDULE), batch, jnp.float32(1.0), network=TINY, config=SCHEDULE)
    changed = False
    for before, a, b, average in zip(
        *map(jax.tree.leaves, (start, still.parameters, moved.parameters, moved.averaged)), strict=True
    ):
        np.testing.assert_array_equal(before, a)
        # At step 0 the average keeps a tenth of the old weights.
        np.testing.assert_allclose(average, 0.1 * before + 0.9 * np.asarray(b), atol=1e-5)
        changed |= bool(np.abs(np.asarray(b) - before).max() > 1e-3)
    assert changed


@pytest.mark.slow
def test_run_writes_a_checkpoint_and_goes_on_from_it(data: Path, tmp_path: Path):
    lines: list[str] = []
    output = tmp_path / "out"
    first = train_whole_map(
        data, output, network=TINY, config=SCHEDULE, train_list=["kinase"], command="a test", report=lines.append
    )
    assert lines[0].startswith("cpu, ")
    assert lines[1].startswith("1 chains") and lines[1].endswith("step 0")
    assert first == json.loads((output / "card.json").read_text())
    assert (first["steps"], first["voxels"]) == (3, 3 * 48**3)
    assert first["data"]["chains"] == 1
    assert first["data"]["sha256"] == hashlib.sha256(b"kinase").hexdigest()
    assert (first["kind"], first["runs"][0]["command"], first["initial"]) == ("whole-map", "a test", None)
    assert set(first["validation"]) == {"simulated", "experimental"}
    assert load_network(output)[0] == TINY

    second = train_whole_map(data, output, network=TINY, config=SCHEDULE, train_list=["kinase"], report=lines.append)
    assert second["steps"] == 6
    assert [run["first_step"] for run in second["runs"]] == [0, 3]
    assert second["runs"][0] == first["runs"][0]
    assert any(line.endswith("step 3") for line in lines)
    curve = [json.loads(line) for line in (output / "run" / "curve.jsonl").read_text().splitlines()]
    assert [row["step"] for row in curve] == [3, 6]
    assert curve[1]["simulated"]["atoms"] < curve[0]["simulated"]["atoms"]

    # Weights of a checkpoint start another run from step 0.
    other = tmp_path / "next"
    state = starting_state(other, TINY, SCHEDULE, output)
    weights = load_checkpoint(output, parameter_shapes(TINY))[0]
    for old, new, average in zip(*map(jax.tree.leaves, (weights, state.parameters, state.averaged)), strict=True):
        np.testing.assert_array_equal(old, new)
        np.testing.assert_array_equal(old, average)
    third = train_whole_map(
        data, other, network=TINY, config=SCHEDULE, initial=output, train_list=["held"], report=lines.append
    )
    assert third["steps"] == 3
    assert (third["initial"]["checkpoint"], third["initial"]["runs"]) == (output.name, second["runs"])
    assert third["data"]["sha256"] == hashlib.sha256(b"held").hexdigest()
    assert third["validation"]["simulated"]["atoms"] < curve[1]["simulated"]["atoms"]

    wider = WholeMapConfig(width=16, coarse_width=8, fine_blocks=1, coarse_blocks=1, head_width=8)
    for options in ({"output": output}, {"output": tmp_path / "wide", "initial": output}):
        with pytest.raises(CheckpointError, match="another network"):
            train_whole_map(data, network=wider, config=SCHEDULE, train_list=["kinase"], report=lines.append, **options)


def test_a_second_input_starts_with_no_say(tmp_path: Path, rng: np.random.Generator):
    old = initial_parameters(TINY, 3)
    save_checkpoint(tmp_path, old, {"kind": "whole-map", "network": TINY.as_dict()})
    both = replace(TINY, inputs="both")
    new = weights_of(tmp_path, both)
    density = jnp.asarray(rng.normal(size=(1, 8, 8, 8, 2)), jnp.float32)
    before, after = apply_network(TINY, old, density), apply_network(both, new, density)
    np.testing.assert_allclose(before, after, atol=2e-3)  # float16 on disk
    assert jax.tree.map(jnp.shape, new) == jax.tree.map(lambda leaf: leaf.shape, parameter_shapes(both))


def plan(text: str) -> TrainingPlan:
    return replace_fields(TrainingPlan(), tomllib.loads(text), "plan.toml")


def test_a_file_plans_network_and_training():
    changed = plan('[network]\ninputs = "both"\nwidth = 16\n[training]\nauxiliary = false\nunseen_groups = ["trpv1"]\n')
    assert changed.network == WholeMapConfig(inputs="both", width=16)
    assert changed.training == TrainingConfig(auxiliary=False, unseen_groups=("trpv1",))
    assert plan("[training]\nunseen_groups = []\nsteps = 7").training == TrainingConfig(unseen_groups=(), steps=7)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[network]\nblock = "wide"', r"\[network\]: block is 'wide' and must be 'residual' or 'dense'"),
        ("[network]\nfine_voxel = 3", "fine_voxel is 3 and must be 1 or 2"),
        ("[training]\nabsolute = 1", "absolute is 1 and must be true or false"),
        ("[training]\nreal_share = 3", "real_share is 3 and must lie between 0 and 1"),
        ("[training]\ncrop = 50", "crop is 50 and must be a multiple of 4"),
        ("[training]\nsteps = 0", "steps is 0 and must be a whole number above 0"),
        ('[network]\nblock = "dense"\nwidth = 2', "width and coarse_width of dense blocks must be at least 3"),
        ('[training]\nunseen_groups = "trpv1"', "unseen_groups is 'trpv1' and must be an array of some texts"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(text: str, sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        plan(text)


def test_real_maps_that_are_not_there_are_refused(data: Path):
    with pytest.raises(ConfigError, match=r"real_share is 0.1, but .*maps does not exist"):
        whole_map._real_maps(data, TrainingConfig(real_share=0.1))
    with pytest.raises(ConfigError, match="'trpv' is no group; choose from .*trpv1"):
        whole_map._real_maps(data, TrainingConfig(unseen_groups=("trpv",)))
    assert whole_map._real_maps(data, TrainingConfig()) == ([], [])


@pytest.mark.slow
def test_real_maps_are_learnt_from_and_validated_on(
    data: Path, data_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Two small real maps: one is learnt from and lends its noise, the other is only validated on."""
    (data / "maps").symlink_to((data_directory / "maps").resolve())
    few = [row for row in listed_maps() if row.name in ("6spe_r", "emd5623_t20s_F")]
    for module in (whole_map, real_maps):
        monkeypatch.setattr(module, "listed_maps", lambda folder=None: few)
    monkeypatch.setattr(whole_map, "_held_out", lambda *sources: {k: v[:1] for k, v in held_out(*sources).items()})
    config = replace(SCHEDULE, real_share=0.5, unseen_groups=("proteasome",), crop=16, steps=2, batch_size=2)
    card = train_whole_map(
        data, tmp_path / "out", network=TINY, config=config, train_list=["kinase"], report=lambda line: None
    )
    assert card["runs"][0]["crops_of"] == card["runs"][0]["noise_of"] == ["6spe_r"]
    assert set(card["validation"]) == {"simulated", "experimental", "real"}
    assert all(np.isfinite(value) for row in card["validation"].values() for value in row.values())
    everything = replace(config, unseen_groups=("proteasome", "ribosomal-s18"))
    with pytest.raises(ConfigError, match="unseen_groups leaves no real map to learn from"):
        whole_map._real_maps(data, everything)


def test_maps_that_must_not_be_learnt_from_are_not(data_directory: Path, monkeypatch: pytest.MonkeyPatch):
    few = [row for row in listed_maps() if row.name in ("6spe_r", "emd5001_groel_segment")]
    for module in (whole_map, real_maps):
        monkeypatch.setattr(module, "listed_maps", lambda folder=None: few)
    seen, unseen = whole_map._real_maps(data_directory, TrainingConfig(real_share=0.5, unseen_groups=()))
    assert ([real.name for real in seen], unseen) == (["6spe_r"], [])


@pytest.mark.parametrize("changes", [{"absolute": True}, {"auxiliary": False}])
def test_other_losses_fall_too(changes: dict[str, bool]):
    config = replace(SCHEDULE, **changes)
    sources = Sources(chains=[as_training_chain(read_chains(EXAMPLE)[0])], simulated_share=1.0)
    batch = next(batches(sources, 1, seed=0, crop=16))
    state, losses = fresh_state(config), []
    for _ in range(10):
        state, parts = training_step(state, batch, jnp.float32(1.0), network=TINY, config=config)
        losses.append({name: float(part) for name, part in parts.items()})
    for name in ("atoms", "amino_acids", "secondary_structure"):
        assert losses[-1][name] < losses[0][name], name
    offsets = np.asarray(state.parameters["heads"]["bias"]).reshape(8, -1)[:, HEADS["atoms"] : HEADS["atoms"] + 3]
    assert config.auxiliary == bool(offsets.any())


def test_processor_clock_does_not_run_in_sleep():
    wall, processor = whole_map.minutes_of("wall"), whole_map.minutes_of("processor")
    time.sleep(0.2)
    assert 60 * wall() >= 0.2
    assert 60 * processor() < 0.1
