"""The simulator as a whole: what it is told it does, it repeats, and its settings are read with care."""

import hashlib
from collections import Counter
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from deepmm_jax.density.experimental.atoms import BFactors
from deepmm_jax.density.experimental.masks import Masking, distance_to_atoms
from deepmm_jax.density.experimental.noise import Noise, Transplant
from deepmm_jax.density.experimental.settings import EFFECTS, Level, Scatter, load_simulator, parse_simulator
from deepmm_jax.density.experimental.simulator import (
    Effects,
    Molecule,
    PostProcessing,
    Sampling,
    draw_effects,
    render,
    simulate_experimental,
)
from deepmm_jax.errors import ConfigError
from reference.molecules import random_coil


SHAPE = (48, 46, 44)
CONFIG = load_simulator()
CLEAN = Effects(post_processing=PostProcessing(fall_off=1.0))


@pytest.fixture(scope="module")
def molecule() -> Molecule:
    return random_coil(90, np.random.default_rng(4), centre=22.0)


def rendered(molecule: Molecule, effects: Effects, seed: int = 0, **more) -> np.ndarray:
    return render(molecule, SHAPE, 3.5, effects, np.random.default_rng(seed), **more)


def test_maps_repeat_and_differ_by_seed(molecule: Molecule, rng: np.random.Generator):
    residuals = [rng.normal(size=(20, 20, 20)).astype(np.float32)]
    maps = [
        simulate_experimental(molecule, SHAPE, 3.2, np.random.default_rng(seed), CONFIG, residuals=residuals)
        for seed in (3, 3, 4)
    ]
    np.testing.assert_array_equal(maps[0], maps[1])
    assert np.corrcoef(maps[0].ravel(), maps[2].ravel())[0, 1] < 0.999
    assert maps[0].shape == SHAPE and maps[0].dtype == np.float32


@pytest.mark.parametrize("resolution", [2.3, 3.5, 5.0])
def test_atoms_stand_out_of_every_map(molecule: Molecule, resolution: float):
    i, j, k = np.round(molecule.calpha).astype(int).T
    inside = ((molecule.calpha > 2) & (molecule.calpha < np.array(SHAPE) - 3)).all(axis=1)
    for seed in range(8):
        density = simulate_experimental(molecule, SHAPE, resolution, np.random.default_rng(seed), CONFIG)
        assert np.isfinite(density).all()
        assert density[i[inside], j[inside], k[inside]].mean() > density.mean() + 0.7 * density.std()


def test_a_clean_map_does_not_depend_on_the_seed(molecule: Molecule):
    np.testing.assert_array_equal(rendered(molecule, CLEAN, 1), rendered(molecule, CLEAN, 2))


def test_the_level_of_b_is_the_fall_off_of_the_finished_map(molecule: Molecule):
    # With one B for all atoms its value must not matter: post-processing sets the fall-off.
    low, high = (rendered(molecule, replace(CLEAN, b_factors=BFactors(level=level))) for level in (5.0, 12.0))
    np.testing.assert_allclose(low, high, atol=1e-3 * low.max())


def test_weak_parts_are_weak_in_the_map(molecule: Molecule):
    effects = replace(CLEAN, b_factors=BFactors(level=10.0, ends=1.4))
    change = rendered(molecule, effects) / rendered(molecule, CLEAN)
    i, j, k = np.round(molecule.calpha).astype(int).T
    assert change[i[0], j[0], k[0]] < 0.75 * np.median(change[i[10:-10], j[10:-10], k[10:-10]])


@pytest.mark.parametrize("solvent", [0.3, 1.0])
def test_noise_is_weaker_in_solvent_if_told(molecule: Molecule, solvent: float):
    effects = replace(CLEAN, noise=Noise(strength=1.0, solvent=solvent))
    noise = rendered(molecule, effects) - rendered(molecule, CLEAN)
    distance = distance_to_atoms(molecule.positions, SHAPE, 8.0)
    assert noise[distance >= 7.5].std() / noise[distance < 1.5].std() == pytest.approx(solvent, rel=0.15)


def test_neighbours_have_density_and_zones_cut_it(molecule: Molecule):
    beside = molecule.moved(np.eye(3), np.array([0.0, 14.0, 0.0]))
    more = rendered(molecule, CLEAN, neighbours=[beside]) - rendered(molecule, CLEAN)
    near_neighbour = distance_to_atoms(beside.positions, SHAPE, 4.0) < 2
    assert more[near_neighbour].mean() > 2 * abs(more[~near_neighbour]).mean()
    distance = distance_to_atoms(molecule.positions, SHAPE, 8.0)
    zone, whole = (
        rendered(molecule, replace(CLEAN, masking=Masking(kind="zone", radius=4.0, whole=whole)), neighbours=[beside])
        for whole in (False, True)
    )
    assert not zone[distance > 4].any() and (zone[(distance <= 4) & near_neighbour] != 0).all()
    assert (whole[near_neighbour] != 0).all()


