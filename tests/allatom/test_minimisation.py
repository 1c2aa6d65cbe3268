"""Minimisation: forces against plain sums, and models that come out sound, in the map, and always the same."""

from collections.abc import Sequence
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import openmm
import pytest
from openmm import unit
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from deepmm_jax.allatom import minimisation
from deepmm_jax.allatom.density_force import MARGIN, atom_density, density_force, gain, padded_neighbours
from deepmm_jax.allatom.force_field import ForceField, cpu, force_field, same_field
from deepmm_jax.allatom.minimisation import minimise
from deepmm_jax.allatom.ramachandran import guiding_table
from deepmm_jax.allatom.restraint_forces import hand_force, planarity_force, position_force, ramachandran_force
from deepmm_jax.allatom.splined_map import splined_map
from deepmm_jax.allatom.values import ATOMS, AllAtomModel
from deepmm_jax.assessment.geometry import geometry_figures
from deepmm_jax.config import PAPER_RESTRAINTS, MinimisationConfig
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.errors import ConfigError
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.ramachandran import GENERAL
from reference import allatom_oracle


def energy_and_forces(force: openmm.Force, *positions: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """In kcal/mol and kcal/mol/Å, of particles at positions (Å)."""
    system = openmm.System()
    for _ in positions[0]:
        system.addParticle(1.0)
    system.addForce(force)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), cpu())
    found = []
    for xyz in positions:
        context.setPositions(xyz / 10)
        state = context.getState(energy=True, forces=True)
        forces = state.getForces(asNumpy=True).value_in_unit(unit.kilocalorie_per_mole / unit.angstrom)
        found.append((state.getPotentialEnergy().value_in_unit(unit.kilocalorie_per_mole), forces))
    return found


def energy(force: openmm.Force, positions: np.ndarray) -> float:
    return energy_and_forces(force, positions)[0][0]


def noise(shape: Sequence[int], width: float, seed: int = 0) -> np.ndarray:
    return width * np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def as_model(chain: Chain, first: int, last: int) -> AllAtomModel:
    """All atoms of some residues of a chain."""
    letters = chain.sequence[first:last]
    positions = np.full((len(letters), 14, 3), np.nan, np.float32)
    for atom, (name, residue) in enumerate(zip(chain.atom_names, chain.residue_of_atom - first)):
        if 0 <= residue < len(letters) and name in ATOMS[letters[residue]]:
            positions[residue, ATOMS[letters[residue]].index(name)] = chain.positions[atom]
    return AllAtomModel(letters=letters, positions=positions, mask=np.isfinite(positions).all(axis=-1))


def without(model: AllAtomModel, residues: Sequence[int]) -> AllAtomModel:
    mask, positions = model.mask.copy(), model.positions.copy()
    mask[list(residues)], positions[list(residues)] = False, np.nan
    return replace(model, mask=mask, positions=positions)


def deviation(one: AllAtomModel, other: AllAtomModel) -> float:
    return float(np.sqrt(np.square(one.positions - other.positions)[one.mask & other.mask].sum(axis=-1).mean()))


@pytest.fixture(scope="module")
def truth(kinase: Chain) -> AllAtomModel:
    return as_model(kinase, 0, 24)


@pytest.fixture(scope="module")
def start(truth: AllAtomModel) -> AllAtomModel:
    return replace(truth, positions=truth.positions + noise(truth.positions.shape, 0.15))


@pytest.fixture(scope="module")
def density(truth: AllAtomModel) -> DensityMap:
    chain = truth.chain("A")
    return simulate_map(chain.positions, chain.atomic_numbers, 4.0, 1.0)


