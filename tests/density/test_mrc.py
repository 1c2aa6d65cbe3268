"""One density written in every way the format allows is one map; what is not a map is refused in a sentence."""

import gzip
import itertools
import json
import logging
import os
import struct
import time
import tracemalloc

import mrcfile
import numpy as np
import pytest

from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc import describe_map, read_map, write_map
from deepmm_jax.errors import MapError
from reference.mrc_files import DATA, MODE, ORIGIN, STEP, mrc_bytes


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


@pytest.mark.parametrize("kind, record", [(b"CCP4", 80), (b"FEI1", 768), (b"FEI2", 888), (b"SERI", 70), (b"MRCO", 128)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_extended_headers_of_every_program_are_passed_over(tmp_path, kind, record, order):
    extended = b"X,  Y,  Z".ljust(record) * 9
    content = bytearray(mrc_bytes(extended=extended, order=order))
    content[104:108] = kind
    assert_same_map(read_map(put_file(tmp_path, bytes(content))))


@pytest.mark.parametrize("packed", [False, True])
def test_extended_header_that_is_not_there(tmp_path, caplog, packed):
    """As in EMD-1042: the header announces symmetry operators, but the values follow at once."""
    content = mrc_bytes(w24=160)
    assert_same_map(read_map(put_file(tmp_path, gzip.compress(content) if packed else content)))
    assert "extended header of 160 bytes that the header announces is not there" in caplog.text


def test_voxel_size_is_the_cell_over_its_sampling(tmp_path):
    """A box cut out of a larger cell keeps the voxel size of the cell."""
    assert_same_map(read_map(put_file(tmp_path, mrc_bytes(sampling=(60, 80, 100)))))


SLIPS = {
    "space group of an image stack": {"w23": 0},
    "space group of a stack of one volume": {"w23": 401},
    "no sampling": {"w8": 0},
    "no axes": {"w17": 0, "w18": 0, "w19": 0},
    "machine stamp of the other byte order": {"w54": 0x1111},
    "no machine stamp": {"w54": 0},
    "no angles": {"w14": 0.0, "w15": 0.0, "w16": 0.0},
    "angles of no cell": {"w14": 1.0, "w15": 1.0, "w16": 1.0},
    "no version": {"w28": 0},
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", SLIPS)
def test_common_slips_in_the_header_are_forgiven(tmp_path, name, order):
    assert_same_map(read_map(put_file(tmp_path, mrc_bytes(order=order, **SLIPS[name]))))


@pytest.mark.parametrize("order", ["<", ">"])
def test_files_from_before_2000_are_read_with_a_warning(tmp_path, caplog, order):
    """They lack the word MAP and know nothing of ORIGIN: what stands there is no place."""
    content = without_map_word(mrc_bytes(order=order, start=(-10, 10, 20), origin=(7, 8, 9)))
    assert_same_map(read_map(put_file(tmp_path, content)), placement="nstart")
    assert "has no 'MAP' at byte 208 and is read as an MRC file from before 2000" in caplog.text


def test_bytes_of_old_imod_files_are_unsigned(tmp_path):
    data = DATA * 2.5
    content = bytearray(mrc_bytes(w39=1146047817))
    content = content[:1024] + data.transpose(2, 1, 0).astype("u1").tobytes()
    struct.pack_into("<i", content, 12, 0)
    found = read_map(put_file(tmp_path, bytes(content)))
    np.testing.assert_array_equal(found.data, np.floor(data))


def smooth(low, high):
    """A blob between two values."""
    grid = np.stack(np.meshgrid(*(np.linspace(-2, 2, n) for n in (20, 22, 24)), indexing="ij"))
    return np.rint(low + (high - low) * np.exp(-(grid**2).sum(0))).astype(np.float32)


def test_sampling_below_zero_is_mentioned(tmp_path, caplog):
    assert_same_map(read_map(put_file(tmp_path, mrc_bytes(w8=-6))))
    assert "grid intervals (-6, 9, 7) make no sense" in caplog.text


@pytest.mark.parametrize("packed", [False, True])
def test_bytes_after_the_values_are_mentioned(tmp_path, caplog, packed):
    content = mrc_bytes() + b"x" * 300
    path = put_file(tmp_path, gzip.compress(content) if packed else content)
    assert_same_map(read_map(path))
    assert "map.mrc: holds 300 bytes more than its header announces" in caplog.text
    assert any("300 bytes more" in warning for warning in describe_map(path)["warnings"])


def test_no_flipped_bit_of_a_gzipped_map_changes_it(tmp_path):
    """Either the checksum tells, or the bit means nothing (the time stamp of the file and the like)."""
    packed = gzip.compress(mrc_bytes(), mtime=0)
    refused = 0
    for bit in range(0, 8 * len(packed), 29):
        damaged = bytearray(packed)
        damaged[bit // 8] ^= 1 << bit % 8
        path = put_file(tmp_path, bytes(damaged))
        try:
            found = read_map(path)
        except MapError:
            refused += 1
        else:
            assert_same_map(found)
    assert refused > 0.9 * len(range(0, 8 * len(packed), 29))


def test_values_after_those_announced_do_not_hide_a_wrong_checksum(tmp_path, monkeypatch):
    path = put_file(tmp_path, damaged_gzip(mrc_bytes() + bytes(9000)))
    monkeypatch.setattr("deepmm_jax.density.mrc._BLOCK", 500)
    with pytest.raises(MapError, match="cannot be read"):
        read_map(path)
    monkeypatch.setattr("deepmm_jax.density.mrc._MOST_SURPLUS", 1200)
    with pytest.raises(MapError, match="holds 1500 bytes and more beyond what its header announces"):
        read_map(path)


@pytest.mark.parametrize(("low", "high"), [(0, 255), (0, 150), (60, 200)])
def test_unsigned_bytes_are_found_out(tmp_path, caplog, low, high):
    """MRC2014 says that bytes are signed; programs that write unsigned ones make values wrap around."""
    data = smooth(low, high)
    content = mrc_bytes(data, mode=1)[:1024] + data.transpose(2, 1, 0).astype("u1").tobytes()
    content = content[:12] + bytes(4) + content[16:]
    np.testing.assert_array_equal(read_map(put_file(tmp_path, content)).data, data)
    assert "taken as 0–255" in caplog.text
    assert any("taken as 0–255" in warning for warning in describe_map(tmp_path / "map.mrc")["warnings"])


@pytest.mark.parametrize(("low", "high"), [(-128, 127), (-20, 100), (-128, -1), (0, 127), (3, -120)])
def test_signed_bytes_stay_signed(tmp_path, caplog, low, high):
    data = smooth(low, high)
    np.testing.assert_array_equal(read_map(put_file(tmp_path, mrc_bytes(data, mode=0))).data, data)
    noise = np.random.default_rng(0).integers(-128, 128, (9, 9, 9)).astype(np.float32)
    np.testing.assert_array_equal(read_map(put_file(tmp_path, mrc_bytes(noise, mode=0))).data, noise)
    assert caplog.text == ""


@pytest.mark.parametrize("mode", [2, 12])
def test_values_that_are_not_finite_become_zero(tmp_path, caplog, mode):
    data = DATA.copy()
    data[0, 0, 0], data[1, 2, 3], data[2, 2, 2] = np.nan, np.inf, -np.inf
    path = put_file(tmp_path, mrc_bytes(data, mode=mode))
    found = read_map(path)
    assert found.data[0, 0, 0] == found.data[1, 2, 3] == found.data[2, 2, 2] == 0
    np.testing.assert_array_equal(found.data[3:], DATA[3:])
    assert "3 values are not finite" in caplog.text
    facts = describe_map(path)
    assert facts["not_finite"] == 3 and "3 values are not finite" in facts["warnings"][0]


def test_large_maps_are_read_in_parts(tmp_path, monkeypatch):
    """A few sections at a time, in every axis order, and a gap between two parts is noticed."""
    monkeypatch.setattr("deepmm_jax.density.mrc._BLOCK", 500)
    for axes in itertools.permutations((1, 2, 3)):
        assert_same_map(read_map(put_file(tmp_path, gzip.compress(mrc_bytes(axes=axes)))))
    with pytest.raises(MapError, match="holds 1504 of 1512 bytes of values"):
        read_map(put_file(tmp_path, gzip.compress(mrc_bytes()[:-8])))


def test_a_map_is_in_memory_once(tmp_path):
    data = np.random.default_rng(1).random((160, 150, 140), np.float32)
    path = put_file(tmp_path, mrc_bytes(data))
    tracemalloc.start()
    read_map(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.1 * data.nbytes + 2.5 * 2**25


def test_coarse_voxels_are_mentioned(tmp_path, caplog):
    read_map(put_file(tmp_path, mrc_bytes(step=(3, 3, 3.5))))
    assert "voxels of 3.5 Å hold nothing finer than 7 Å" in caplog.text


def test_the_log_says_which_rule_placed_the_map(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    read_map(put_file(tmp_path, mrc_bytes(label=b"Chimera rotation: 1 0 0 30")))
    assert "by origin" in caplog.text and "Chimera rotation" in caplog.text


def without_map_word(content):
    return content[:208] + b"    " + content[212:]


def damaged_gzip(content):
    """Well-formed, but the checksum at its end is that of other values."""
    packed = gzip.compress(content)
    return packed[:-8] + bytes(4) + packed[-4:]


BAD = {
    "empty": (b"", "is empty"),
    "short": (b"MAP " * 30, "not an MRC"),
    "text": (b"ATOM      1  N   MET A   1      -8.164" * 60, "not an MRC"),
    "no_map_word_nor_axes": (without_map_word(mrc_bytes(w17=0, w18=0, w19=0)), "not an MRC"),
    "no_map_word_and_mode_12": (without_map_word(mrc_bytes(mode=12)), "not an MRC"),
    "damaged_header": (mrc_bytes(w17=9), "header is damaged"),
    "complex": (mrc_bytes(mode=4), "mode 4 .*Fourier"),
    "packed": (mrc_bytes(mode=101), "mode 101 .*4-bit"),
    "unknown_mode": (mrc_bytes(mode=77), "mode 77"),
    "truncated": (mrc_bytes()[:-8], "it is truncated"),
    "truncated_in_header": (mrc_bytes()[:700], "not an MRC"),
    "gzip_of_truncated": (gzip.compress(mrc_bytes()[:-8]), "it is truncated"),
    "truncated_gzip": (gzip.compress(mrc_bytes())[:-300], "cannot be read"),
    "damaged_gzip": (b"\x1f\x8b" + b"\0" * 100, "cannot be read"),
    "extended_header_too_long": (mrc_bytes(extended=b"x" * 80, w24=10_000_000), "it is truncated"),
    "extended_header_too_long_gzip": (
        gzip.compress(mrc_bytes(extended=b"x" * 80, w24=2_000_000_000)),
        "it is truncated",
    ),
    "extended_header_negative": (mrc_bytes(w24=-80), "-80 bytes"),
    "image": (mrc_bytes(DATA[:, :, :1]), "not a volume"),
    "no_voxels": (mrc_bytes(w1=0), "not a volume"),
    "negative_size": (mrc_bytes(w2=-9), "not a volume"),
    "gigantic": (mrc_bytes(w1=20_000, w2=20_000, w3=20_000), "crop the map"),
    "gigantic_gzip": (gzip.compress(mrc_bytes(w1=20_000, w2=20_000, w3=20_000)), "crop the map"),
    "large_gzip": (gzip.compress(mrc_bytes(w1=1000, w2=1000, w3=1000)), "it is truncated"),
    "stack_of_volumes": (mrc_bytes(space_group=401, w10=1), "stack of volumes"),
    "no_cell": (mrc_bytes(step=(0, 0, 0)), "voxel size"),
    "unit_cell_of_one_angstrom": (mrc_bytes(step=(0.005,) * 3), "voxel size"),
    "cell_not_a_number": (mrc_bytes(step=(1, np.nan, 1)), "voxel size"),
    "damaged_values_gzip": (damaged_gzip(mrc_bytes()), "cannot be read"),
    "section": (mrc_bytes(DATA[:1]), "1 × 9 × 7 voxels are not a volume"),
    "zero": (mrc_bytes(DATA * 0), "every voxel is 0"),
    "constant": (mrc_bytes(DATA * 0 + 3), "every voxel is 3"),
    "beyond_float32": (mrc_bytes(DATA * np.float32(1e36)), r"a value of 9\.\d+e\+37, more than 1e\+12"),
    "not_a_number": (mrc_bytes(DATA * np.nan), "every voxel is 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_in_a_sentence_that_names_them(tmp_path, name):
    content, reason = BAD[name]
    path = put_file(tmp_path, content, f"{name}.mrc")
    started = time.perf_counter()
    with pytest.raises(MapError, match=reason) as caught:
        read_map(path)
    assert time.perf_counter() - started < 5, "and soon"
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_gigabytes_of_nothing_are_not_inflated(tmp_path):
    """A small file can stand for a map that fills the memory with zeros."""
    content = mrc_bytes(DATA, w1=250, w2=250, w3=250)[:1024] + bytes(4 * 250**3)
    path = put_file(tmp_path, gzip.compress(content), "zeros.mrc.gz")
    tracemalloc.start()
    with pytest.raises(MapError, match=r"zeros.mrc.gz: is too small a file for the 62501024 bytes"):
        read_map(path)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


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


def test_a_map_is_not_written_into_a_device_or_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", os.devnull):
        with pytest.raises(MapError, match="is a device or pipe, where no map can be written"):
            write_map(path, DensityMap(data=DATA, step=STEP, origin=ORIGIN))


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
    assert facts["standard_deviation"] == pytest.approx(DATA.std())
    assert facts["not_finite"] == 0
    assert len(facts["warnings"]) == 1 and "ORIGIN counts" in facts["warnings"][0]


def test_real_map_holds_its_model(data_directory):
    """With the map in its place, the density at the Cα atoms stands far above the rest."""
    density = read_map(data_directory / "maps" / "emd5137_3los_A.mrc.gz")
    lines = (data_directory / "maps" / "emd5137_3los_A.pdb").read_text().splitlines()
    calpha = [[float(line[i : i + 8]) for i in (30, 38, 46)] for line in lines if line[12:16] == " CA "]
    at_calpha = density.data[tuple(np.rint(density.to_grid(np.array(calpha))).astype(int).T)]
    assert at_calpha.mean() > density.data.mean() + 3 * density.data.std()