def test_transplants_are_as_strong_as_they_say(molecule: Molecule, rng: np.random.Generator):
    residuals = [rng.normal(size=(24, 24, 24)).astype(np.float32)]
    clean = rendered(molecule, CLEAN)
    added = rendered(molecule, replace(CLEAN, transplant=Transplant(strength=0.3)), residuals=residuals) - clean
    signal = clean[distance_to_atoms(molecule.positions, SHAPE, 4.0) < 3].std()
    assert added.std() == pytest.approx(0.3 * signal, rel=0.05)
    np.testing.assert_array_equal(rendered(molecule, replace(CLEAN, transplant=Transplant(strength=0.3))), clean)


def test_units_are_changed_and_nothing_else(molecule: Molecule):
    clean = rendered(molecule, CLEAN)
    other = rendered(molecule, replace(CLEAN, level=Level(scale=0.02, offset=0.5)))
    np.testing.assert_allclose(other, 0.02 * (clean + 0.5 * clean.std()), rtol=1e-4, atol=1e-6)


def test_drawn_parameters_lie_in_their_ranges(rng: np.random.Generator):
    drawn = [draw_effects(CONFIG, 3.0, rng) for _ in range(300)]
    for name, kind in EFFECTS.items():
        scatter = CONFIG.effects[name]
        values = [getattr(effects, name) for effects in drawn]
        share = np.mean([value != kind() for value in values])
        if name != "sampling":
            assert share == pytest.approx(scatter.probability, abs=0.1)
            share = CONFIG.coarseness(3.0)
            for parameter, (fine, coarse) in scatter.ranges.items():
                low, high = np.array(fine) + share * (np.array(coarse) - np.array(fine))
                numbers = np.array([getattr(value, parameter) for value in values if value != kind()])
                assert low <= numbers.min() and numbers.max() <= high
                assert np.ptp(numbers) >= 0.85 * (high - low)
    assert max(effects.sampling.voxel for effects in drawn) == pytest.approx(1.35, abs=0.02)
    kinds = Counter(effects.masking.kind for effects in drawn)
    for kind, scatter in CONFIG.masks.items():
        assert kinds[kind] / 300 == pytest.approx(scatter.probability, abs=0.09)


def test_ranges_may_change_with_resolution(rng: np.random.Generator):
    scatter = Scatter(probability=1.0, ranges={"fall_off": ((0.0, 1.0), (10.0, 12.0))})
    for coarseness, low, high in ((0.0, 0, 1), (0.5, 5, 6.5), (1.0, 10, 12)):
        values = [scatter.draw(coarseness, rng)["fall_off"] for _ in range(200)]
        assert low <= min(values) < low + 0.1 and high - 0.1 < max(values) <= high
    assert [CONFIG.coarseness(r) for r in (2.0, 2.3, 3.65, 5.0, 6.0)] == pytest.approx([0, 0, 0.5, 1, 1])


def test_the_version_is_frozen():
    # A change of the settings or of any effect is a new version beside this one.
    text = files("deepmm_jax.density.experimental").joinpath("simulated-experimental-v1.toml").read_bytes()
    assert hashlib.sha256(text).hexdigest() == "151e50dd4d056a988d14b75faac7264577266123103bb6671b31eb4ed052bb4d"
    residual = np.random.default_rng(9).normal(size=(20, 20, 20)).astype(np.float32)
    molecule = random_coil(90, np.random.default_rng(4), centre=22.0)
    for seed, mean, deviation, middle in (
        (0, 0.0643922, 0.374764, 5.64864),
        (1, 0.00319279, 0.0276682, 0.405285),
        (3, 0.0374402, 0.230560, 3.08773),
        (5, 0.0596445, 0.511896, 5.51900),
    ):
        density = simulate_experimental(
            molecule, SHAPE, 2.6 + 0.4 * seed, np.random.default_rng(seed), CONFIG, residuals=[residual]
        )
        figures = [density.mean(), density.std(), density[22, 22, 22]]
        np.testing.assert_allclose(figures, [mean, deviation, middle], rtol=2e-3)


def test_the_committed_settings_are_the_version_they_say():
    assert CONFIG.version == "simulated-experimental-v1" and CONFIG.resolution == (2.3, 5.0)
    assert sum(mask.probability for mask in CONFIG.masks.values()) == pytest.approx(1)
    with pytest.raises(ConfigError, match="simulated-experimental-v9"):
        load_simulator("simulated-experimental-v9")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("slope = [", "slop = [", "slop"),
        ("[noise]", "[nose]", "noise"),
        ("ramp = [0.0,", "ramp = [9.0,", "ramp"),
        ("[masks.none]\nprobability = 0", "[masks.none]\nprobability = 7", "probability"),
        ("version =", "version", "v-test"),
    ],
)
def test_bad_settings_are_named(old: str, new: str, message: str):
    text = files("deepmm_jax.density.experimental").joinpath("simulated-experimental-v1.toml").read_text()
    assert old in text
    with pytest.raises(ConfigError, match=message):
        parse_simulator(text.replace(old, new, 1), "v-test")


def test_effects_default_to_nothing(molecule: Molecule):
    plain = rendered(molecule, Effects())
    assert rendered(molecule, Effects(sampling=Sampling(voxel=0.8))) == pytest.approx(plain)