def test_the_gain_is_the_map_less_the_other_atoms(density: DensityMap, truth: AllAtomModel):
    positions = truth.positions[truth.mask][:60]
    near = splined_map(density, positions, MARGIN)
    gaussians = atom_density(density, positions)
    width, height, share = float(gaussians.width), float(gaussians.height), noise(60, 0.2) + 1
    gaussians = gaussians._replace(share=jnp.pad(jnp.asarray(share), (0, 964)))
    places = np.pad(positions, ((0, 964), (0, 0)))
    gains, slopes = gain(jnp.asarray(places), near, jnp.asarray(padded_neighbours(positions, 100.0)), gaussians)
    values = map_coordinates(density.data, density.to_grid(positions).T, order=3, mode="mirror")
    expected = np.zeros(60)
    for i in range(60):
        expected[i] = values[i] * share[i]
        for j in range(60):
            if i != j:
                squared = np.square(positions[i] - positions[j]).sum()
                expected[i] -= height * share[i] * share[j] * np.exp(-squared / width**2) / 2
    np.testing.assert_allclose(gains[:60], expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    moved = places.copy()
    moved[7, 1] += 0.02
    more = float(
        gain(jnp.asarray(moved), near, jnp.asarray(padded_neighbours(positions, 100.0)), gaussians)[0][:60].sum()
    )
    np.testing.assert_allclose(slopes[7, 1], (more - expected.sum()) / 0.02, rtol=0.1, atol=0.05 * abs(slopes).max())


def test_the_density_force_follows_from_its_energy(density: DensityMap, truth: AllAtomModel):
    positions = (truth.positions[truth.mask] + noise((truth.mask.sum(), 3), 0.2)).astype(float)
    atoms = np.arange(0, len(positions), 2)
    shift = np.zeros_like(positions)
    shift[10, 0] = 0.02
    force = density_force(density, positions, atoms, 2.0)
    assert force is not None
    (_, forces), (more, _), (less, _) = energy_and_forces(force, positions, positions + shift, positions - shift)
    assert not forces[1::2].any()
    np.testing.assert_allclose(forces[10, 0], (less - more) / 0.04, rtol=0.05, atol=0.05)


def test_width_and_height_of_atoms_are_found(density: DensityMap, truth: AllAtomModel):
    gaussians = atom_density(density, truth.positions[truth.mask])
    assert abs(float(gaussians.width) - 4.0 / np.pi) <= 0.25
    assert 5 < float(gaussians.height) < 9  # atomic numbers


def test_maps_without_the_model_do_not_pull(density: DensityMap, truth: AllAtomModel):
    positions = truth.positions[truth.mask].astype(float)
    atoms = np.arange(len(positions))
    assert density_force(density.with_data(np.ones_like(density.data)), positions, atoms, 1.0) is None
    assert density_force(density, positions + 500.0, atoms, 1.0) is None


@pytest.mark.parametrize(("phi", "psi"), [(-63.0, -45.0), (-117.0, 135.0), (63.0, -135.0), (-90.0, 0.0)])
def test_torsions_cost_what_the_table_says(phi: float, psi: float):
    atoms = allatom_oracle.build_backbone([-60.0, phi, -60.0], [psi, psi, psi])[:, :3].reshape(-1, 3)
    force = ramachandran_force(np.array([[2, 3, 4, 5, 6]]), np.array([GENERAL]), guiding_table(), 2.0)
    i, j = (round((angle + 180) / 3) for angle in (phi, psi))
    np.testing.assert_allclose(energy(force, atoms), 2 * guiding_table()[GENERAL, i, j], rtol=0.02, atol=0.02)


def test_peptides_are_drawn_to_the_nearer_plane():
    atoms = allatom_oracle.build_backbone([-60.0, -60.0], [-40.0, -40.0])[:, :3].reshape(-1, 3)  # trans
    torsion = np.array([[1, 2, 3, 4]])
    assert abs(energy(planarity_force(torsion, np.array([170.0]), 3.0), atoms)) < 1e-3
    np.testing.assert_allclose(energy(planarity_force(torsion, np.array([20.0]), 3.0), atoms), 6.0, rtol=1e-3)


def test_only_d_residues_are_turned(truth: AllAtomModel):
    n, ca, c, beta = truth.positions[0, [0, 1, 2, 4]].astype(float)
    corner = np.stack([ca, n, c, beta])
    force = hand_force(np.array([[0, 1, 2, 3]]))
    assert energy(force, corner) == 0
    assert energy(hand_force(np.array([[0, 1, 2, 3]])), corner * [1, 1, -1]) > 100


def test_places_pull_with_their_stiffness():
    force = position_force(np.array([1]), np.array([[1.0, 2.0, 3.0]]), 0.5)
    np.testing.assert_allclose(energy(force, np.array([[0.0, 0, 0], [1.0, 2.0, 5.0]])), 2.0, rtol=1e-5)


def test_softened_residues_are_neutral(truth: AllAtomModel):
    for neutral in (True, False):
        field = force_field([truth], 9.0, neutral=neutral)
        charge = np.array([field.nonbonded.getParticleParameters(i)[0]._value for i in range(len(field.positions))])
        # K, R, D, E; the ends are capped.
        net = sum({"K": 1, "R": 1, "D": -1, "E": -1}.get(letter, 0) for letter in truth.letters)
        np.testing.assert_allclose(charge.sum(), 0 if neutral else net, atol=1e-3)


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="restraint is -1"):
        MinimisationConfig(restraint=-1.0)


