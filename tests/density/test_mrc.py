"""One density written in every way the format allows is one map; what is not a map is refused in a sentence."""

import gzip
import itertools
import json
import logging
import struct

import mrcfile
import numpy as np
import pytest

from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc import describe_map, read_map, write_map
from deepmm_jax.errors import MapError


STEP = np.array([1.25, 0.75, 1.5])
ORIGIN = np.array([-12.5, 7.5, 30.0])
DATA = np.random.default_rng(7).integers(0, 100, (6, 9, 7)).astype(np.float32)

MODE = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}


def mrc_bytes(
    data=DATA,
    *,
    mode=2,
    axes=(1, 2, 3),
    origin=ORIGIN,
    start=(0, 0, 0),
    step=STEP,
    sampling=None,
    angles=(90, 90, 90),
    order="<",
    extended=b"",
    space_group=1,
    label=b"",
    **words,
):
    """An MRC2014 file built word by word; `start` runs along X, Y, Z, and `w17=9` overwrites word 17."""
    in_file = data.transpose([axis - 1 for axis in reversed(axes)])
    sampling = np.array(data.shape if sampling is None else sampling)
    header = bytearray(1024)

    def put(word, kind, *values):
        struct.pack_into(f"{order}{len(values)}{kind}", header, 4 * (word - 1), *values)

    put(1, "i", *reversed(in_file.shape), mode)
    put(5, "i", *(start[axis - 1] for axis in axes))
    put(8, "i", *sampling)
    put(11, "f", *(np.asarray(step) * sampling), *angles)
    put(17, "i", *axes)
    put(23, "i", space_group, len(extended))
    put(50, "f", *origin)
    header[208:212] = b"MAP "
    header[212:216] = b"\x44\x44\0\0" if order == "<" else b"\x11\x11\0\0"
    put(56, "i", int(bool(label)))
    header[224 : 224 + len(label)] = label
    for word, value in words.items():
        put(int(word[1:]), "f" if isinstance(value, float) else "i", value)
    return bytes(header) + extended + in_file.astype(f"{order}{MODE.get(mode, 'f4')}").tobytes()


def put_file(folder, content, name="map.mrc"):
    path = folder / name
    path.write_bytes(content)
    return path


def assert_same_map(found, *, origin=ORIGIN, placement="origin"):
    np.testing.assert_array_equal(found.data, DATA)
    assert found.data.dtype == np.float32 and found.data.flags.c_contiguous
    np.testing.assert_allclose(found.step, STEP, rtol=1e-6)
    np.testing.assert_allclose(found.origin, origin, rtol=1e-6)
    assert found.placement == placement


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("axes", list(itertools.permutations((1, 2, 3))))
def test_every_axis_order_in_either_byte_order(tmp_path, axes, order):
    assert_same_map(read_map(put_file(tmp_path, mrc_bytes(axes=axes, order=order))))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("mode", MODE)
def test_every_mode(tmp_path, mode, order):
    assert_same_map(read_map(put_file(tmp_path, mrc_bytes(mode=mode, order=order))))


def test_gzip_and_extended_header(tmp_path):
    content = mrc_bytes(extended=b"x" * 160)
    assert_same_map(read_map(put_file(tmp_path, content, "plain.ccp4")))
    assert_same_map(read_map(put_file(tmp_path, gzip.compress(content), "map.map.gz")))
    assert_same_map(read_map(put_file(tmp_path, gzip.compress(content), "gzipped_but_not_called_so.mrc")))


@pytest.mark.parametrize("axes", list(itertools.permutations((1, 2, 3))))
def test_start_indices_place_the_map_in_any_axis_order(tmp_path, axes):
    path = put_file(tmp_path, mrc_bytes(axes=axes, origin=(0, 0, 0), start=(-10, 10, 20)))
    assert_same_map(read_map(path), placement="nstart")


def test_origin_and_start_are_never_added(tmp_path):
    path = put_file(tmp_path, mrc_bytes(start=(4, 5, 6)))
    assert_same_map(read_map(path))
    assert_same_map(read_map(path, origin="nstart"), origin=np.array([4, 5, 6]) * STEP, placement="nstart")
    assert_same_map(read_map(path, origin="zero"), origin=np.zeros(3), placement="zero")


