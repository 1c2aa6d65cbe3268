"""Experimental-like densities: every effect does what it says."""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from deepmm_jax.structure.read import read_chains
from deepmm_jax.training.chains import TrainingChain, as_training_chain
from deepmm_jax.training.simulation import (
    SCATTERING,
    add_noise,
    apply_mask,
    atomic_b_factors,
    atomic_weights,
    experimental_density,
    filter_density,
)


EXAMPLE = Path(__file__).parents[2] / "examples" / "1ake_A.pdb.gz"
SHAPE = (32, 30, 28)


@pytest.fixture(scope="module")
def chain() -> TrainingChain:
    return as_training_chain(read_chains(EXAMPLE)[0])


def frequencies(shape: tuple[int, ...]) -> np.ndarray:
    """1/d of every Fourier coefficient of a full transform, 1/Å."""
    return np.linalg.norm(np.stack(np.meshgrid(*map(np.fft.fftfreq, shape), indexing="ij")), axis=0)


@pytest.mark.parametrize("blur", [0.0, 60.0, -40.0])
def test_filter_takes_away_what_lies_beyond_the_resolution(rng: np.random.Generator, blur: float):
    density = rng.normal(size=SHAPE).astype(np.float32)
    gain = np.abs(np.fft.fftn(filter_density(density, 4.0, blur))) / np.abs(np.fft.fftn(density))
    s = frequencies(SHAPE)
    inside, edge = s < 1 / 4 - 0.09, np.exp(-blur / 16 / 4)
    np.testing.assert_allclose(gain[inside], np.exp(-blur * s[inside] ** 2 / 4), rtol=0.02)
    assert gain[s > 1 / 4 + 0.09].max() < 0.01 * edge
    assert gain[np.abs(s - 1 / 4) < 0.004].mean() == pytest.approx(edge / 2, rel=0.15)


def test_noise_is_as_strong_as_it_says(rng: np.random.Generator):
    x = np.moveaxis(np.indices(SHAPE), 0, -1) - np.array(SHAPE) / 2
    inside = np.linalg.norm(x, axis=-1) < 10
    density = np.where(inside, np.sin(x[..., 0] + 2 * x[..., 1]), 0).astype(np.float32)
    strengths, ratios = [], []
    for _ in range(40):
        noise = add_noise(density, inside, 3.0, rng) - density
        strengths.append(np.log10(noise[inside].std() / density[inside].std()))
        ratios.append(noise[~inside].std() / noise[inside].std())
        # The step at the molecule's surface spreads a little; the solvent's noise itself ends at the resolution.
        power = np.abs(np.fft.fftn(noise)) ** 2
        assert power[frequencies(SHAPE) > 0.45].sum() < 0.01 * power.sum()
    assert -1.7 < min(strengths) < -1.1 and -0.6 < max(strengths) < 0.0
    assert 0.25 < min(ratios) < 0.75 and 0.85 < max(ratios) < 1.9
    assert np.median(ratios) == pytest.approx(0.8, abs=0.2)


def test_noise_without_a_molecule_is_finite(rng: np.random.Generator):
    density = rng.normal(size=(8, 8, 8)).astype(np.float32)
    assert np.isfinite(add_noise(density, np.zeros((8, 8, 8), bool), 3.0, rng)).all()


def test_masks_are_absent_soft_or_a_zone_of_4(rng: np.random.Generator):
    distance = np.linalg.norm(np.indices((20, 20, 20)) - 9.5, axis=0).astype(np.float32)
    distance[distance > 7] = np.inf  # as `nearest_point` gives them
    density = rng.uniform(1, 2, (20, 20, 20)).astype(np.float32)
    kinds: Counter[str] = Counter()
    for _ in range(300):
        share = apply_mask(density, distance, rng) / density
        if (share == 1).all():
            kinds["none"] += 1
        elif set(np.unique(share)) == {0.0, 1.0} and (share[distance <= 4] == 1).all():
            assert not share[distance > 4].any()
            kinds["zone"] += 1
        else:
            assert (share[distance <= 3.5] == 1).all() and not share[distance >= 7].any()
            order = np.argsort(distance.ravel())
            assert (np.diff(share.ravel()[order]) <= 1e-6).all()
            kinds["soft"] += 1
    assert {kind: count / 300 for kind, count in kinds.items()} == pytest.approx(
        {"none": 0.3, "soft": 0.25, "zone": 0.45}, abs=0.09
    )


def test_acid_oxygens_are_weakened_and_nothing_else(chain: TrainingChain, rng: np.random.Generator):
    plain = np.array([SCATTERING[int(z)] for z in chain.atomic_numbers])
    factors = []
    for _ in range(50):
        share = atomic_weights(chain, rng) / plain
        np.testing.assert_allclose(share[~chain.acidic], 1, rtol=1e-6)
        factor = share[chain.acidic]
        np.testing.assert_allclose(factor, factor[0], rtol=1e-5)
        factors.append(factor[0])
    assert 0 <= min(factors) < 0.15 and 0.85 < max(factors) <= 1


def test_b_factors_grow_along_side_chains(chain: TrainingChain, rng: np.random.Generator):
    backbone = chain.kind == 1
    steeper = 0
    for _ in range(20):
        b = atomic_b_factors(chain, rng)
        assert b.dtype == np.float32 and (b >= 5).all() and (b <= 400).all()
        level = b[backbone][chain.residue_of_atom]
        # Relative to its Cα an atom's B rises linearly with its bonds from the main chain, at one slope for all.
        free = (level > 5) & (b < 400) & (chain.depth > 0)
        slope = (b / level - 1)[free] / chain.depth[free]
        np.testing.assert_allclose(slope, slope[0], atol=1e-4)
        assert -1e-5 <= slope[0] <= 0.2501
        steeper += slope[0] > 0.02
    assert steeper > 10


def test_b_factors_are_higher_at_the_surface(chain: TrainingChain, rng: np.random.Generator):
    radius = np.linalg.norm(chain.calpha - chain.calpha.mean(axis=0), axis=1)
    outer = radius > np.quantile(radius, 0.8)
    rows = np.log([atomic_b_factors(chain, rng)[chain.kind == 1] for _ in range(60)]).mean(axis=0)
    assert rows[outer].mean() > rows[radius < np.quantile(radius, 0.2)].mean() + 0.1


def test_density_peaks_at_the_molecule_and_repeats(chain: TrainingChain):
    near = np.linalg.norm(chain.positions - chain.calpha[100], axis=1) < 14
    grid = (chain.positions - chain.calpha[100] + 20).astype(np.float32)
    for seed in range(3):
        density = experimental_density(chain, grid, (40, 40, 40), np.random.default_rng(seed))
        again = experimental_density(chain, grid, (40, 40, 40), np.random.default_rng(seed))
        np.testing.assert_array_equal(density, again)
        assert density.dtype == np.float32 and np.isfinite(density).all()
        i, j, k = np.round(grid[near & (chain.kind == 1)]).astype(int).T
        assert density[i, j, k].mean() > density.mean() + density.std()
    weaker = dataclasses.replace(chain, acidic=np.zeros_like(chain.acidic))
    assert np.abs(experimental_density(weaker, grid, (40, 40, 40), np.random.default_rng(2)) - density).max() > 0
