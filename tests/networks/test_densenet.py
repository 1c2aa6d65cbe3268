"""Parts of a DenseNet: they are the plain NumPy ones, on the moments of a batch as on running ones."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax.networks import densenet
from reference.densenet_oracle import activate, block, plain, pool, transition


@pytest.fixture
def batch(rng: np.random.Generator) -> jax.Array:
    return jnp.asarray(rng.normal(1.0, 2.0, size=(3, 5, 5, 5, 6)), jnp.float32)


def test_moments_are_those_of_the_batch(batch: jax.Array):
    found = densenet.moments(batch)
    np.testing.assert_allclose(found["mean"], np.mean(batch, axis=(0, 1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(found["variance"], np.var(batch, axis=(0, 1, 2, 3)), rtol=1e-5)


def test_gradient_of_a_norm_is_that_of_the_textbook(batch: jax.Array, rng: np.random.Generator):
    weights = {name: jnp.asarray(rng.normal(size=6), jnp.float32) for name in ("scale", "bias")}
    side = jnp.asarray(rng.normal(size=batch.shape), jnp.float32)

    def textbook(weights: dict, x: jax.Array) -> jax.Array:
        axes = (0, 1, 2, 3)
        mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
        scale, bias = (weights[name][None, None, None, None] for name in ("scale", "bias"))
        return jnp.sum(side * jax.nn.relu(scale * (x - mean) / jnp.sqrt(variance + 1e-5) + bias))

    def mine(weights: dict, x: jax.Array) -> jax.Array:
        return jnp.sum(side * densenet.normalise(weights, densenet.moments(x), x))

    gradients = [jax.jit(jax.grad(f, argnums=(0, 1)))(weights, batch) for f in (mine, textbook)]
    for a, b in zip(*map(jax.tree.leaves, gradients), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4)


@pytest.mark.parametrize("running", [True, False])
def test_block_and_transition_are_the_plain_ones(batch: jax.Array, running: bool):
    weights = densenet.block_weights(np.random.default_rng(0), 6, layers=3, growth=4, bottleneck=2)
    given = densenet.fresh_moments(weights) if running else None
    out, used = jax.jit(densenet.dense_block)(weights, batch, given)
    assert jax.tree.structure(used) == jax.tree.structure(densenet.fresh_moments(weights))
    narrow = densenet.transition_weights(np.random.default_rng(1), 18)
    passed, moments = jax.jit(partial(densenet.transition, pool=True))(narrow, out)
    weights, narrow, used, moments = plain(weights), plain(narrow), plain(used), plain(moments)
    for mine, after, box in zip(out, passed, batch, strict=True):
        expected = block(np.asarray(box), weights, used)
        np.testing.assert_allclose(mine, expected, atol=1e-4)
        np.testing.assert_allclose(after, pool(transition(expected, narrow, moments)), atol=1e-4)
    if not running:  # the moments that each BatchNorm says it used are those of what it sees
        layer = used["layer_3"]
        seen = out[..., :14]
        np.testing.assert_allclose(layer["norm_1"]["variance"], np.var(seen, axis=(0, 1, 2, 3)), rtol=1e-4)
        inside = (
            activate(np.asarray(seen), weights["layer_3"]["norm_1"], layer["norm_1"]) @ weights["layer_3"]["reduce"]
        )
        np.testing.assert_allclose(layer["norm_2"]["mean"], inside.mean(axis=(0, 1, 2, 3)), atol=1e-4)


def test_dropout_keeps_the_mean_and_drops_its_share(key: jax.Array):
    dropped = np.asarray(densenet.drop(jnp.ones((50, 1000)), 0.2, key))
    assert set(np.unique(dropped)) == {0.0, np.float32(1.25)}
    assert (dropped == 0).mean() == pytest.approx(0.2, abs=0.01)
    np.testing.assert_array_equal(densenet.drop(jnp.ones((4, 4)), 0.0, key), np.ones((4, 4)))


def test_dropout_touches_new_channels_only(batch: jax.Array, key: jax.Array):
    weights = densenet.block_weights(np.random.default_rng(0), 6, layers=2, growth=4, bottleneck=2)
    run = jax.jit(partial(densenet.dense_block, dropout=0.5))
    full, _ = run(weights, batch)
    dropped, _ = run(weights, batch, key=key)
    np.testing.assert_array_equal(dropped[..., :6], batch)
    gone = np.asarray(dropped[..., 6:10] == 0)
    assert 0.4 < gone.mean() < 0.6
    np.testing.assert_allclose(dropped[..., 6:10], np.where(gone, 0, 2 * full[..., 6:10]), atol=1e-5)
    again, _ = run(weights, batch, key=jax.random.fold_in(key, 1))
    assert (np.asarray(again == 0) != np.asarray(dropped == 0)).any()


@pytest.mark.parametrize(("side", "half"), [(11, 5), (10, 5), (2, 1)])
def test_halving_leaves_an_odd_voxel_out(side: int, half: int, rng: np.random.Generator):
    x = rng.normal(size=(2, side, side, side, 3)).astype(np.float32)
    out = densenet.halve(jnp.asarray(x))
    assert out.shape == (2, half, half, half, 3)
    np.testing.assert_allclose(out[1], pool(x[1]), atol=1e-6)
