"""The committed lists: what they name is what was trained on and reported on."""

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from deepmm_jax.assessment.held_out import HELD_OUT
from deepmm_jax.structure.read import read_chains
from deepmm_jax.training.chains import split_names, training_names
from deepmm_jax.training.curation import curation
from deepmm_jax.training.curation.pieces import longest_piece
from deepmm_jax.training.curation.sources import Source, read_list


LISTS = Path(curation.__file__).with_name("lists")


@pytest.fixture(scope="module")
def listed() -> list[Source]:
    return read_list(LISTS / "structures.csv")


def test_training_chains_are_those_of_the_networks(listed: list[Source]):
    assert Counter(source.split for source in listed) == {"train": 1520, "val": 90, "test": 184}
    assert [source.name for source in listed if source.split == "train"] == training_names()
    assert len({source.name for source in listed}) == len(listed)
    assert all(len(source.letters_sha256) == 64 and source.chain for source in listed)


def test_maps_are_not_held_out():
    listed = read_list(LISTS / "maps.csv")
    assert len(listed) == 11 and {source.map for source in listed} >= {"EMD-5778", "EMD-24095"}
    assert not any(source.name.startswith(HELD_OUT) for source in listed)


def test_letters_are_those_of_the_files(listed: list[Source], data_directory: Path):
    folder = data_directory / "structures"
    for split in ("val", "test"):
        assert [source.name for source in listed if source.split == split] == split_names(folder, split)
    for source in listed[::150]:
        (chain,) = read_chains(folder / f"{source.name}.pdb.gz")
        assert hashlib.sha256(chain.sequence.encode()).hexdigest() == source.letters_sha256
        assert longest_piece(chain) is chain