@pytest.mark.slow
def test_noise_is_mended_and_the_map_is_heard(truth: AllAtomModel, start: AllAtomModel, density: DensityMap):
    config = MinimisationConfig(repack=False)  # true side chains are better than any choice
    (moved,) = minimise([start], density, config)
    (again,) = minimise([start], density, config)
    (blind,) = minimise([start], None, config)
    np.testing.assert_array_equal(moved.positions, again.positions)
    np.testing.assert_array_equal(moved.mask, truth.mask)
    figures = geometry_figures([moved.chain("A")])
    assert figures["bond_rmsz"] < 1 and figures["angle_rmsz"] < 1.5
    assert figures["d_residues"] == figures["twisted_peptides"] == figures["ramachandran_outliers"] == 0
    assert figures["clashscore"] < 10
    assert deviation(moved, truth) < min(deviation(start, truth), deviation(blind, truth)) - 0.05


@pytest.mark.slow
def test_a_side_chain_in_the_wrong_well_is_chosen_again(truth: AllAtomModel, density: DensityMap):
    residue = truth.letters.index("L")
    alpha, beta, *beyond = truth.positions[residue][[1, 4, *np.flatnonzero(truth.mask[residue])[5:]]]
    turn = Rotation.from_rotvec(np.radians(120) * (beta - alpha) / np.linalg.norm(beta - alpha))
    wrong = truth.positions.copy()
    wrong[residue, np.flatnonzero(truth.mask[residue])[5:]] = beta + turn.apply(np.array(beyond) - beta)

    def off(config: MinimisationConfig) -> float:
        (moved,) = minimise([replace(truth, positions=wrong)], density, config)
        np.testing.assert_array_equal(moved.mask, truth.mask)
        gap = moved.positions[residue] - truth.positions[residue]
        return float(np.linalg.norm(gap[truth.mask[residue]], axis=-1).max())

    assert off(MinimisationConfig(repack=False)) > 2
    assert off(MinimisationConfig()) < 1


def test_what_suffers_from_packing_is_minimised_without(truth: AllAtomModel, monkeypatch: pytest.MonkeyPatch):
    """The first try, of a few steps, is sound; what is packed is not, twice; then the chain as it was."""
    tried = []

    def descended(field: ForceField, chains: Sequence[AllAtomModel], density: object, config: MinimisationConfig, *_):
        tried.append(config.steps)
        packed = chains[0].positions is not truth.positions
        return field.positions * [1, 1, -1] if packed else field.positions + 1

    monkeypatch.setattr(minimisation, "_descended", descended)
    (moved,) = minimise([truth], None, MinimisationConfig())
    assert tried == [minimisation.BEFORE_PACKING, 500, 500, 500]
    np.testing.assert_allclose(moved.positions[moved.mask], truth.positions[truth.mask] + 1, atol=1e-3)


