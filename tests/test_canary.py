"""The installed jaxlib computes what NumPy computes, and the nets that the tests are held by are there.

jax 0.10.2 silently returns wrong rows on CPUs for jit(vmap(matvec -> reduce)) (jax-ml/jax#39103), the shape of a
mean-shift step. pyproject.toml excludes it; this catches an environment that has it all the same, or its successor.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from deepmm_jax.structure.superposition import rmsd


def test_jitted_vmap_of_matvec_then_reduce():
    n = 32_769
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n, 3)).astype(np.float32)
    turn = rng.normal(size=(3, 3)).astype(np.float32)
    expected = ((rows @ turn.T) ** 2).sum(axis=1)
    norm = jax.jit(jax.vmap(lambda row: jnp.sum((jnp.asarray(turn) @ row) ** 2)))(rows)
    wrong = ~np.isclose(np.asarray(norm), expected, rtol=1e-4)
    assert not wrong.any(), f"jax {jax.__version__} returns {wrong.sum()} wrong rows of {n}; install another version"


def test_excluded_version_is_not_installed():
    assert jax.__version__ != "0.10.2"


def test_arrays_of_different_rank_do_not_meet_silently():
    with pytest.raises(ValueError, match="rank_promotion"):
        jnp.ones(3) + jnp.ones((2, 3))


def test_a_wrong_shape_is_noticed_and_so_is_a_warning():
    with pytest.raises(TypeCheckError, match="mobile"):
        rmsd(np.zeros((4, 2)), np.zeros((4, 2)))
    with pytest.raises(RuntimeWarning):
        np.log(np.zeros(1))