@pytest.mark.parametrize("origin", [(0, 0, 0), (np.nan, 0, 0), (1e30, 0, 0)])
@pytest.mark.parametrize("start", [(0, 0, 0), (-2_000_000, 0, 0)])
def test_implausible_placement_counts_as_unset(tmp_path, origin, start):
    path = put_file(tmp_path, mrc_bytes(origin=origin, start=start))
    assert_same_map(read_map(path), origin=np.zeros(3), placement="zero")


def test_voxel_size_is_the_cell_over_its_sampling(tmp_path):
    """A box cut out of a larger cell keeps the voxel size of the cell."""
    assert_same_map(read_map(put_file(tmp_path, mrc_bytes(sampling=(60, 80, 100)))))


@pytest.mark.parametrize("words", [{"w23": 0}, {"w8": 0}, {"w17": 0, "w18": 0, "w19": 0}, {"w54": 0x1111}])
def test_common_slips_in_the_header_are_forgiven(tmp_path, words):
    """Space group 0 for a volume, sampling or axes never set, a machine stamp of the other byte order."""
    assert_same_map(read_map(put_file(tmp_path, mrc_bytes(**words))))


def test_bytes_of_old_imod_files_are_unsigned(tmp_path):
    data = DATA * 2.5
    content = bytearray(mrc_bytes(w39=1146047817))
    content = content[:1024] + data.transpose(2, 1, 0).astype("u1").tobytes()
    struct.pack_into("<i", content, 12, 0)
    found = read_map(put_file(tmp_path, bytes(content)))
    np.testing.assert_array_equal(found.data, np.floor(data))


def test_values_that_are_not_finite_become_zero(tmp_path, caplog):
    data = DATA.copy()
    data[0, 0, 0], data[1, 2, 3] = np.nan, np.inf
    found = read_map(put_file(tmp_path, mrc_bytes(data)))
    assert found.data[0, 0, 0] == found.data[1, 2, 3] == 0
    assert "2 values are not finite" in caplog.text


