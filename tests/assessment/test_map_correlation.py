"""Correlations with a map: figures of map_model_cc, and what must and must not matter."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from deepmm_jax.assessment.map_correlation import (
    MapCorrelation,
    correlate,
    molecular_mask,
    pearson,
    residue_correlations,
)
from deepmm_jax.assessment.scattering import scattering
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc import read_map
from deepmm_jax.errors import MapError
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from reference.golden_maps import Case, golden_cases, map_fingerprint, noisy_map
from reference.golden_pairs import fingerprint, golden, residues, ubiquitin


GOLDEN = golden("map_correlation")
REAL = [name for name, figures in GOLDEN.items() if "map_sha256" in figures]
FIGURES = ("mask", "box", "peaks", "volume")


def check(name: str, density: DensityMap, chains: list[Chain]) -> None:
    """At three B factors our figures are the oracle's within 0.01, and the oracle has its best CC_mask at our B."""
    theirs = GOLDEN[name]
    resolution = theirs["resolution"]
    ours = correlate(density, chains, resolution)
    assert ours.b == pytest.approx(theirs["b"], abs=max(2.0, 0.05 * theirs["b"]))
    factors = [min(theirs["b"] * ratio, 999.0) for ratio in (0.5, 1.0, 2.0)]
    for b, figures in zip(factors, theirs["by_b"]):
        found = ours if b == theirs["b"] else correlate(density, chains, resolution, b=b)
        for key in FIGURES:
            assert getattr(found, key) == pytest.approx(figures[f"cc_{key}"], abs=0.01), (b, key)
    assert theirs["by_b"][1]["cc_mask"] >= max(figures["cc_mask"] for figures in theirs["by_b"]) - 0.002


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    return {case.name: case for case in golden_cases()}


def test_every_case_was_judged(cases):
    assert cases.keys() | set(REAL) == GOLDEN.keys() and len(cases) >= 20


@pytest.mark.parametrize("name", [name for name in GOLDEN if name not in REAL])
def test_map_model_cc_agrees(name, cases):
    case = cases[name]
    assert fingerprint(case.model) == pytest.approx(GOLDEN[case.name]["model"], abs=0.01), "the input is another"
    assert map_fingerprint(case.density) == pytest.approx(GOLDEN[case.name]["map"], rel=1e-3), "the input is another"
    check(case.name, case.density, case.model)


@pytest.mark.parametrize("name", REAL)
def test_map_model_cc_agrees_on_real_maps(name, data_directory):
    files = [data_directory / "maps" / f"{name}{ending}" for ending in (".mrc.gz", ".pdb")]
    for path, key in zip(files, ("map_sha256", "model_sha256")):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == GOLDEN[name][key], "the input is another"
    check(name, read_map(files[0]), read_chains(files[1]))


@pytest.fixture(scope="module")
def small() -> tuple[DensityMap, Chain]:
    """Thirty residues in their own map of 4 Å."""
    chain = residues(ubiquitin(), np.arange(30))
    return noisy_map([chain], 4.0, np.ones(3), 0.1, 8.0, 0), chain


def test_b_factors_and_scale_do_not_matter(small):
    density, chain = small
    ours = correlate(density, [chain], 4.0)
    other = replace(chain, b_factors=np.linspace(0, 100, len(chain.b_factors), dtype=np.float32))
    assert correlate(density, [other], 4.0) == ours
    scaled = correlate(density.with_data(7 * density.data - 3), [chain], 4.0)
    for key in FIGURES:
        assert getattr(scaled, key) == pytest.approx(getattr(ours, key), abs=1e-3)


def test_the_place_of_the_box_does_not_matter(small):
    density, chain = small
    away = replace(density, origin=density.origin + [100.0, -40.0, 7.0])
    moved = replace(chain, positions=chain.positions + np.array([100.0, -40.0, 7.0], np.float32))
    one, other = correlate(density, [chain], 4.0), correlate(away, [moved], 4.0)
    for key in FIGURES:
        assert getattr(one, key) == pytest.approx(getattr(other, key), abs=5e-4)


