"""The sequence's secondary-structure network: padding, reach, oracle, and the figure of the shipped weights."""

import os
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax.constants import AMINO_ACIDS
from deepmm_jax.errors import CheckpointError
from deepmm_jax.networks.checkpoints import read_card, save_checkpoint
from deepmm_jax.networks.secondary_structure import (
    PADDING,
    SecondaryStructureConfig,
    apply,
    load_secondary_structure,
    padded_length,
    parameter_shapes,
    predict_secondary_structure,
    state_probabilities,
)
from deepmm_jax.training.labelled_chains import q3, read_labelled_chains
from reference import secondary_structure_oracle


DATA = Path(os.environ.get("DEEPMM_JAX_DATA", Path(__file__).parents[3] / "shared" / "data"))
SMALL = SecondaryStructureConfig(embedding=6, width=10, stem=5, kernel=3, dilations=(1, 4, 2), head=8)
run = jax.jit(partial(apply, config=SMALL))
KINASE = "MRIILLGAPGAGKGTQAQFIMEKYGIPQISTGDMLRAAVKSGSELGKQAKDIMDAGKLVTDELVIALVKERIAQEDCRNGFLLDGFPRTIPQADAMKEAGINVDYVLEF"


def random_letters(length: int, seed: int = 0) -> str:
    return "".join(np.random.default_rng(seed).choice(list(AMINO_ACIDS + "X"), length))


@pytest.fixture(scope="module")
def parameters() -> dict:
    # All weights random: fresh biases are zero and would hide a forgotten one.
    rng = np.random.default_rng(2)
    return jax.tree.map(
        lambda leaf: jnp.asarray(0.3 * rng.normal(size=leaf.shape), jnp.float32), parameter_shapes(SMALL)
    )


def test_network_has_the_published_size():
    shapes = parameter_shapes(SecondaryStructureConfig())
    assert sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(shapes)) == 432_059


def test_network_agrees_with_the_oracle(parameters: dict):
    letters = np.random.default_rng(3).integers(0, 21, 40).astype(np.int32)
    expected = secondary_structure_oracle.logits(jax.tree.map(np.asarray, parameters), letters, SMALL.dilations)
    for mine, oracle in zip(run(parameters, jnp.asarray(letters)[None]), expected, strict=True):
        np.testing.assert_allclose(mine[0], oracle, atol=2e-5)


def test_padding_cannot_be_seen(parameters: dict):
    letters = np.random.default_rng(4).integers(0, 21, (2, 50)).astype(np.int32)
    padded = np.full((2, 90), PADDING, np.int32)
    padded[:, :50] = letters
    for tight, loose in zip(run(parameters, jnp.asarray(letters)), run(parameters, jnp.asarray(padded)), strict=True):
        np.testing.assert_allclose(tight, loose[:, :50], atol=1e-5)


def test_prediction_does_not_depend_on_the_company(parameters: dict):
    sequences = [random_letters(n, seed=n) for n in (5, 128, 129, 12)]
    together = state_probabilities(parameters, sequences, config=SMALL, batch_residues=300)
    for sequence, p in zip(sequences, together, strict=True):
        assert p.shape == (len(sequence), 3)
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(p, state_probabilities(parameters, [sequence], config=SMALL)[0], atol=1e-5)


def test_a_residue_acts_as_far_as_the_convolutions_reach(parameters: dict):
    reach = SMALL.stem // 2 + sum(SMALL.kernel // 2 * dilation for dilation in SMALL.dilations)
    letters = jnp.zeros((1, 61), jnp.int32)
    before, after = (run(parameters, x)[0] for x in (letters, letters.at[0, 30].set(7)))
    moved = np.flatnonzero(np.asarray(before != after).any(axis=(0, 2)))
    assert (moved.min(), moved.max()) == (30 - reach, 30 + reach)


def test_dropout_needs_a_key(parameters: dict):
    letters = jnp.zeros((1, 20), jnp.int32)
    plain, one, two = (run(parameters, letters, key=key)[0] for key in (None, *jax.random.split(jax.random.key(0))))
    assert not np.allclose(one, two) and not np.allclose(one, plain)


@pytest.mark.parametrize(("length", "size"), [(1, 128), (128, 128), (129, 256), (513, 1024), (2049, 3072)])
def test_chains_share_few_padded_lengths(length: int, size: int):
    assert padded_length(length) == size


def test_checkpoint_of_another_kind_is_refused(tmp_path: Path):
    save_checkpoint(tmp_path / "other", {"kernel": np.zeros(3)}, {"kind": "whole-map", "network": {"width": 3}})
    with pytest.raises(CheckpointError, match="is not one of secondary structure"):
        load_secondary_structure(tmp_path / "other")


def test_shipped_network_finds_the_helices_of_adenylate_kinase():
    states = predict_secondary_structure(KINASE).argmax(axis=1)
    # 1AKE chain A by DSSP: strand 2–6, P-loop helix 13–24, helix 31–42, helix 61–73 (numbers from 1).
    assert (states[1:6] == 1).mean() >= 0.8
    for first, last in ((14, 23), (31, 40), (61, 72)):
        assert (states[first - 1 : last] == 0).mean() >= 0.8


def test_shipped_network_reaches_71_percent_on_cb513():
    table = DATA / "secondary_structure" / "secondary_structure.csv.gz"
    if not table.is_file():
        pytest.skip(f"needs the shared data: {table} is absent (set DEEPMM_JAX_DATA)")
    chains = [chain for chain in read_labelled_chains(table) if chain.split == "test_cb513"]
    assert sum(int((chain.scored & (chain.three >= 0)).sum()) for chain in chains) == 83_427
    parameters, config = load_secondary_structure()
    measured = q3(chains, state_probabilities(parameters, [chain.letters for chain in chains], config=config))
    print(f"Q3 on CB513: {measured:.4f}")
    assert measured >= 0.710
    assert measured == pytest.approx(read_card("secondary-structure")["figures"]["q3_test_cb513"], abs=1e-3)
