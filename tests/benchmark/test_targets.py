"""Targets as they are read."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deepmm_jax.benchmark.targets import Target, as_measured, read_target, zoned
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc import write_map
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.errors import DeepMMError
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.write import write_pdb
from deepmm_jax.training.chains import as_training_chain


@pytest.fixture
def kept_prediction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secondary structure that needs no network."""
    monkeypatch.setattr(
        "deepmm_jax.benchmark.targets.predict_secondary_structure",
        lambda letters: np.full((len(letters), 3), 1 / 3, np.float32),
    )


def test_example_is_simulated_at_5_angstrom(kinase: Chain, kept_prediction, tmp_path: Path):
    case = read_target(Target(name="1ake_A", kind="example"), tmp_path / "none")
    assert [profile.letters for profile in case.profiles] == [kinase.sequence]
    np.testing.assert_array_equal(case.density.data, simulate_map(kinase.positions, kinase.atomic_numbers, 5.0).data)


def test_as_measured_depends_on_name_range_and_seed_alone(kinase: Chain):
    first, resolution = as_measured(kinase, "1ake_A", 3.0, 3.5)
    assert 3.0 < resolution < 3.5
    again, same = as_measured(kinase, "1ake_A", 3.0, 3.5)
    np.testing.assert_array_equal(first.data, again.data)
    other, another = as_measured(kinase, "1ake_A", 3.0, 3.5, seed=1)
    assert resolution == same != another
    assert not np.array_equal(first.data, other.data)
    ijk = tuple(np.round(first.to_grid(kinase.calpha)).astype(int).T)
    assert first.data[ijk].mean() > first.data.mean() + 2 * first.data.std()


def test_real_map_and_one_copy_of_it(kinase: Chain, kept_prediction, tmp_path: Path):
    """Two copies side by side: ":B" leaves the density of the second alone."""
    maps = tmp_path / "maps"
    maps.mkdir()
    second = replace(kinase, name="B", positions=kinase.positions + np.array([70.0, 0.0, 0.0], np.float32))
    both = [replace(kinase, name="A"), second]
    density = simulate_map(
        np.concatenate([chain.positions for chain in both]), np.concatenate([kinase.atomic_numbers] * 2), 5.0
    )
    write_map(maps / "two.mrc", density)
    (maps / "two.mrc.gz").write_bytes(gzip.compress((maps / "two.mrc").read_bytes(), 1))
    write_pdb(maps / "two.pdb", [both])
    (maps / "two.fasta").write_text(f">kinase\n{kinase.sequence}\n")
    (maps / "MANIFEST.csv").write_text("name,resolution\nother,3.1\n")
    with pytest.raises(DeepMMError, match=r"MANIFEST.csv has no row for two, whose resolution is needed"):
        read_target(Target(name="two", kind="real"), tmp_path)
    (maps / "MANIFEST.csv").write_text("name,resolution\ntwo,5.0\n")
    whole = read_target(Target(name="two", kind="real"), tmp_path)
    assert whole.resolution == 5.0
    assert [chain.name for chain in whole.reference] == ["A", "B"]
    one = read_target(Target(name="two:B", kind="real"), tmp_path)
    assert [chain.name for chain in one.reference] == ["B"]
    inside = one.density.data > 0
    np.testing.assert_array_equal(one.density.data[inside], whole.density.data[inside])
    assert 0.2 < inside.sum() / (whole.density.data > 1.0).sum() < 1.0
    assert np.argwhere(inside).min(axis=0)[0] > 40
    assert Target(name="two:B", kind="real").protein == "two:B"
    with pytest.raises(DeepMMError, match=r"two.pdb has no chain Z, which --only two:Z names; it has A, B"):
        read_target(Target(name="two:Z", kind="real"), tmp_path)


def test_zone_is_4_angstrom_wide(kinase: Chain):
    origin = np.round(kinase.positions[0]).astype(float) - 6
    density = DensityMap(data=np.ones((13, 13, 13), np.float32), step=np.ones(3), origin=origin)
    voxels = density.to_xyz(np.indices(density.shape).reshape(3, -1).T)
    nearest = np.linalg.norm(voxels[:, None] - kinase.positions[None], axis=-1).min(axis=1)
    assert 0 < (nearest < 4).sum() < nearest.size
    np.testing.assert_array_equal(zoned(density, kinase).data.ravel(), nearest < 4)


def test_molecule_is_that_of_training(kinase: Chain, monkeypatch: pytest.MonkeyPatch):
    """The simulator sees a chain of a benchmark as it sees one in training, moved into the box."""
    seen = {}

    def simulate(molecule, shape, resolution, rng, simulator):
        seen["molecule"] = molecule
        return np.zeros(shape, np.float32)

    monkeypatch.setattr("deepmm_jax.benchmark.targets.simulate_experimental", simulate)
    density, _ = as_measured(kinase, "1ake_A", 3.0, 3.5)
    expected = as_training_chain(kinase).molecule.moved(np.eye(3), -density.origin)
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(getattr(seen["molecule"], name), value)


def test_missing_file_is_named(tmp_path: Path):
    with pytest.raises(DeepMMError, match="nothing_A.pdb.gz"):
        read_target(Target(name="nothing_A", kind="simulated"), tmp_path)
