"""The whole-map network: size, shapes, heads, residual start, and the grids it computes on."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from deepmm_jax.networks.whole_map import (
    ATOM_CHANNELS,
    HEADS,
    ResidualBlock,
    WholeMapConfig,
    _depth_to_space,
    _space_to_depth,
    apply_network,
    initial_parameters,
    parameter_shapes,
    split_heads,
)


TINY = WholeMapConfig(width=8, coarse_width=8, fine_blocks=1, coarse_blocks=1, head_width=8)
run = jax.jit(partial(apply_network, TINY))


@pytest.fixture(scope="module")
def parameters() -> dict:
    # All weights random: the second convolution of every block starts at zero and would hide a forgotten one.
    rng = np.random.default_rng(4)
    return jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape, scale=0.15), jnp.float32), parameter_shapes(TINY)
    )


def expected_size(config: WholeMapConfig) -> int:
    def block(width: int) -> int:
        return 2 * width + 2 * (27 * width * width + width)

    w, c, h = config.width, config.coarse_width, config.head_width
    pointwise = (8 * w + 1) * c + (c + 1) * 8 * w + (w + 1) * h + (h + 1) * 8 * 38
    return 27 * 8 * w + w + 2 * config.fine_blocks * block(w) + config.coarse_blocks * block(c) + 2 * w + pointwise


@pytest.mark.parametrize("config", [WholeMapConfig(), TINY])
def test_network_has_the_size_of_its_layers(config: WholeMapConfig):
    leaves = jax.tree.leaves(parameter_shapes(config))
    assert sum(int(np.prod(leaf.shape)) for leaf in leaves) == expected_size(config)


def test_default_network_has_the_published_size():
    assert expected_size(WholeMapConfig()) == 2_540_368


def test_shapes_are_those_of_the_weights():
    shapes = jax.tree.map(lambda leaf: leaf.shape, parameter_shapes(TINY))
    weights = jax.tree.map(lambda leaf: leaf.shape, initial_parameters(TINY))
    assert shapes == weights


def test_every_voxel_gets_all_heads(parameters: dict):
    outputs = run(parameters, jnp.zeros((2, 8, 12, 16, 2)))
    assert outputs.shape == (2, 8, 12, 16, 38)
    heads = split_heads(outputs)
    assert {name: head.shape[-1] for name, head in heads.items()} == HEADS
    assert HEADS["atoms"] == len(ATOM_CHANNELS)
    np.testing.assert_array_equal(jnp.concatenate(list(heads.values()), axis=-1), outputs)


def test_fresh_network_answers_an_empty_map_with_the_priors():
    heads = split_heads(run(initial_parameters(TINY), jnp.zeros((1, 8, 8, 8, 2))))
    priors = np.exp(np.asarray(heads["atoms"]))
    np.testing.assert_allclose(priors, np.broadcast_to([0.05] + [0.02] * 5, priors.shape), rtol=1e-5)
    assert not any(np.asarray(head).any() for name, head in heads.items() if name != "atoms")


def test_residual_blocks_start_as_the_identity(key: jax.Array):
    x = jax.random.normal(key, (1, 4, 4, 4, 6))
    block = ResidualBlock(6, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(block(x), x)
    block.second.kernel[...] = jnp.ones((3, 3, 3, 6, 6))
    assert float(jnp.abs(block(x) - x).max()) > 0.1


def test_pixel_shuffle_undoes_space_to_depth(key: jax.Array):
    x = jax.random.normal(key, (2, 4, 6, 8, 3))
    deep = _space_to_depth(x)
    assert deep.shape == (2, 2, 3, 4, 24)
    np.testing.assert_array_equal(_depth_to_space(deep), x)
    np.testing.assert_array_equal(np.sort(deep[0, 1, 2, 3]), np.sort(x[0, 2:4, 4:6, 6:8].ravel()))


def test_shifting_the_map_by_the_coarsest_voxel_shifts_the_answer(parameters: dict, rng: np.random.Generator):
    # The network sees 21 voxels; what is compared lies further from every face, before and after the shift.
    density = np.zeros((1, 64, 64, 64, 2), np.float32)
    density[:, 24:36, 24:36, 24:36] = rng.normal(size=(1, 12, 12, 12, 2))
    outputs = np.asarray(run(parameters, jnp.asarray(density)))
    shifted = np.asarray(run(parameters, jnp.asarray(np.roll(density, (4, -4, 8), axis=(1, 2, 3)))))
    inner = slice(30, 39)
    np.testing.assert_allclose(
        np.roll(outputs, (4, -4, 8), axis=(1, 2, 3))[:, inner, inner, inner], shifted[:, inner, inner, inner], atol=1e-5
    )
    assert outputs[:, 30, 30, 30].std() > 0.01


def test_members_of_a_batch_do_not_see_each_other(parameters: dict, rng: np.random.Generator):
    density = jnp.asarray(rng.normal(size=(2, 8, 8, 8, 2)), jnp.float32)
    together = run(parameters, density)
    alone = jnp.concatenate([run(parameters, density[:1]), run(parameters, density[1:])])
    np.testing.assert_allclose(together, alone, atol=1e-5)


VARIANTS = {
    "standard": replace(TINY, inputs="standard"),
    "both": replace(TINY, inputs="both"),
    "fine voxel": replace(TINY, fine_voxel=1),
    "dense": replace(TINY, block="dense"),
}


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_every_form_labels_every_voxel_and_learns(config: WholeMapConfig, rng: np.random.Generator):
    density = jnp.asarray(rng.normal(size=(1, 8, 8, 8, 2)), jnp.float32)
    weights = initial_parameters(config)

    def loss(weights: dict) -> jax.Array:
        return jnp.mean((apply_network(config, weights, density) - 1) ** 2)

    step = jax.jit(jax.value_and_grad(loss))
    before, gradients = step(weights)
    after, _ = step(jax.tree.map(lambda p, g: p - 0.01 * g, weights, gradients))
    assert float(after) < float(before)
    assert jax.eval_shape(partial(apply_network, config), weights, density).shape == (1, 8, 8, 8, 38)


@pytest.mark.parametrize(
    ("inputs", "seen"), [("density", (True, False)), ("standard", (False, True)), ("both", (True, True))]
)
def test_a_network_looks_at_the_channels_it_names(inputs: str, seen: tuple[bool, bool], rng: np.random.Generator):
    config = replace(TINY, inputs=inputs)
    weights = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape, scale=0.15), jnp.float32), parameter_shapes(config)
    )
    density = jnp.asarray(rng.normal(size=(1, 8, 8, 8, 2)), jnp.float32)
    see = jax.jit(partial(apply_network, config))
    outputs = see(weights, density)
    for channel, matters in enumerate(seen):
        changed = see(weights, density.at[..., channel].add(0.5))
        assert (float(jnp.abs(changed - outputs).max()) > 1e-3) == matters