def test_a_model_correlates_with_its_own_density():
    """The synthesis itself, taken as a map, has correlations of 1 and its own B."""
    chain = residues(ubiquitin(), np.arange(20))
    atoms = scattering(chain.positions.astype(np.float64), chain.atomic_numbers, np.ones(3), 3.0)
    density = DensityMap(data=np.asarray(atoms.at(80.0)), step=np.ones(3), origin=atoms.corner.astype(float))
    found = correlate(density, [chain], 3.0)
    assert found.b == pytest.approx(80.0, abs=1.0)
    for key in FIGURES:
        assert getattr(found, key) == pytest.approx(1.0, abs=1e-4)


def test_a_displaced_model_fits_worse(small):
    density, chain = small
    masks = [
        correlate(density, [replace(chain, positions=chain.positions + np.float32(by))], 4.0).mask for by in (0, 1, 2)
    ]
    assert masks[0] > masks[1] > masks[2]


def test_a_residue_correlates_where_it_is_right():
    """All residues with their own density; one that is moved loses, those far from it keep what they had."""
    chain = residues(ubiquitin(), np.arange(20))
    atoms = scattering(chain.positions.astype(np.float64), chain.atomic_numbers, np.ones(3), 3.0)
    density = DensityMap(data=np.asarray(atoms.at(80.0)), step=np.ones(3), origin=atoms.corner.astype(float))
    np.testing.assert_allclose(residue_correlations(density, chain, 3.0, 80.0), 1.0, atol=1e-4)
    positions = chain.positions.copy()
    positions[chain.residue_of_atom == 19] += np.float32(4.0)
    moved = residue_correlations(density, replace(chain, positions=positions), 3.0, 80.0)
    assert moved[19] < 0.5 and moved[:10].min() > 0.99
    positions[chain.residue_of_atom == 19] += np.float32(500.0)
    assert np.isnan(residue_correlations(density, replace(chain, positions=positions), 3.0, 80.0)[19])


def test_the_mask_of_an_atom_is_a_ball_without_its_rim():
    mask = molecular_mask(np.full((1, 3), 20.0), np.array([6.0], np.float32), np.full(3, 0.2), (41, 41, 41))
    assert mask.sum() * 0.2**3 == pytest.approx(4 / 3 * np.pi * (1.775 + 1.1 - 0.9) ** 3, rel=0.1)


@pytest.mark.parametrize(("apart", "joined"), [(5.4, True), (5.6, False)])
def test_a_gap_that_solvent_cannot_enter_is_part_of_the_molecule(apart, joined):
    """Between carbons the neck is 2 √(2.875² - (d/2)²) wide; the shrinking keeps its middle if that is over 1.8 Å."""
    centres = np.array([[20.0, 20.0, 20.0], [20.0 + 5 * apart, 20.0, 20.0]])
    mask = molecular_mask(centres, np.array([6.0, 6.0], np.float32), np.full(3, 0.2), (68, 41, 41))
    assert mask[round(20 + 2.5 * apart), 20, 20] == joined


def test_pearson_is_that_of_numpy(rng):
    a, b = rng.normal(size=(2, 500))
    assert pearson(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert pearson(a, np.ones(500)) == 0.0


def test_a_few_atoms_outside_are_left_out_and_said(small, caplog):
    density, chain = small
    positions = chain.positions.copy()
    positions[:3] += 500.0
    found = correlate(density, [replace(chain, positions=positions)], 4.0)
    assert isinstance(found, MapCorrelation) and found.mask > 0.5
    assert "3 of" in caplog.text and "outside the map" in caplog.text


@pytest.mark.parametrize(
    ("change", "resolution", "sentence"),
    [
        ("none", 0.0, "a resolution of 0 Å cannot be right; give that of my.mrc"),
        ("none", 50.0, "a resolution of 50 Å cannot be right"),
        ("none", float("nan"), "a resolution of nan Å cannot be right"),
        ("none", 1.5, "my.mrc has voxels of 1 Å and cannot show 1.5 Å"),
        ("constant", 4.0, "my.mrc is constant"),
        ("away", 4.0, r"\d+ of \d+ atoms of my.pdb lie outside my.mrc"),
    ],
)
def test_what_cannot_be_compared_is_an_error(small, change, resolution, sentence):
    density, chain = small
    if change == "constant":
        density = density.with_data(np.ones_like(density.data))
    if change == "away":
        density = replace(density, origin=density.origin + 1000.0)
    with pytest.raises(MapError, match=sentence):
        correlate(density, [chain], resolution, whose="my.pdb", where="my.mrc")
