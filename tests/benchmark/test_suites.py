"""Which targets a suite has."""

import json
from collections import Counter
from pathlib import Path

import pytest

from deepmm_jax.assessment.held_out import HELD_OUT, protein_of
from deepmm_jax.benchmark.suites import SUITES, preset_of, shared_among_ranges, suite_targets
from deepmm_jax.errors import ConfigError
from reference.benchmark_rows import data_folder


ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return data_folder(tmp_path / "data", ["1abc_A", "2xyz_B"])


def test_a_list_is_a_suite_at_5_angstrom(data: Path):
    targets = suite_targets("few", data)
    assert [(target.name, target.kind, target.protein) for target in targets] == [
        ("1abc_A", "simulated", "1abc_A"),
        ("2xyz_B", "simulated", "2xyz_B"),
    ]
    assert suite_targets("few", data, ["2xyz_B"]) == suite_targets("simulated", data, ["2xyz_B"]) == targets[1:]
    assert preset_of("few") == "simulated"


def test_smoke_needs_no_data(tmp_path: Path):
    (target,) = suite_targets("smoke", tmp_path / "none")
    (source,) = target.sources(tmp_path / "none")
    assert target.kind == "example" and source.is_file()


@pytest.mark.parametrize(
    ("suite", "only", "chains", "complaint"),
    [
        ("simulatd-40", [], None, "'simulatd-40' does not exist; use one of smoke, .*experimental.*, few$"),
        ("few", ["9zzz_Z"], None, "--only 9zzz_Z is no target of few; its 2 begin with 1abc_A, 2xyz_B"),
        ("few", [], 3, "--chains 3 needs a suite that draws chains: simulated-experimental or val-experimental"),
        ("simulated", [], None, "give at least one name"),
        ("simulated", ["9zzz_Z"], None, "9zzz_Z.pdb.gz does not exist"),
        ("real", ["emd1"], None, "emd1.mrc.gz does not exist"),
        ("experimental", [], None, "maps/MANIFEST.csv cannot be read"),
        ("val-experimental", [], None, "structures/MANIFEST.csv cannot be read"),
    ],
)
def test_what_does_not_exist_is_named(data: Path, suite: str, only: list[str], chains: int | None, complaint: str):
    with pytest.raises(ConfigError, match=complaint):
        suite_targets(suite, data, only, chains)


def test_empty_list_is_named(data: Path):
    (data / "lists" / "none.txt").write_text("\n")
    with pytest.raises(ConfigError, match="suite none has no target: its list or table in .* is empty"):
        suite_targets("none", data)


def test_missing_data_folder_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"none is not a folder; give the data folder, or set DEEPMM_JAX_DATA"):
        suite_targets("experimental", tmp_path / "none")
    with pytest.raises(ConfigError, match="lists of chains are more of them"):
        suite_targets("simulated-40", tmp_path / "none")


def test_ranges_get_as_many_chains_of_like_lengths(tmp_path: Path):
    manifest = tmp_path / "MANIFEST.csv"
    rows = [f"{k:04d}_A,{'test' if k % 2 else 'val'},{50 + k}" for k in range(60)]
    manifest.write_text("\n".join(["name,split,observed_residues", *rows]))
    names = shared_among_ranges(manifest, "test", 20)
    assert names == shared_among_ranges(manifest, "test", 20)
    assert set(Counter(name.split()[1] for name in names).values()) == {4}
    lengths = [int(name[:4]) for name in names]
    assert lengths == sorted(lengths) and all(length % 2 for length in lengths)
    assert len(shared_among_ranges(manifest, "val", 100)) == 30
    manifest.write_text("\n".join(["name,split,length", *rows]))  # as `deepmm-jax data` writes it
    assert names == shared_among_ranges(manifest, "test", 20)


def test_earlier_results_are_of_the_same_chains_and_ranges(data_directory: Path):
    """`benchmarks/results` was measured before there were suites."""
    earlier = json.loads((ROOT / "benchmarks" / "results" / "accuracy-simulated-experimental-test.json").read_text())
    assert [target.name for target in suite_targets("simulated-experimental", data_directory)] == list(earlier["cases"])
    forty = json.loads((ROOT / "benchmarks" / "results" / "accuracy-simulated-40.json").read_text())
    assert [target.name for target in suite_targets("simulated-40", data_directory)] == list(forty["cases"])


def test_real_maps_to_report_on_are_those_that_are_held_out(data_directory: Path):
    targets = suite_targets("experimental", data_directory)
    assert {start for start in HELD_OUT if any(t.name.startswith(start) for t in targets)} == set(HELD_OUT)
    assert Counter(target.protein for target in targets) == {
        "VP6": 3,
        "TMV": 3,
        "emd2566_3j6b_9": 1,
        "emd2513_frh_ABC": 1,
        "emd3240_5fn5_ABCD": 1,
    }
    assert protein_of("emd8923_6dw1_A") == "emd8923_6dw1_A"


def test_usage_speaks_of_every_suite():
    usage = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")
    assert all(f"`{suite}`" in usage for suite in (*SUITES, "simulated-40", "val-20"))
