"""Losses of the whole-map network against their oracle, at a perfect prediction, and without any Cα."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax.evidence.ideal import calpha_directions, nearest_point
from deepmm_jax.networks.whole_map import HEADS
from deepmm_jax.training.examples import Example
from deepmm_jax.training.losses import (
    ATOM_WEIGHTS,
    TYPE_RADIUS,
    WEIGHTS,
    type_accuracies,
    voxel_targets,
    whole_map_loss,
)
from reference import losses_oracle


SIDE = 6
look_up, loss_of, accuracies = map(jax.jit, (voxel_targets, whole_map_loss, type_accuracies))


def made_up(seed: int, end: bool = True) -> Example:
    """A helix-like chain through a small crop; `end` puts a terminus inside and an unknown residue."""
    rng = np.random.default_rng(seed)
    t = np.arange(15.0) - (0 if end else 7)
    calpha = np.stack([2.3 * np.cos(1.75 * t) + 3, 2.3 * np.sin(1.75 * t) + 3, 1.5 * t + 1], axis=1).astype(np.float32)
    nearest, _ = nearest_point(calpha, (SIDE, SIDE, SIDE), 4.0)
    amino_acids = rng.integers(0, 20, 15).astype(np.int32)
    if end:
        amino_acids[1] = 20
    pad = [(0, 3), (0, 0)]
    return Example(
        density=rng.normal(size=(SIDE, SIDE, SIDE, 2)).astype(np.float32),
        known=rng.uniform(size=(SIDE, SIDE, SIDE)) < 0.9,
        atoms=rng.uniform(0.02, 0.98, (SIDE, SIDE, SIDE, 6)).astype(np.float16),
        nearest=nearest.astype(np.int16),
        calpha=np.pad(calpha, pad),
        directions=np.pad(calpha_directions(calpha), pad),
        amino_acids=np.pad(amino_acids, pad[0]),
        states=np.pad(rng.integers(0, 3, 15).astype(np.int32), pad[0]),
    )


def batch(*examples: Example) -> Example:
    return Example(*(np.stack(field) for field in zip(*examples, strict=True)))


def perfect_outputs(example: Example) -> jax.Array:
    targets = look_up(example)
    p = targets.atoms
    heads = {
        "atoms": jnp.log(p / (1 - p)),
        "offset": targets.offset,
        "directions": 7.0 * targets.directions,  # only the direction counts
        "amino_acids": 30.0 * jax.nn.one_hot(targets.amino_acids, 20),
        "secondary_structure": 30.0 * jax.nn.one_hot(targets.states, 3),
    }
    return jnp.concatenate([heads[name] for name in HEADS], axis=-1)


def test_losses_agree_with_the_oracle(rng: np.random.Generator):
    example = made_up(1)
    outputs = rng.normal(size=(1, SIDE, SIDE, SIDE, 38)).astype(np.float32)
    loss, parts = loss_of(jnp.asarray(outputs), look_up(batch(example)))
    expected = losses_oracle.losses(outputs[0], example, ATOM_WEIGHTS, TYPE_RADIUS)
    assert {name: float(value) for name, value in parts.items()} == pytest.approx(expected, rel=2e-3)
    assert float(loss) == pytest.approx(sum(WEIGHTS[name] * value for name, value in expected.items()), rel=2e-3)


def test_examples_of_a_batch_keep_their_own_tables():
    first, second = made_up(1), made_up(2, end=False)
    together = look_up(batch(first, second))
    for i, example in enumerate((first, second)):
        alone = look_up(batch(example))
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_array_equal(a[i], b[0])


def test_perfect_prediction_has_no_loss_left():
    example = batch(made_up(3, end=False))
    outputs, targets = perfect_outputs(example), look_up(example)
    _, parts = loss_of(outputs, targets)
    assert float(parts["offset"]) == pytest.approx(0.01, abs=1e-4)  # the root is rounded off at 0.01 Å
    for name in ("directions", "amino_acids", "secondary_structure"):
        assert abs(float(parts[name])) < 1e-4, name
    assert {name: float(share) for name, share in accuracies(outputs, targets).items()} == {
        "accuracy_20": 1.0,
        "accuracy_4": 1.0,
        "accuracy_ss": 1.0,
    }


def test_cross_entropy_of_atoms_is_lowest_at_the_label(key: jax.Array):
    example = batch(made_up(4))
    outputs, targets = perfect_outputs(example), look_up(example)

    def atoms(moved: jax.Array) -> jax.Array:
        return loss_of(outputs.at[..., :6].add(moved), targets)[1]["atoms"]

    none = jnp.zeros(outputs.shape[:-1] + (6,))
    np.testing.assert_allclose(jax.jit(jax.grad(atoms))(none), 0, atol=1e-5)
    for move in jax.random.normal(key, (5, *none.shape)):
        assert float(atoms(0.3 * move)) > float(atoms(none)) + 1e-3


def test_wrong_types_and_reversed_directions_cost(rng: np.random.Generator):
    example = batch(made_up(5, end=False))
    outputs, targets = perfect_outputs(example), look_up(example)
    reversed_chain = outputs.at[..., 9:12].set(outputs[..., 12:15]).at[..., 12:15].set(outputs[..., 9:12])
    assert float(loss_of(reversed_chain, targets)[1]["directions"]) > 0.5
    opposite = outputs.at[..., 9:15].multiply(-1)
    assert float(loss_of(opposite, targets)[1]["directions"]) == pytest.approx(2.0, abs=1e-3)
    rolled = outputs.at[..., 15:35].set(jnp.roll(outputs[..., 15:35], 1, axis=-1))
    assert float(accuracies(rolled, targets)["accuracy_20"]) == 0


def test_losses_are_finite_without_a_calpha():
    empty = made_up(6)._replace(nearest=np.full((SIDE, SIDE, SIDE), -1, np.int16))
    targets = look_up(batch(empty))
    assert not targets.weight.any()
    outputs = jnp.zeros((1, SIDE, SIDE, SIDE, 38))
    gradient, parts = jax.jit(jax.grad(whole_map_loss, has_aux=True))(outputs, targets)
    assert np.isfinite(gradient).all()
    for name, value in parts.items():
        assert np.isfinite(value) and (name == "atoms") == (float(value) > 0)
    assert all(float(share) == 0 for share in accuracies(outputs, targets).values())