@pytest.mark.slow
def test_gaps_lone_residues_and_unknown_ones_are_no_obstacle(truth: AllAtomModel):
    cut = without(truth, [0, 5, 7, 12])  # 6 is alone
    unknown = replace(truth, letters="X" * len(truth))
    unknown = replace(unknown, mask=unknown.mask & (np.arange(14) < 5), positions=truth.positions + 40)
    unknown = without(unknown, np.flatnonzero([letter == "G" for letter in truth.letters]))
    unknown = replace(unknown, positions=np.where(unknown.mask[..., None], unknown.positions, np.nan))
    empty = without(truth, range(len(truth)))
    moved = minimise([cut, unknown, empty], None, MinimisationConfig(steps=50, repack=False))
    for new, old in zip(moved, [cut, unknown, empty], strict=True):
        np.testing.assert_array_equal(np.isfinite(new.positions).all(axis=-1), old.mask)
    for new, old in zip(moved[:2], [cut, unknown], strict=True):
        assert 0 < deviation(new, old) < 1
    assert np.linalg.norm(moved[0].positions[6, 1] - cut.positions[6, 1]) < 1
    packed = minimise([cut, unknown, empty], None, MinimisationConfig(steps=50))
    assert [[*new.mask.sum(axis=1)] for new in packed] == [[*new.mask.sum(axis=1)] for new in moved]


@pytest.mark.slow
def test_the_settings_of_the_paper_hold_the_backbone(truth: AllAtomModel):
    (moved,) = minimise([truth], None, replace(PAPER_RESTRAINTS, steps=200))
    assert 0 < np.linalg.norm(moved.positions[:, :3] - truth.positions[:, :3], axis=-1).mean() < 0.4


def test_bonded_sulphurs_stay_together():
    cysteine = [[-1.46, 0, 0], [0, 0, 0], [0.55, 1.42, 0], [1.7, 1.6, 0.3], [0.5, -0.75, -1.23], [2.3, -0.9, -1.2]]
    positions = np.full((1, 14, 3), np.nan, np.float32)
    positions[0, :6] = cysteine
    one = AllAtomModel(letters="C", positions=positions, mask=np.isfinite(positions).all(axis=-1))
    turned = positions * np.array([-1, -1, 1], np.float32)
    turned += positions[0, 5] - turned[0, 5] + np.array([1.4, 0.4, -1.4], np.float32)
    field = force_field([one, replace(one, positions=turned)], 9.0, neutral=True)
    bonds = next(force for force in field.system.getForces() if isinstance(force, openmm.HarmonicBondForce))
    pairs = [set(bonds.getBondParameters(k)[:2]) for k in range(bonds.getNumBonds())]
    assert {int(particles[0, 5]) for particles in field.particles} in pairs
    assert same_field(field, [one, replace(one, positions=turned)]) is not None
    assert same_field(field, [one, replace(one, positions=turned + 5)]) is None, "the bond is no more"


def test_hydrogens_follow_the_atoms_that_they_are_bonded_to(truth: AllAtomModel):
    """A turned chain turns its hydrogens; a side chain that turns takes its own along and leaves the rest."""
    field = force_field([truth], 9.0, neutral=True)
    turn = Rotation.from_rotvec([0.3, -1.1, 2.0])
    positions = np.where(
        truth.mask[..., None], turn.apply(np.nan_to_num(truth.positions).reshape(-1, 3)).reshape(-1, 14, 3), np.nan
    )
    turned = same_field(field, [replace(truth, positions=positions.astype(np.float32))])
    assert turned is not None
    np.testing.assert_allclose(turned.positions, turn.apply(field.positions), atol=1e-3)

    residue = truth.letters.index("L")
    own = np.flatnonzero(truth.mask[residue])
    alpha, beta = truth.positions[residue][[1, 4]]
    about = Rotation.from_rotvec(np.radians(120) * (beta - alpha) / np.linalg.norm(beta - alpha))
    positions = truth.positions.copy()
    positions[residue, own[5:]] = beta + about.apply(positions[residue, own[5:]] - beta)
    twisted = same_field(field, [replace(truth, positions=positions)])
    assert twisted is not None
    moved = np.linalg.norm(twisted.positions - field.positions, axis=1) > 1e-3
    # Of leucine C gamma and both C delta, their seven hydrogens, and the two of C beta, which stand between neighbours.
    assert moved.sum() == 3 + 7 + 2
    bonded = np.linalg.norm(
        twisted.positions[twisted.hydrogens[:, 0]] - twisted.positions[twisted.hydrogens[:, 1]], axis=1
    )
    np.testing.assert_allclose(bonded, 1.0, atol=0.15)