def test_the_log_says_which_rule_placed_the_map(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    read_map(put_file(tmp_path, mrc_bytes(label=b"Chimera rotation: 1 0 0 30")))
    assert "by origin" in caplog.text and "Chimera rotation" in caplog.text


BAD = {
    "empty": (b"", "is empty"),
    "short": (b"MAP " * 30, "not an MRC"),
    "text": (b"ATOM      1  N   MET A   1      -8.164" * 60, "not an MRC"),
    "no_map_word": (mrc_bytes()[:208] + b"    " + mrc_bytes()[212:], "not an MRC"),
    "damaged_header": (mrc_bytes(w17=9), "header is damaged"),
    "complex": (mrc_bytes(mode=4), "mode 4 .*Fourier"),
    "packed": (mrc_bytes(mode=101), "mode 101 .*4-bit"),
    "unknown_mode": (mrc_bytes(mode=77), "mode 77"),
    "truncated": (mrc_bytes()[:-8], "it is truncated"),
    "truncated_in_header": (mrc_bytes()[:700], "not an MRC"),
    "gzip_of_truncated": (gzip.compress(mrc_bytes()[:-8]), "it is truncated"),
    "truncated_gzip": (gzip.compress(mrc_bytes())[:-300], "cannot be read"),
    "damaged_gzip": (b"\x1f\x8b" + b"\0" * 100, "cannot be read"),
    "extended_header_too_long": (mrc_bytes(w24=10_000_000), "it is truncated"),
    "extended_header_negative": (mrc_bytes(w24=-80), "-80 bytes"),
    "image": (mrc_bytes(DATA[:, :, :1]), "not a volume"),
    "no_voxels": (mrc_bytes(w1=0), "not a volume"),
    "negative_size": (mrc_bytes(w2=-9), "not a volume"),
    "gigantic": (mrc_bytes(w1=20_000, w2=20_000, w3=20_000), "crop the map"),
    "gigantic_gzip": (gzip.compress(mrc_bytes(w1=20_000, w2=20_000, w3=20_000)), "crop the map"),
    "stack_of_volumes": (mrc_bytes(space_group=401), "stack of volumes"),
    "no_cell": (mrc_bytes(step=(0, 0, 0)), "voxel size"),
    "unit_cell_of_one_angstrom": (mrc_bytes(step=(0.005,) * 3), "voxel size"),
    "cell_not_a_number": (mrc_bytes(step=(1, np.nan, 1)), "voxel size"),
    "hexagonal": (mrc_bytes(angles=(90, 90, 120)), "120.0.*not 90"),
    "zero": (mrc_bytes(DATA * 0), "every voxel is 0"),
    "constant": (mrc_bytes(DATA * 0 + 3), "every voxel is 3"),
    "not_a_number": (mrc_bytes(DATA * np.nan), "every voxel is 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_in_a_sentence_that_names_them(tmp_path, name):
    content, reason = BAD[name]
    path = put_file(tmp_path, content, f"{name}.mrc")
    with pytest.raises(MapError, match=reason) as caught:
        read_map(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(MapError, match="No such file"):
        read_map(tmp_path / "missing.mrc")
    with pytest.raises(MapError, match="directory"):
        read_map(tmp_path)


def test_forced_origin_must_be_a_number(tmp_path):
    path = put_file(tmp_path, mrc_bytes(origin=(np.nan, 0, 0)))
    with pytest.raises(MapError, match="ORIGIN is"):
        read_map(path, origin="origin")


@pytest.mark.parametrize("name", ["map.mrc", "map.mrc.gz"])
def test_round_trip(tmp_path, name):
    values = np.random.default_rng(3).normal(size=(8, 5, 11)).astype(np.float32)
    density = DensityMap(data=values, step=STEP, origin=ORIGIN, placement="nstart")
    write_map(tmp_path / name, density)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert mrcfile.validate(tmp_path / name)
    with mrcfile.open(tmp_path / name) as mrc:
        assert (int(mrc.header.mode), int(mrc.header.ispg), int(mrc.header.nxstart)) == (2, 1, 0)
        assert bytes(mrc.header.label[0]).startswith(b"DeepMM-JAX 0.")
    found = read_map(tmp_path / name)
    np.testing.assert_array_equal(found.data, values)
    np.testing.assert_allclose(found.step, STEP, rtol=1e-6)
    np.testing.assert_allclose(found.origin, ORIGIN, rtol=1e-6)


def test_a_map_that_cannot_be_written_leaves_nothing(tmp_path):
    density = DensityMap(data=DATA * np.nan, step=STEP, origin=ORIGIN)
    with pytest.raises(MapError, match="not finite"):
        write_map(tmp_path / "map.mrc", density)
    with pytest.raises(MapError, match="cannot be written"):
        write_map(tmp_path / "missing" / "map.mrc", density.with_data(DATA))
    assert not list(tmp_path.iterdir())


def test_failed_write_keeps_the_old_map(tmp_path, monkeypatch):
    path = put_file(tmp_path, mrc_bytes())
    monkeypatch.setattr(mrcfile, "validate", lambda *_, print_file: print("no good", file=print_file))
    with pytest.raises(MapError, match="no good"):
        write_map(path, DensityMap(data=DATA, step=STEP, origin=ORIGIN))
    assert path.read_bytes() == mrc_bytes() and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("order, name", [("<", "little"), (">", "big")])
def test_description(tmp_path, order, name):
    path = put_file(tmp_path, mrc_bytes(axes=(3, 1, 2), start=(4, 5, 6), order=order, label=b"a label"))
    facts = json.loads(json.dumps(describe_map(path)))
    assert facts["byte_order"] == name
    assert facts["axis_order"] == "ZXY"
    assert facts["shape"] == [6, 9, 7]
    assert facts["voxel_size"] == STEP.tolist()
    assert facts["start_words"] == [4, 5, 6]
    assert facts["origin_words"] == facts["first_voxel"] == ORIGIN.tolist()
    assert facts["placement"] == "origin"
    assert facts["labels"] == ["a label"]
    assert facts["maximum"] == DATA.max()
    assert facts["mean"] == pytest.approx(DATA.mean())


def test_real_map_holds_its_model(data_directory):
    """With the map in its place, the density at the Cα atoms stands far above the rest."""
    density = read_map(data_directory / "maps" / "emd6272_3j9s_A.mrc.gz")
    lines = (data_directory / "maps" / "emd6272_3j9s_A.pdb").read_text().splitlines()
    calpha = [[float(line[i : i + 8]) for i in (30, 38, 46)] for line in lines if line[12:16] == " CA "]
    at_calpha = density.data[tuple(np.rint(density.to_grid(np.array(calpha))).astype(int).T)]
    assert at_calpha.mean() > density.data.mean() + 5 * density.data.std()
