"""The convolution by planes is the 3-D convolution of XLA, forwards and backwards."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from deepmm_jax.networks.conv3d import conv3d


LAYOUT = lax.ConvDimensionNumbers((0, 4, 1, 2, 3), (4, 3, 0, 1, 2), (0, 4, 1, 2, 3))


def both(lhs: jax.Array, rhs: jax.Array, padding):
    """Values and gradients of a random linear function of the two convolutions."""
    plain = partial(lax.conv_general_dilated, window_strides=(1, 1, 1), padding=padding, dimension_numbers=LAYOUT)
    shape = jax.eval_shape(plain, lhs, rhs).shape
    weights = jnp.asarray(np.random.default_rng(3).normal(size=shape), jnp.float32)

    def function(convolution):
        def weighted(a, b):
            out = convolution(a, b, (1, 1, 1), padding, dimension_numbers=LAYOUT)
            return jnp.sum(weights * out), out

        return jax.jit(jax.grad(weighted, argnums=(0, 1), has_aux=True))(lhs, rhs)

    return function(conv3d), function(lax.conv_general_dilated)


@pytest.mark.parametrize(("sides", "padding"), [((6, 5, 8), "SAME"), ((7, 6, 5), "VALID")])
@pytest.mark.parametrize("kernel", [(1, 1, 1), (3, 3, 3), (5, 5, 5), (3, 1, 5), (2, 4, 3)])
def test_values_and_gradients(sides: tuple, kernel: tuple, padding: str):
    keys = jax.random.split(jax.random.key(0))
    lhs = jax.random.normal(keys[0], (2, *sides, 3))
    rhs = jax.random.normal(keys[1], (*kernel, 3, 4))
    mine, theirs = both(lhs, rhs, padding)
    for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4)


@pytest.mark.parametrize("kernel", [(3, 3, 3), (5, 3, 1)])
def test_values_and_gradients_with_fewer_outputs_than_inputs(kernel: tuple):
    keys = jax.random.split(jax.random.key(0))
    lhs = jax.random.normal(keys[0], (2, 6, 5, 8, 7))
    rhs = jax.random.normal(keys[1], (*kernel, 7, 3))
    mine, theirs = both(lhs, rhs, "SAME")
    for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4)


@pytest.mark.parametrize("kernel", [(1, 1, 1), (3, 3, 3)])
def test_explicit_padding(key: jax.Array, kernel: tuple):
    lhs, rhs = jax.random.normal(key, (1, 4, 5, 6, 2)), jax.random.normal(key, (*kernel, 2, 3))
    mine, theirs = both(lhs, rhs, [(1, 2), (0, 1), (2, 0)])
    for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.mark.parametrize("options", [{"strides": 2}, {"kernel_dilation": 2}, {"feature_group_count": 2}])
def test_a_layer_is_the_same_with_either(key: jax.Array, options: dict):
    x = jax.random.normal(key, (1, 7, 8, 6, 4))
    layers = [
        nnx.Conv(4, 6, (3, 3, 3), conv_general_dilated=function, rngs=nnx.Rngs(1), **options)
        for function in (conv3d, lax.conv_general_dilated)
    ]
    np.testing.assert_allclose(layers[0](x), layers[1](x), atol=2e-5)
