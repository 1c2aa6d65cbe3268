"""Rows that a folder keeps."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from deepmm_jax.benchmark.measure import Work
from deepmm_jax.benchmark.results import keep_row, kept_rows, target_file, write_json
from deepmm_jax.benchmark.targets import Target
from deepmm_jax.config import build_config
from deepmm_jax.errors import ConfigError
from deepmm_jax.networks.checkpoints import find_checkpoint


DIGESTS = {"settings": "1", "weights": "2", "program": "3"}
FIRST, SECOND = Target(name="1abc_A 2.5-3.0", kind="as-measured"), Target(name="two:B", kind="real")
DATA = {FIRST: "5", SECOND: "6"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "targets").mkdir()
    keep_row(tmp_path, FIRST, DIGESTS, DATA[FIRST], {"mscore": 1.5})
    return tmp_path


def test_what_was_kept_comes_back(folder: Path):
    assert kept_rows(folder, DATA, DIGESTS) == {FIRST: {"mscore": 1.5}}
    keep_row(folder, SECOND, DIGESTS, DATA[SECOND], {"error": "no main chain"})
    assert kept_rows(folder, {SECOND: DATA[SECOND]}, DIGESTS) == {SECOND: {"error": "no main chain"}}
    assert {path.name for path in (folder / "targets").iterdir()} == {"1abc_A_2.5-3.0.json", "two_B.json"}


@pytest.mark.parametrize("text", ["", "[]", '{"target": "1abc_A 2.5-3.0"}', "\xff"])
def test_damaged_file_is_missing(folder: Path, text: str):
    target_file(folder, FIRST).write_text(text, encoding="latin-1")
    assert kept_rows(folder, {FIRST: DATA[FIRST]}, DIGESTS) == {}


def test_what_failed_is_missing(folder: Path):
    keep_row(folder, SECOND, DIGESTS, DATA[SECOND], {"failure": "MemoryError: "})
    assert list(kept_rows(folder, DATA, DIGESTS)) == [FIRST]


@pytest.mark.parametrize("part", DIGESTS)
def test_other_settings_weights_or_program_are_refused(folder: Path, part: str):
    with pytest.raises(ConfigError, match=f"measured with other {part} .*give another folder"):
        kept_rows(folder, {SECOND: DATA[SECOND]}, DIGESTS | {part: "4"})


def test_other_data_is_refused_where_it_is_asked_for(folder: Path):
    with pytest.raises(ConfigError, match="measured with other data .*give another folder"):
        kept_rows(folder, DATA | {FIRST: "7"}, DIGESTS)
    assert kept_rows(folder, {SECOND: "7"}, DIGESTS) == {}


def test_digests_change_with_what_they_are_of(tmp_path: Path):
    config = build_config("simulated", until="calpha")
    digests = Work(config=config).digests()
    assert Work(config=config, data=tmp_path).digests() == digests
    assert {
        part for part, of in Work(config=replace(config, rotations=24)).digests().items() if of != digests[part]
    } == {"settings"}
    copy = tmp_path / "simulated"
    shutil.copytree(find_checkpoint("simulated"), copy)
    moved = Work(config=replace(config, network=str(copy)))
    assert moved.digests() == digests
    (copy / "card.json").write_text((copy / "card.json").read_text() + "\n")
    assert {part for part, of in moved.digests().items() if of != digests[part]} == {"weights"}


def test_a_list_of_numbers_is_a_line_and_nothing_else_changes(tmp_path: Path):
    value = {"a": [1, 2.5, None], "b": [[1, 2], [3]], "c": ["[ 1,\n 2 ]", "x"], "d": [{"e": []}], "f": {}}
    write_json(tmp_path / "file.json", value)
    text = (tmp_path / "file.json").read_text()
    assert json.loads(text) == value
    assert '"a": [1, 2.5, null],\n' in text and "  [1, 2],\n" in text
