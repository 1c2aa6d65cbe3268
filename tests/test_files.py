"""Files that appear whole or not at all."""

import os
from pathlib import Path

import pytest

from deepmm_jax.files import atomic_path, data_directory, remove_partial


def test_earlier_file_stays_until_the_block_ends(tmp_path: Path):
    (tmp_path / "model.cif").write_text("old")
    with atomic_path(tmp_path / "model.cif") as partial:
        assert partial.parent == tmp_path and partial.suffix == ".cif"
        partial.write_text("new")
        assert (tmp_path / "model.cif").read_text() == "old"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"model.cif": "new"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_failure_leaves_the_earlier_file_alone(tmp_path: Path, error: type[BaseException]):
    (tmp_path / "model.cif").write_text("old")
    with pytest.raises(error), atomic_path(tmp_path / "model.cif") as partial:
        partial.write_text("half")
        raise error
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"model.cif": "old"}


def test_error_names_the_file_that_was_meant(tmp_path: Path):
    for path in (tmp_path / "nowhere" / "a.mrc", tmp_path / "file" / "a.mrc"):
        (tmp_path / "file").write_text("")
        with pytest.raises(OSError) as caught, atomic_path(path) as partial:
            partial.write_text("")
        assert caught.value.filename == str(path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError), atomic_path(tmp_path / "folder") as partial:
        partial.write_text("")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_links_are_followed_and_devices_written_straight(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "target")
    with atomic_path(tmp_path / "link") as partial:
        partial.write_text("through")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "elsewhere" / "target").read_text() == "through"
    with atomic_path(os.devnull) as partial:
        assert partial == Path(os.devnull)


def test_a_pipe_is_written_straight():
    """As /dev/stdout in `| less`: what its name resolves to is no path."""
    reading, writing = os.pipe()
    with atomic_path(f"/dev/fd/{writing}") as path:
        path.write_text("through")
    assert os.read(reading, 99) == b"through"
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("name", ["m" * 251 + ".cif", "é" * 125 + ".cif"])
def test_names_may_be_as_long_as_the_file_system_allows(tmp_path: Path, name: str):
    with atomic_path(tmp_path / name) as partial:
        assert partial.suffix == ".cif"
        partial.write_text("")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_a_killed_run_left_is_removed(tmp_path: Path):
    (tmp_path / "kept.cif").write_text("")
    writer = atomic_path(tmp_path / "model.cif")
    writer.__enter__().write_text("half")
    assert len(list(tmp_path.iterdir())) == 2
    remove_partial(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.cif"]


def test_data_directory_is_the_variable_or_beside_the_repository(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DEEPMM_JAX_DATA", "elsewhere/data")
    assert data_directory() == Path("elsewhere/data")
    monkeypatch.delenv("DEEPMM_JAX_DATA")
    assert data_directory() == Path("../shared/data")
