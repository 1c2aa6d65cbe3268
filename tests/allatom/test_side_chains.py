"""Side chains end to end: the truth comes back from a map, what is built is whole, disulfides and hands are right."""

from pathlib import Path

import numpy as np
import pytest

from deepmm_jax.allatom.side_chains import place_side_chains
from deepmm_jax.allatom.values import ATOMS, CB, AllAtomModel
from deepmm_jax.assessment.clashes import clashscore
from deepmm_jax.assessment.covalent import bond_deviations, disulfides, rms
from deepmm_jax.assessment.rotamers import rotamer_figures
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.residue_atoms import residue_atoms, side_chain_torsions


pytestmark = pytest.mark.slow


def model_of(chain: Chain) -> AllAtomModel:
    positions = np.full((len(chain), 14, 3), np.nan, np.float32)
    for name, residue, xyz in zip(chain.atom_names, chain.residue_of_atom.tolist(), chain.positions, strict=True):
        names = ATOMS[chain.sequence[residue]]
        if name in names:
            positions[residue, names.index(name)] = xyz
    return AllAtomModel(letters=chain.sequence, positions=positions, mask=np.isfinite(positions[..., 0]))


def part(model: AllAtomModel, kept: np.ndarray) -> AllAtomModel:
    """The model with the atoms alone that are kept."""
    mask = model.mask & kept
    return AllAtomModel(letters=model.letters, positions=np.where(mask[..., None], model.positions, np.nan), mask=mask)


MAIN_CHAIN = np.arange(14) <= CB


@pytest.fixture(scope="module")
def truth(kinase: Chain) -> AllAtomModel:
    return model_of(kinase)


@pytest.fixture(scope="module")
def blind_and_seeing(kinase: Chain, truth: AllAtomModel) -> list[AllAtomModel]:
    """Side chains on the true backbone without a map and with one."""
    density = simulate_map(kinase.positions, kinase.atomic_numbers, 4.0)
    bare = part(truth, MAIN_CHAIN[None])
    return [place_side_chains([bare], each)[0] for each in (None, density)]


def first_torsions(model: AllAtomModel, truth: AllAtomModel) -> float:
    """Share of χ1 within 40° of the truth."""
    one, other = (side_chain_torsions(residue_atoms([each.chain("A")]))[:, 0] for each in (model, truth))
    off = np.abs((one - other + 180) % 360 - 180)
    return float((off < 40)[np.isfinite(off)].mean())


def test_the_map_leads_to_the_truth(blind_and_seeing: list[AllAtomModel], truth: AllAtomModel):
    blind, seeing = blind_and_seeing
    assert first_torsions(blind, truth) > 0.65
    assert first_torsions(seeing, truth) > 0.9
    off = np.square(seeing.positions - truth.positions).sum(axis=-1)
    assert np.sqrt(np.nanmean(off)) < 0.8


def test_stereochemistry_is_good(blind_and_seeing: list[AllAtomModel]):
    for model in blind_and_seeing:
        atoms = residue_atoms([model.chain("A")])
        assert (rms(bond_deviations(atoms)) or 9) < 1.0
        assert (clashscore(atoms) or 99) < 25
        outliers = rotamer_figures(atoms.letters, side_chain_torsions(atoms))["rotamer_outliers"]
        assert outliers is not None and outliers < 0.02
        centres = {"I": ("CG1", "CG2", 1), "T": ("OG1", "CG2", 1), "V": ("CG1", "CG2", -1)}
        for letter, (one, other, hand) in centres.items():
            rows = atoms.of(letter)
            beta, ca, *ends = (atoms.atom(name)[rows] for name in ("CB", "CA", one, other))
            volume = (np.cross(ends[0] - beta, ends[1] - beta) * (ca - beta)).sum(axis=-1)
            assert (hand * volume < -1).all() or (hand * volume > 1).all()


def test_main_chain_stays_and_every_built_residue_is_whole(truth: AllAtomModel):
    kept = np.broadcast_to(MAIN_CHAIN, truth.mask.shape).copy()
    kept[20:25] = False
    kept[50, 2] = False  # without C
    kept[60, CB] = False
    letters = truth.letters[:70] + "X" + truth.letters[71:]
    bare = part(AllAtomModel(letters=letters, positions=truth.positions, mask=truth.mask), kept)
    first, second = place_side_chains([bare, part(bare, np.arange(len(letters))[:, None] < 5)])
    built = np.ones(len(letters), bool)
    built[[*range(20, 25), 50]] = False
    whole = np.array([np.arange(14) < len(ATOMS[letter]) for letter in letters])
    np.testing.assert_array_equal(first.mask, whole & built[:, None])
    np.testing.assert_array_equal(second.mask, whole & (np.arange(len(letters)) < 5)[:, None])
    for model in (first, second):
        np.testing.assert_array_equal(np.isfinite(model.positions).all(axis=-1), model.mask)
    there = bare.mask & first.mask
    np.testing.assert_array_equal(first.positions[there], bare.positions[there])
    assert np.linalg.norm(first.positions[60, CB] - truth.positions[60, CB]) < 0.2


def test_nothing_built_is_nothing_placed(truth: AllAtomModel):
    empty = part(truth, np.zeros(14, bool)[None])
    (model,) = place_side_chains([empty], simulate_map(np.zeros((1, 3)), np.ones(1), 4.0))
    assert not model.mask.any()
    assert place_side_chains([]) == []


def test_disulfides_are_found(data_directory: Path):
    (chain,) = read_chains(data_directory / "structures" / "1dix_A.pdb.gz")
    truth = model_of(chain)
    (model,) = place_side_chains([part(truth, MAIN_CHAIN[None])])
    true, found = (set(disulfides(residue_atoms([each.chain("A")]))) for each in (truth, model))
    assert len(true) == 5
    assert found <= true
    assert len(found) >= 4
