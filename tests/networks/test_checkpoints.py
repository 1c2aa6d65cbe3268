"""Checkpoints: what is saved comes back; what is missing, damaged or of another network is refused."""

import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax.errors import CheckpointError
from deepmm_jax.networks.checkpoints import find_checkpoint, load_checkpoint, read_card, save_checkpoint
from deepmm_jax.networks.inference import load_network
from deepmm_jax.networks.whole_map import WholeMapConfig, initial_parameters


TINY = WholeMapConfig(width=8, coarse_width=8, fine_blocks=1, coarse_blocks=1, head_width=8)
CARD = {"kind": "whole-map", "network": TINY.as_dict(), "steps": 3}


@pytest.fixture(scope="module")
def parameters() -> dict:
    return initial_parameters(TINY, seed=5)


@pytest.fixture(scope="module")
def saved(parameters: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    save_checkpoint(folder, parameters, CARD)
    return folder


def with_card(saved: Path, folder: Path, card: object) -> Path:
    """A copy of a checkpoint with another card."""
    shutil.copytree(saved, folder)
    (folder / "card.json").write_text(card if isinstance(card, str) else json.dumps(card))
    return folder


def test_weights_come_back_as_they_were_in_half_precision(saved: Path, parameters: dict):
    config, loaded = load_network(saved)
    assert config == TINY and read_card(saved) == CARD
    assert jax.tree.structure(loaded) == jax.tree.structure(parameters)
    for old, new in zip(jax.tree.leaves(parameters), jax.tree.leaves(loaded), strict=True):
        assert new.dtype == jnp.float32
        np.testing.assert_array_equal(new, np.asarray(old, np.float16).astype(np.float32))


def test_saving_again_replaces(tmp_path: Path):
    for value in (1.0, 2.0):
        save_checkpoint(tmp_path / "w", {"a": jnp.full(3, value)}, {"value": value})
    weights, card = load_checkpoint(tmp_path / "w", {"a": jnp.zeros(3)})
    np.testing.assert_array_equal(weights["a"], np.full(3, 2.0))
    assert card == {"value": 2.0}


@pytest.mark.parametrize(
    "change",
    [{"width": 16}, {"head_width": 4}, {"coarse_width": 12}, {"fine_blocks": 2}, {"coarse_blocks": 2}],
)
def test_other_shapes_are_refused(saved: Path, tmp_path: Path, change: dict):
    folder = with_card(saved, tmp_path / "other", CARD | {"network": TINY.as_dict() | change})
    with pytest.raises(CheckpointError, match="damaged or belongs to another network"):
        load_network(folder)


@pytest.mark.parametrize("like", [(2,), (4,), (3, 1), (1, 3)])
def test_weights_are_never_cut_or_padded(tmp_path: Path, like: tuple):
    save_checkpoint(tmp_path / "w", {"a": jnp.arange(3.0)}, {})
    with pytest.raises(CheckpointError, match="another network"):
        load_checkpoint(tmp_path / "w", {"a": jnp.zeros(like)})


def test_missing_and_surplus_leaves_are_refused(tmp_path: Path):
    save_checkpoint(tmp_path / "w", {"a": jnp.zeros(3), "b": jnp.zeros(2)}, {})
    for like in ({"a": jnp.zeros(3)}, {"a": jnp.zeros(3), "b": jnp.zeros(2), "c": jnp.zeros(1)}):
        with pytest.raises(CheckpointError, match="another network"):
            load_checkpoint(tmp_path / "w", like)


def test_damaged_weights_are_refused(saved: Path, tmp_path: Path):
    emptied = with_card(saved, tmp_path / "emptied", CARD)
    shutil.rmtree(emptied / "weights")
    garbled = with_card(saved, tmp_path / "garbled", CARD)
    for file in (garbled / "weights").rglob("*"):
        if file.is_file():
            file.write_bytes(b"\x00garbage")
    for folder in (emptied, garbled):
        with pytest.raises(CheckpointError, match=f"{folder.name}/weights is damaged"):
            load_network(folder)


@pytest.mark.parametrize(
    ("card", "sentence"),
    [
        ({"kind": "secondary-structure"}, "'secondary-structure' network, not a whole-map one"),
        ({}, "None network"),
        ({"kind": "whole-map"}, "card.json"),
        ({"kind": "whole-map", "network": {"depth": 3}}, "card.json"),
        ({"kind": "whole-map", "network": {"width": "wide"}}, "card.json"),
        ("{", "card.json cannot be read"),
        ("[1, 2]", "card.json"),
    ],
)
def test_cards_that_tell_nothing_are_refused(saved: Path, tmp_path: Path, card: object, sentence: str):
    with pytest.raises(CheckpointError, match=sentence):
        load_network(with_card(saved, tmp_path / "odd", card))


def test_card_that_is_no_text_is_refused(saved: Path, tmp_path: Path):
    folder = with_card(saved, tmp_path / "binary", CARD)
    (folder / "card.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CheckpointError, match="card.json cannot be read"):
        read_card(folder)


def test_folders_and_shipped_names_are_found(saved: Path):
    assert find_checkpoint(saved) == find_checkpoint(str(saved)) == saved.resolve()
    assert read_card("secondary-structure")["kind"] == "secondary-structure"


def test_unknown_name_lists_those_that_exist(tmp_path: Path):
    with pytest.raises(CheckpointError, match="'experimentel' has no card.json.*secondary-structure"):
        find_checkpoint("experimentel")
    with pytest.raises(CheckpointError, match="has no card.json"):
        find_checkpoint(tmp_path)
