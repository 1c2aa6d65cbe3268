"""Whole-map inference: tiles cover every voxel once, tiling does not show, evidence turns with the map."""

import shutil
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax.density.map import DensityMap
from deepmm_jax.networks.calibration import write_temperatures
from deepmm_jax.networks.checkpoints import save_checkpoint
from deepmm_jax.networks.inference import CONTEXT, FLOOR, TILES, cheapest_tile, predict_volumes, tiles
from deepmm_jax.networks.turns import Turn, cube_turns
from deepmm_jax.networks.whole_map import HEADS, STRIDE, WholeMapConfig, parameter_shapes


NEAR_SIGHTED = WholeMapConfig(width=8, coarse_width=8, fine_blocks=1, coarse_blocks=1, head_width=8)
TILE = 44


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights: every output varies with the density."""
    rng = np.random.default_rng(8)
    weights = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape, scale=0.3), jnp.float32), parameter_shapes(NEAR_SIGHTED)
    )
    # With the coarse block silenced the network sees 10 Å and the rest of a 4 Å voxel: less than a tile's context.
    weights["coarse"][0]["second"] = jax.tree.map(jnp.zeros_like, weights["coarse"][0]["second"])
    folder = tmp_path_factory.mktemp("checkpoints") / "near-sighted"
    save_checkpoint(folder, weights, {"kind": "whole-map", "network": NEAR_SIGHTED.as_dict()})
    return folder


def random_map(shape: tuple[int, int, int]) -> DensityMap:
    data = np.random.default_rng(9).normal(size=shape).astype(np.float32)
    return DensityMap(data=data, step=np.ones(3), origin=np.array([3.0, -2.0, 7.0]))


@pytest.mark.parametrize("tile", [36, 44, 96])
@pytest.mark.parametrize("shape", [(1, 2, 3), (35, 36, 37), (44, 45, 97), (130, 33, 68)])
def test_tiles_keep_every_voxel_once(shape: tuple[int, int, int], tile: int):
    kept = np.zeros(shape, int)
    for corner, part, place in tiles(shape, tile):
        kept[place] += 1
        for c, inside, outside, n in zip(corner, part, place, shape, strict=True):
            assert c % STRIDE == 0
            assert (outside.start - c, outside.stop - c) == (inside.start, inside.stop)
            assert 0 <= inside.start < inside.stop <= tile
            # An edge that is not the map's own lends its context.
            assert outside.start == 0 or inside.start >= CONTEXT
            assert outside.stop == n or tile - inside.stop >= CONTEXT
    assert (kept == 1).all()


@pytest.mark.parametrize("tile", [32, 16, 46])
def test_tiles_that_cannot_advance_are_refused(tile: int):
    with pytest.raises(ValueError, match=f"tile of {tile} voxels"):
        list(tiles((50, 50, 50), tile))


def test_tiling_does_not_show(checkpoint: Path):
    density = random_map((70, 50, 44))
    tiled, whole = predict_volumes(density, checkpoint, tile=TILE), predict_volumes(density, checkpoint, tile=72)
    # At its far faces the map ends in zeros of other widths: there the two see different padding.
    inner = tuple(slice(0, n - CONTEXT) for n in density.shape)
    for name in ("main_chain", "calpha", "atoms", "offset", "directions", "amino_acids", "secondary_structure"):
        mine, other = (getattr(evidence, name)[inner].astype(float) for evidence in (tiled, whole))
        assert mine.std() > 0.01
        np.testing.assert_allclose(mine, other, atol=4e-3, err_msg=name)


def test_probabilities_and_directions_are_in_range(checkpoint: Path):
    density = random_map((20, 24, 18))
    evidence = predict_volumes(density, checkpoint, tile=36)
    np.testing.assert_array_equal(evidence.origin, density.origin)
    for volume in (evidence.main_chain, evidence.calpha):
        assert volume.dtype == np.float32 and volume.max() <= 1
        assert ((volume == 0) | (volume >= FLOOR)).all()
    assert evidence.atoms is not None and evidence.atoms.shape[-1] == HEADS["atoms"] - 1
    np.testing.assert_allclose(evidence.atoms[..., 1], evidence.calpha, atol=1e-3)
    for types in (evidence.amino_acids, evidence.secondary_structure):
        assert types is not None and (types >= 0).all()
        np.testing.assert_allclose(types.astype(float).sum(axis=-1), 1, atol=5e-3)
    assert evidence.directions is not None
    lengths = np.linalg.norm(evidence.directions.astype(float).reshape(-1, 2, 3), axis=-1)
    assert lengths.max() < 1.002 and np.median(lengths) > 0.99


def turn_evidence(volume: np.ndarray, turn: Turn, *, vectors: bool = False) -> np.ndarray:
    """A volume of the evidence after a turn of the map."""
    turned = turn.turned(volume).astype(float)
    if vectors:
        turned = (turned.reshape(*turned.shape[:3], -1, 3) @ turn.matrix.T).reshape(turned.shape)
    return turned


@pytest.mark.parametrize(("rotations", "number"), [(4, 3), (24, 3), (24, 14)])
def test_averaged_evidence_turns_with_the_map(checkpoint: Path, rotations: Literal[4, 24], number: int):
    """A map as large as the tile has the same surroundings on all sides, so that the law is exact."""
    turn = cube_turns(24)[number]
    density = random_map((36, 36, 36))
    turned = density.with_data(np.ascontiguousarray(turn.turned(density.data)))
    before, after = (predict_volumes(d, checkpoint, rotations=rotations, tile=36) for d in (density, turned))
    for name in ("main_chain", "calpha", "atoms", "amino_acids", "secondary_structure"):
        expected = turn_evidence(getattr(before, name), turn)
        # The mean of 24 random answers varies little.
        np.testing.assert_allclose(getattr(after, name), expected, atol=0.05 * expected.std(), err_msg=name)
    for name in ("offset", "directions"):
        expected = turn_evidence(getattr(before, name), turn, vectors=True)
        # Half precision; a mean direction of length 0 has none.
        share = np.isclose(getattr(after, name), expected, rtol=2e-3, atol=2e-3).mean()
        assert share > 0.999, name
    # Without the mean it does not: the network has no such symmetry of its own.
    alone = predict_volumes(turned, checkpoint, tile=36)
    single = turn_evidence(predict_volumes(density, checkpoint, tile=36).calpha, turn)
    assert np.abs(alone.calpha - single).mean() > 0.05


def test_types_have_the_temperature_of_the_card(checkpoint: Path, tmp_path: Path):
    warm = tmp_path / "warm"
    shutil.copytree(checkpoint, warm)
    write_temperatures(warm, {"amino_acids": 2.0, "secondary_structure": 0.5})
    density = random_map((20, 24, 18))
    plain, tempered = (predict_volumes(density, folder, tile=36) for folder in (checkpoint, warm))
    for name, temperature in (("amino_acids", 2.0), ("secondary_structure", 0.5)):
        power = getattr(plain, name).astype(float) ** (1 / temperature)
        expected = power / power.sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(getattr(tempered, name), expected, atol=2e-3)
    np.testing.assert_array_equal(plain.calpha, tempered.calpha)


def test_map_takes_the_tile_that_costs_least():
    assert cheapest_tile((50, 60, 64)) == 64
    assert cheapest_tile((100, 20, 20)) == 64, "three small tiles cost less than a larger one"
    assert cheapest_tile((90, 90, 90)) == 96
    assert cheapest_tile((120, 125, 128)) == 128
    for shape in ((33, 70, 100), (150, 90, 210)):
        cost = {tile: tile**3 * len(list(tiles(shape, tile))) for tile in TILES}
        assert cost[cheapest_tile(shape)] == min(cost.values())


def test_tiles_without_density_hold_no_evidence(checkpoint: Path):
    density = random_map((80, 20, 20))
    density.data[: TILE + 20] = 0
    evidence = predict_volumes(density, checkpoint, tile=TILE)
    empty = slice(0, TILE - CONTEXT)
    assert not evidence.main_chain[empty].any() and not evidence.calpha[empty].any()
    assert evidence.amino_acids is not None and evidence.main_chain[-10:].any()
    np.testing.assert_allclose(evidence.amino_acids[empty].astype(float), 1 / 20, atol=1e-4)