def test_what_cannot_be_minimised_comes_back_with_a_warning(
    truth: AllAtomModel, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    config = MinimisationConfig(steps=1)
    mask = truth.mask.copy()
    mask[3, 1] = False
    assert minimise([replace(truth, mask=mask)], None, config)[0].mask is mask
    assert "a residue lacks atoms" in caplog.text
    assert minimise([truth], None, replace(config, enabled=False)) == [truth]

    def mirrored(field: ForceField, *_: object) -> np.ndarray:
        return field.positions * [1, 1, -1]

    with monkeypatch.context() as patch:
        patch.setattr(minimisation, "_descended", mirrored)
        assert minimise([truth], None, config)[0] is truth
    assert "stereochemistry would suffer" in caplog.text

    def failing(*_: object) -> list[AllAtomModel]:
        raise FloatingPointError("no rotamer fits")

    monkeypatch.setattr(minimisation, "place_side_chains", failing)
    (moved,) = minimise([truth], None, config)
    assert 0 < deviation(moved, truth) < 1
    assert "side chains stay as they were chosen first: FloatingPointError('no rotamer" in caplog.text


def test_only_the_peptide_of_a_proline_may_turn_cis(kinase: Chain):
    cis = as_model(kinase, 83, 90)
    joined = np.arange(len(cis)) > 0
    proline = cis.letters.index("P", 1)
    assert abs(minimisation._omega(cis.positions, joined)[proline]) < 30
    trans = cis.positions.copy()  # the Cα before it on the other side of C–N
    before, nitrogen = trans[proline - 1], trans[proline, 0]
    axis = (nitrogen - before[2]) / np.linalg.norm(nitrogen - before[2])
    along = before[2] + axis * ((before[1] - before[2]) @ axis)
    before[1] = 2 * along - before[1]
    trans = replace(cis, positions=trans)
    alanine = cis.letters[:proline] + "A" + cis.letters[proline + 1 :]
    assert minimisation._is_sound(trans, cis, joined)
    assert not minimisation._is_sound(replace(trans, letters=alanine), replace(cis, letters=alanine), joined)


def test_a_second_try_holds_the_peptides_firmly(truth: AllAtomModel, monkeypatch: pytest.MonkeyPatch):
    tried, tables = [], []

    def descended(
        field: ForceField, chains: object, density: object, config: MinimisationConfig, table: np.ndarray
    ) -> np.ndarray:
        tried.append(config.planarity)
        tables.append(table)
        return field.positions + 1 if config.planarity == minimisation.FIRM else field.positions * [1, 1, -1]

    monkeypatch.setattr(minimisation, "_descended", descended)
    config = MinimisationConfig(repack=False)
    (built,) = minimise([truth], None, config)
    assert tried == [config.planarity, minimisation.FIRM]
    assert (tables[0] > tables[1]).any() and (tables[0] >= tables[1]).all(), "outliers are left alone the second time"
    np.testing.assert_allclose(built.positions[built.mask], truth.positions[truth.mask] + 1, atol=1e-3)
    assert minimise([truth], None, replace(config, planarity=0.0, torsions=0.0)) == [truth]
    assert len(tried) == 3, "nothing to hold and to leave alone, no second try"
