"""Rotamer outliers: eclipsed side chains; the tables of densities."""

from importlib.resources import files

import numpy as np
import pytest

from deepmm_jax.assessment.geometry import geometry_figures
from deepmm_jax.assessment.rotamers import TABLE, log_rotamer_densities, rotamer_densities
from deepmm_jax.constants import AMINO_ACIDS
from deepmm_jax.structure.residue_atoms import CHI_COUNT, LETTERS, residue_atoms, side_chain_torsions
from reference.damaged_chains import swung


@pytest.mark.parametrize(("letter", "chi1"), [("V", 120.0), ("L", 0.0), ("T", 0.0), ("F", 120.0), ("K", 0.0)])
def test_an_eclipsed_rotamer(kinase, letter, chi1):
    residue = 3 + kinase.sequence[3:].index(letter)
    now = side_chain_torsions(residue_atoms([kinase]))[residue, 0]
    bad = swung(kinase, residue, chi1 - now)
    atoms = residue_atoms([bad])
    assert side_chain_torsions(atoms)[residue, 0] == pytest.approx(chi1, abs=0.1)
    good = geometry_figures([kinase])["rotamer_outliers"]
    judged = sum(CHI_COUNT[LETTERS.index(a)] > 0 for a in kinase.sequence)
    assert geometry_figures([bad])["rotamer_outliers"] == pytest.approx(good + 1 / judged)


def test_rotamers_of_symmetric_groups_have_no_names():
    chi = np.array([[-65.0, 85.0, np.nan, np.nan], [-65.0, -95.0, np.nan, np.nan]])
    for letter in "FYD":
        one, other = log_rotamer_densities(np.full(2, LETTERS.index(letter)), chi)
        assert one == pytest.approx(other, abs=0.02)


def test_rotamer_densities_are_densities():
    densities = rotamer_densities()
    for letter in LETTERS:
        if CHI_COUNT[LETTERS.index(letter)] > 0:
            first, *conditional = np.exp(densities[letter])
            assert first.mean() == pytest.approx(1.0, abs=0.01)
            for table in conditional:
                np.testing.assert_allclose(table.mean(axis=1), 1.0, atol=0.01)
    assert TABLE.stat().st_size < 400_000


@pytest.fixture(scope="module")
def library() -> dict[str, np.ndarray]:
    with np.load(str(files("deepmm_jax.allatom") / "rotamers.npz")) as file:
        return {name: file[name] for name in file.files}


def test_the_rotamer_library_holds_probabilities(library):
    mask, most = library["mask"], library["mask"].shape[1]
    assert library["penalty"].shape == (20, most, 36, 36)
    assert library["chi_mean"].shape == library["chi_spread"].shape == (20, most, 4)
    np.testing.assert_allclose(library["share"].sum(axis=1), 1.0, atol=1e-5)
    assert (library["share"] > 0).tolist() == mask.tolist()
    assert (np.diff(library["share"], axis=1) <= 0).all()
    assert (library["penalty"][~mask] == 255).all()
    probability = np.where(mask[:, :, None, None], np.exp(library["penalty"] / -16.0), 0.0)
    np.testing.assert_allclose(probability.sum(axis=1), 1.0, atol=0.06)  # steps of 1/16
    assert library["chi_count"].tolist() == CHI_COUNT[:20].tolist()
    there = np.arange(4) < library["chi_count"][:, None]
    assert (library["chi_mean"][~mask] == 0).all() and (np.abs(library["chi_mean"]) <= 180).all()
    assert ((library["chi_spread"] > 0) == (mask[:, :, None] & there[:, None])).all()
    assert ((library["chi_period"] > 0) == there).all()


def test_the_rotamer_library_knows_the_chemistry(library):
    def preferred(letter: str, phi: float, psi: float) -> np.ndarray:
        kind = AMINO_ACIDS.index(letter)
        i, j = round((phi + 180) / 10) % 36, round((psi + 180) / 10) % 36
        return library["chi_mean"][kind, library["penalty"][kind, :, i, j].argmin()]

    assert preferred("V", -60, -40)[0] == pytest.approx(175, abs=12)
    assert preferred("L", -60, -40)[:2] == pytest.approx([-68, 175], abs=12)
    assert preferred("F", -60, -40)[0] == pytest.approx(180, abs=15) or preferred("F", -60, -40)[0] < -165
    assert preferred("T", -120, 130)[0] == pytest.approx(-60, abs=12)
    assert preferred("S", -60, -40)[0] == pytest.approx(-65, abs=12) or preferred("S", -60, -40)[0] == pytest.approx(
        65, abs=12
    )
    # Lysine and arginine are mostly stretched.
    for letter in "KR":
        assert np.abs(library["chi_mean"][AMINO_ACIDS.index(letter), 0, 1:3]) == pytest.approx([180, 180], abs=12)
