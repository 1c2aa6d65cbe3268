"""The paper's filters: each takes what it is about, for the reason it says, and nothing else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deepmm_jax.errors import ConfigError
from deepmm_jax.structure.chain import Chain
from deepmm_jax.training.curation.candidates import examine
from deepmm_jax.training.curation.filters import (
    lacks_side_chains,
    read_entry,
    why_not_chain,
    why_not_entry,
    wrong_length,
)
from deepmm_jax.training.curation.settings import CurationSettings
from deepmm_jax.training.curation.sources import Source


STRICT = CurationSettings()
REASONS = {
    "good": "",
    "dna": "nucleic acid: DA 1 of chain B",
    "ligand": "HETATM residues: GOL 900 of chain A",
    "models": "several models: 2",
    "unknown": "unknown residues: number 47",
    "cut": "missing side-chain atoms: K 48, 1 of 76 residues",
    "open": "missing main-chain atoms: residue 20",
    "short": "too short: 49 residues",
}


def verdict(path: Path, settings: CurationSettings = STRICT) -> str:
    entry = read_entry(path)
    return why_not_entry(entry, settings) or why_not_chain(entry.chains[0], settings)


@pytest.mark.parametrize("name", REASONS)
def test_each_structure_is_left_out_for_what_it_has(structures: Path, name: str):
    assert verdict(structures / f"{name}.pdb") == REASONS[name]


@pytest.mark.parametrize(
    ("allowance", "name"), [("models", "models"), ("nucleic", "dna"), ("hetero", "ligand"), ("unknown", "unknown")]
)
def test_an_allowance_lets_its_own_kind_pass_and_no_other(structures: Path, allowance: str, name: str):
    settings = CurationSettings(allow=(allowance,))
    changed = {other for other, reason in REASONS.items() if verdict(structures / f"{other}.pdb", settings) != reason}
    assert changed == {name}
    assert verdict(structures / f"{name}.pdb", settings) == ""


def test_limits_are_counted_in(kinase: Chain):
    assert wrong_length(kinase, 214, 214) == ""
    assert wrong_length(kinase, 215, 300) == "too short: 214 residues"
    assert wrong_length(kinase, 50, 213) == "too long: 214 residues"


def test_a_chain_has_to_fit_into_a_pdb_file(kinase: Chain):
    moved = replace(kinase, positions=kinase.positions - np.array([0, 0, 1200], np.float32))
    assert why_not_chain(kinase, STRICT) == ""
    assert why_not_chain(moved, STRICT).startswith("coordinates beyond a PDB file: -1")


def test_side_chains_may_be_missing_up_to_a_share(structures: Path):
    (chain,) = read_entry(structures / "cut.pdb").chains
    assert lacks_side_chains(chain, 75 / 76) == ""
    assert lacks_side_chains(chain, 75.5 / 76).startswith("missing side-chain atoms")


def test_chains_of_a_file_are_named_and_judged_apart(structures: Path):
    path = structures / "two.pdb"
    source = Source(name="two.new", structure=str(path))
    first, second = examine(path, source, CurationSettings(shortest=80))
    assert (first.name, first.reason, len(first.letters)) == ("two_new_A", "", 120)
    assert (second.name, second.reason) == ("two_new_B", "too short: 70 residues")
    assert len(first.states) == len(first.sequence) == 120 and set(first.states) <= set("HEC")
    wanted = Source(name="mine", structure=str(path), chain="B")
    assert [(c.name, c.chain, c.kept) for c in examine(path, wanted, STRICT)] == [("mine", "B", True)]
    absent = Source(name="mine", structure=str(path), chain="C")
    assert [c.reason for c in examine(path, absent, STRICT)] == ["no such chain: C"]


def test_an_unreadable_file_is_a_reason_and_not_a_crash(structures: Path):
    (candidate,) = examine(structures / "broken.pdb", Source(name="broken", structure=""), STRICT)
    assert candidate.reason.startswith("unreadable: ") and "line 1" in candidate.reason


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"shortest": 0}, "chains of 0 to 300 residues cannot be had"),
        ({"longest": 600}, "limits between 1 and 512"),
        ({"best_resolution": 6.0}, "resolutions from 6 to 5 Å"),
        ({"correlation": 1.5}, "correlation is 1.5 and must lie between 0 and 1"),
        ({"zone": 0.0}, "a zone of 0 Å holds nothing"),
        ({"allow": ("waters",)}, "'waters' cannot be allowed; choose from models"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict, sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        CurationSettings(**change)
