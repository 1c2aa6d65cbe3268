"""DenseNets A and B: the paper's sizes, the plain NumPy network's answers, checkpoints."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax.errors import CheckpointError, ConfigError
from deepmm_jax.networks.boxes import (
    OUTPUTS,
    SIDES,
    BoxConfig,
    BoxKind,
    apply_box_network,
    box_outputs,
    load_box_network,
    parameter_shapes,
    save_box_network,
)
from deepmm_jax.networks.checkpoints import save_checkpoint
from reference.box_networks import TINY, random_network
from reference.densenet_oracle import forward, plain


PARAMETERS = {"box-a": 1_083_058, "box-b": 878_551}
STAGES = {
    "box-a": [(11, 32), (11, 128), (11, 64), (11, 160), (11, 80), *2 * [(11, 176), (5, 88), (5, 184)]],
    "box-b": [(10, 32), (10, 128), (10, 64), *2 * [(10, 160), (5, 80), (5, 176)]],
}
"""Side and channels of what leaves each stage (method.md 1.1)."""
KINDS: list[BoxKind] = ["box-a", "box-b"]


def boxes(kind: BoxKind, count: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(size=(count, *3 * [SIDES[kind]])).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_trainable_parameters_are_the_papers(kind: BoxKind):
    shapes = parameter_shapes(kind, BoxConfig())
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes["weights"])) == PARAMETERS[kind]
    norms = sum(leaf.size for path, leaf in jax.tree.leaves_with_path(shapes["weights"]) if path[-1].key == "scale")
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes["moments"])) == 2 * norms


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_forward_pass_is_that_of_plain_numpy(kind: BoxKind):
    """At the paper's sizes, to 1e-5, and with the shapes of the paper's table at every stage."""
    network, given = random_network(kind, BoxConfig()), boxes(kind, 1)
    mine = box_outputs(network.config, network.weights, network.moments, jnp.asarray(given))
    for number, box in enumerate(given):
        expected, shapes = forward(box, plain(network.weights), plain(network.moments))
        assert shapes == [(side, side, side, channels) for side, channels in STAGES[kind]]
        for head, outputs in OUTPUTS[kind].items():
            assert mine[head].shape == (1, outputs)
            np.testing.assert_allclose(mine[head][number], expected[head], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_one_is_that_of_plain_numpy_and_boxes_do_not_meet(kind: BoxKind):
    network, given = random_network(kind), boxes(kind, 3)
    mine = box_outputs(TINY, network.weights, network.moments, jnp.asarray(given))
    expected, _ = forward(given[1], plain(network.weights), plain(network.moments))
    for head in OUTPUTS[kind]:
        np.testing.assert_allclose(mine[head][1], expected[head], atol=1e-5)


@pytest.mark.slow
def test_training_uses_the_batch_and_dropout_and_tells_its_moments():
    network, given = random_network("box-b"), jnp.asarray(boxes("box-b", 4))
    apply = jax.jit(partial(apply_box_network, TINY))
    outputs, used = apply(network.weights, given)
    assert jax.tree.map(jnp.shape, used) == jax.tree.map(jnp.shape, network.moments)
    # Inference with the moments of the batch is the same thing.
    again, _ = apply(network.weights, given, used)
    np.testing.assert_allclose(outputs["residue_class"], again["residue_class"], atol=1e-4)
    running, same = apply(network.weights, given, network.moments)
    assert np.abs(np.asarray(running["residue_class"] - outputs["residue_class"])).max() > 1e-3
    for a, b in zip(jax.tree.leaves(same), jax.tree.leaves(network.moments), strict=True):
        np.testing.assert_array_equal(a, b)
    with_key, _ = apply(network.weights, given, key=jax.random.key(0))
    assert np.abs(np.asarray(with_key["residue_class"] - outputs["residue_class"])).max() > 1e-3


def test_checkpoint_holds_weights_and_moments(tmp_path: Path):
    network = random_network("box-a")
    save_box_network(tmp_path / "mine", network, {"steps": 7})
    read = load_box_network(tmp_path / "mine", "box-a")
    assert (read.kind, read.config) == ("box-a", TINY)
    for old, new in zip(jax.tree.leaves(network[2:]), jax.tree.leaves(read[2:]), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-3, atol=1e-6)


def test_checkpoints_of_other_networks_are_refused(tmp_path: Path):
    network = random_network("box-a")
    save_box_network(tmp_path, network, {})
    with pytest.raises(CheckpointError, match="holds a 'box-a' network, not a box-b one.*deepmm-jax train box-b"):
        load_box_network(tmp_path, "box-b")
    stored = {"weights": network.weights, "moments": network.moments}
    for sizes, reason in (({"stem": 8}, "another network"), ({"stem": "8"}, "sizes"), ({"depth": 8}, "sizes")):
        save_checkpoint(tmp_path, stored, {"kind": "box-a", "network": TINY.as_dict() | sizes})
        with pytest.raises(CheckpointError, match=reason):
            load_box_network(tmp_path, "box-a")
    save_checkpoint(tmp_path, stored, {"kind": "box-a"})
    with pytest.raises(CheckpointError, match="does not give the network's sizes"):
        load_box_network(tmp_path, "box-a")


def test_impossible_dropout_is_refused():
    with pytest.raises(ConfigError, match="dropout is 1 and must be"):
        BoxConfig(dropout=1.0)
