"""Real maps to learn from: the committed list, the held-out ones, merged chains, labels, residuals, blurring."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deepmm_jax.assessment.held_out import HELD_OUT
from deepmm_jax.assessment.map_statistics import density_at_calpha
from deepmm_jax.errors import MapError
from deepmm_jax.structure.read import read_chains
from deepmm_jax.training.chains import as_training_chain
from deepmm_jax.training.real_maps import (
    RealMap,
    blurred,
    labelled_voxels,
    listed_maps,
    load_real_maps,
    merge_chains,
    residuals_of,
)


EXAMPLE = Path(__file__).parents[2] / "examples" / "1ake_A.pdb.gz"
SMALL = ["6spe_r", "emd5623_t20s_F"]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "deepmm-jax"


@pytest.fixture
def real_maps(data_directory, cache) -> list[RealMap]:
    return load_real_maps(data_directory, SMALL)


def test_no_listed_map_is_held_out_and_all_others_are_listed(data_directory):
    listed = {row.name: row for row in listed_maps()}
    assert len(listed) == 15
    assert not [name for name in listed if name.startswith(HELD_OUT)]
    with (data_directory / "maps" / "MANIFEST.csv").open() as stream:
        rows = {row["name"]: row for row in csv.DictReader(stream) if not row["name"].startswith(HELD_OUT)}
    assert set(rows) == set(listed)
    assert all(float(rows[name]["resolution"]) == row.resolution for name, row in listed.items())
    assert listed["emd6187_3j8x_A"].group == listed["emd6187_3j8x_B"].group


@pytest.mark.parametrize("name", ["emd6272_3j9s_A", "vp6_unmasked", "emd5185_3j06_deepmm", "emd3240_5fn5_ABCD"])
def test_held_out_maps_are_refused_before_any_file_is_opened(tmp_path, name):
    with pytest.raises(MapError, match=f"{name} is held out"):
        load_real_maps(tmp_path, ["6spe_r", name])


def test_unknown_missing_and_changed_files_are_refused(data_directory, cache, tmp_path):
    with pytest.raises(MapError, match="emd1_x is not in the list"):
        load_real_maps(tmp_path, ["emd1_x"])
    with pytest.raises(MapError, match=r"6spe_r\.mrc\.gz does not exist"):
        load_real_maps(tmp_path, ["6spe_r"])
    (tmp_path / "maps").mkdir()
    shutil.copy(data_directory / "maps" / "6spe_r.mrc.gz", tmp_path / "maps")
    (tmp_path / "maps" / "6spe_r.pdb").write_text("END\n")
    with pytest.raises(MapError, match=r"6spe_r\.pdb is not the file"):
        load_real_maps(tmp_path, ["6spe_r"])


def test_a_loaded_map_is_on_the_standard_grid_and_scale_with_its_model_inside(real_maps):
    for real in real_maps:
        np.testing.assert_allclose(real.density.step, 1)
        assert real.density.shape == real.support.shape == real.labelled.shape
        assert len(real.chain.calpha) == len(real.chain_of_residue) == len(real.chain.amino_acids)
        assert density_at_calpha(real.density.data, real.molecule.calpha).mean() > 2
    small = real_maps[0].density.data
    largest = np.sort(small.ravel())[-133 * 66 :]
    assert largest[largest > 0].mean() == pytest.approx(1, abs=1e-3)


def test_the_second_time_comes_from_the_cache(data_directory, real_maps, cache, monkeypatch):
    assert len(list(cache.glob("real-maps-*.pickle.gz"))) == 1
    monkeypatch.setattr("deepmm_jax.training.real_maps.read_map", None)
    again = load_real_maps(data_directory, SMALL)
    np.testing.assert_array_equal(again[1].density.data, real_maps[1].density.data)


def test_only_where_the_model_is_all_there_is_are_there_labels(real_maps):
    whole, fragment = real_maps
    assert whole.labelled.all()
    assert 0.05 < fragment.labelled.mean() < 0.6
    i, j, k = np.rint(fragment.molecule.calpha).astype(int).T
    assert fragment.labelled[i, j, k].all()
    # Density of protein that has no label must have no say.
    assert (fragment.density.data[fragment.labelled & (fragment.density.data > 2)]).size > 0
    strong = np.argwhere(fragment.density.data > 2)
    distance = np.linalg.norm(strong[:, None] - fragment.molecule.positions[None], axis=-1).min(axis=1)
    assert not fragment.labelled[tuple(strong[distance > 4].T)].any()


def test_labels_by_hand():
    data, distance = np.zeros((1, 1, 12)), np.arange(12.0)[None, None]
    data[0, 0, [1, 8]] = 1.0
    expected = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1], bool)
    np.testing.assert_array_equal(labelled_voxels(data, distance, 1.0)[0, 0], expected)


def test_merged_chains_keep_their_residues_and_end_where_they_end():
    chain = as_training_chain(read_chains(EXAMPLE)[0])
    n = len(chain.calpha)
    # A second copy whose first Cα lies a bond's length after the last one: still another chain.
    shift = chain.calpha[-1] + np.array([3.8, 0, 0], np.float32) - chain.calpha[0]
    second = replace(chain, positions=chain.positions + shift, calpha=chain.calpha + shift)
    merged, stretch = merge_chains([chain, second], "both")
    np.testing.assert_array_equal(stretch, np.repeat([0, 1], n))
    calpha = merged.positions[merged.kind == 1]
    np.testing.assert_allclose(calpha, merged.calpha)
    np.testing.assert_array_equal(merged.residue_of_atom[merged.kind == 1], np.arange(2 * n))
    broken = replace(chain, calpha=np.where(np.arange(n)[:, None] >= 100, chain.calpha + 50, chain.calpha))
    np.testing.assert_array_equal(merge_chains([broken], "broken")[1], np.arange(n) >= 100)


def test_residuals_are_fields_of_unit_variance_unlike_the_model(real_maps):
    (left,) = residuals_of(real_maps)  # the fragment shows what its model lacks
    real = real_maps[0]
    assert left.shape == real.density.shape
    assert left.std() == pytest.approx(1, abs=0.1)
    i, j, k = np.rint(real.molecule.calpha).astype(int).T
    assert abs(left[i, j, k].mean()) < 0.5
    assert real.density.data[i, j, k].mean() > 1.5


def test_blurring_takes_detail_away_and_keeps_zone_scale_and_model(real_maps, rng):
    real = real_maps[0]
    for _ in range(3):
        worse = blurred(real, rng)
        assert real.resolution < worse.resolution <= 5.0
        assert not worse.density.data[~real.support].any()
        inside = np.corrcoef(worse.density.data[real.support], real.density.data[real.support])[0, 1]
        assert 0.4 < inside < 0.99
        assert worse.chain is real.chain
        assert worse.density.data[real.support].mean() == pytest.approx(real.density.data[real.support].mean(), rel=0.5)
    np.testing.assert_array_equal(
        blurred(real, np.random.default_rng(1)).density.data, blurred(real, np.random.default_rng(1)).density.data
    )
