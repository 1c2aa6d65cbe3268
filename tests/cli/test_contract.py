"""The contract with scripts: commands, options, files, keys and exit codes, written down once and held to for real.

What stands in these tables changes on purpose only, with a line in CHANGELOG.md; docs/usage.md speaks of all of it.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import jax
import jsonschema
import numpy as np
import pytest
from typer.main import get_command

from deepmm_jax.config import build_config
from deepmm_jax.density.mrc import write_map
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax_cli.main import app
from reference.summary import REFINE_SCHEMA, SCHEMA, read_summary


ROOT = Path(__file__).resolve().parents[2]

# [VALUE] may be left out; bars stand between the values there are, dots between the least and the greatest.
COMMANDS = """
--version
build MAP
build --sequence -s VALUE
build --output -o VALUE
build --resolution -r [VALUE]
build --contour -c [VALUE]
build --mask -m [VALUE]
build --preset [experimental|simulated|paper-simulated|paper-experimental|paper-emdb|paper-restraints] = experimental
build --secondary-structure [VALUE] = predict
build --rotations [1|4|24]
build --models [1..100]
build --full-length
build --until [evidence|calpha|allatom]
build --no-minimise
build --b-factor [confidence|fitted] = confidence
build --config [VALUE]
build --checkpoint [VALUE]
build --device [auto|cpu|gpu] = auto
build --threads [1..]
build --seed [0..] = 0
build --origin [auto|origin|nstart|zero] = auto
build --resume
build --overwrite
build --quiet -q
build --verbose -v
refine MODEL
refine MAP
refine --output -o [VALUE] = refined
refine --resolution -r [VALUE]
refine --preset [experimental|simulated|paper-simulated|paper-experimental|paper-emdb|paper-restraints] = experimental
refine --no-minimise
refine --config [VALUE]
refine --device [auto|cpu|gpu] = auto
refine --threads [1..]
refine --origin [auto|origin|nstart|zero] = auto
refine --overwrite
refine --quiet -q
refine --verbose -v
info MAP
info --origin [auto|origin|nstart|zero] = auto
info --json
simulate STRUCTURE
simulate --output -o VALUE
simulate --resolution -r [1..50] = 5.0
simulate --step [0.2..10] = 1.0
simulate --chain [VALUE]
evaluate MODEL
evaluate REFERENCE
evaluate --map [VALUE]
evaluate --resolution -r [VALUE]
evaluate --origin [auto|origin|nstart|zero] = auto
evaluate --json
demo --output -o [VALUE] = demo
data --output -o VALUE
data --structures [VALUE]
data --maps [VALUE]
data --list [VALUE]
data --exclude [VALUE]
data --exclude-identity [0..1]
data --exclude-folds [VALUE]
data --cluster-identity [0..1]
data --shortest [1..]
data --longest [1..512]
data --complete [0..1]
data --unbroken
data --allow [VALUE]
data --best-resolution [VALUE]
data --worst-resolution [VALUE]
data --zone [VALUE]
data --correlation [0..1]
data --validation [0..1]
data --seed [0..]
data --cache [VALUE]
data --structure-url [VALUE]
data --map-url [VALUE]
benchmark SUITE
benchmark --output -o VALUE
benchmark --data [VALUE]
benchmark --only [VALUE]
benchmark --chains [1..]
benchmark --until [evidence|calpha|allatom] = calpha
benchmark --preset [experimental|simulated|paper-simulated|paper-experimental|paper-emdb|paper-restraints]
benchmark --config [VALUE]
benchmark --checkpoint [VALUE]
benchmark --baseline [mainmast]
benchmark --workers [1..] = 1
benchmark --threads [1..]
benchmark --scheduler [VALUE]
benchmark --quiet -q
train whole-map --data [VALUE] = …
train whole-map --output -o VALUE
train whole-map --minutes [0.01..]
train whole-map --tail-minutes [0..]
train whole-map --simulated-share [0..1]
train whole-map --real-share [0..1]
train whole-map --initial [VALUE]
train whole-map --batch-size [1..]
train whole-map --config [VALUE]
train whole-map --steps [1..]
train whole-map --seed [0..]
train whole-map --device [auto|cpu|gpu] = auto
train whole-map --threads [1..]
train whole-map --coordinator [VALUE]
train whole-map --processes [1..]
train whole-map --process [0..]
train secondary-structure --data [VALUE] = …
train secondary-structure --output -o VALUE
train secondary-structure --minutes [0.01..] = 12.0
train secondary-structure --steps [1..]
train secondary-structure --seed [0..] = 0
train secondary-structure --device [auto|cpu|gpu] = auto
train secondary-structure --threads [1..]
train box-a --data [VALUE] = …
train box-a --output -o VALUE
train box-a --preset [reduced|paper-training] = reduced
train box-a --maps [simulated|real] = simulated
train box-a --initial [VALUE]
train box-a --boxes [1..]
train box-a --minutes [0.01..]
train box-a --batch-size [1..]
train box-a --steps [1..]
train box-a --seed [0..]
train box-a --device [auto|cpu|gpu] = auto
train box-a --threads [1..]
train box-a --coordinator [VALUE]
train box-a --processes [1..]
train box-a --process [0..]
train box-b --data [VALUE] = …
train box-b --output -o VALUE
train box-b --preset [reduced|paper-training] = reduced
train box-b --maps [simulated|real] = simulated
train box-b --initial [VALUE]
train box-b --boxes [1..]
train box-b --minutes [0.01..]
train box-b --batch-size [1..]
train box-b --steps [1..]
train box-b --seed [0..]
train box-b --device [auto|cpu|gpu] = auto
train box-b --threads [1..]
train box-b --coordinator [VALUE]
train box-b --processes [1..]
train box-b --process [0..]
"""

EVIDENCE = set(
    "log.txt summary.json report.html maps/mainchain.mrc maps/calpha.mrc stages/resample stages/evidence".split()
)
CALPHA = set("calpha.cif stages/threading stages/gaps stages/refinement stages/confidence".split())
MODELS = set("model.cif model.pdb models/model_01.cif confidence.csv view.cxc".split())
ATOMS = set("stages/backbone stages/side-chains stages/minimisation".split())
"""Files that `build` leaves, stages without the digest in their names; there may be more than one model."""

SUMMARY = """
schema_version n_residues cc_mask cc_mask_reason resolution timings_seconds peak_memory_mb device versions network
network_sha256 input seed warnings
"""
SUMMARY_MODELS = (
    "n_built score mscore confidence predicted_tm_score refitted_tm_score predicted_cc_mask geometry chains models"
)
REFINE_SUMMARY = """
schema_version n_residues n_atoms n_atoms_given geometry geometry_given cc_mask cc_mask_given cc_mask_reason resolution
timings_seconds peak_memory_mb device versions input warnings
"""
EVALUATE = """
n_model n_reference coverage ca_rmsd ca_rmsd_superposed tm_score residue_match sequence_match click_rmsd click_overlap
backbone_rmsd all_atom_rmsd bond_rmsz angle_rmsz twisted_peptides cis_proline cis_non_proline d_residues
incomplete_residues ramachandran_favoured ramachandran_outliers rotamer_outliers clashscore
"""
GEOMETRY = EVALUATE[EVALUATE.index("bond_rmsz") :]
EVALUATE_MAP = "cc_mask cc_box cc_peaks cc_volume fitted_b q_score"
"""With a map; the same of the reference begin with reference_."""
INFO = """
path mode byte_order axis_order shape voxel_size cell angles origin_words start_words space_group labels placement
first_voxel last_voxel minimum maximum mean standard_deviation zero_fraction not_finite estimated_contour warnings
"""


def keys(*tables: str) -> set[str]:
    return {key for table in tables for key in table.split()}


def interface(command: Any, name: str = "") -> Iterator[str]:
    """Every argument and option of a command and of those below it, as a line of `COMMANDS`."""
    for parameter in command.params:
        yield f"{name} {_form(parameter)}".strip()
    for word, inner in getattr(command, "commands", {}).items():
        yield from interface(inner, f"{name} {word}".strip())


def _form(parameter: Any) -> str:
    kind, names = parameter.type_descriptor.annotation, " ".join(parameter.opts)
    if not names.startswith("-"):
        return parameter.metavar or names.upper()
    if kind is bool:
        return names
    value = "VALUE"
    choices = [choice for part in (kind, *get_args(kind)) if get_origin(part) is Literal for choice in get_args(part)]
    if choices:
        value = "|".join(map(str, choices))
    elif parameter.min is not None:
        value = f"{parameter.min:g}..{'' if parameter.max is None else f'{parameter.max:g}'}"
    if parameter.required:
        return f"{names} {value}"
    default = "…" if callable(parameter.default) else parameter.default
    return f"{names} [{value}]" + ("" if default is None else f" = {default}")


def program(*arguments: str | Path, first: str = "") -> subprocess.CompletedProcess[str]:
    """`deepmm-jax` in a process of its own; `first` is run before it starts."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}  # JAX sets it
    environment["JAX_COMPILATION_CACHE_DIR"] = str(jax.config.jax_compilation_cache_dir)  # type: ignore[attr-defined]
    code = f"{first}\nfrom deepmm_jax_cli.main import run; run()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def left_in(folder: Path) -> set[str]:
    """Files of a run, with stages by name."""
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {re.sub(r"^(stages/[a-z-]+)\.[0-9a-f]{16}\.pickle$", r"\1", name) for name in found}


def test_commands_and_options_are_those_of_the_contract():
    assert list(interface(get_command(app))) == COMMANDS.strip().splitlines()
    settings = build_config("experimental")
    assert (settings.alignment.models, settings.until) == (10, "allatom"), "--models and --until unless given"


def test_usage_speaks_of_every_command_and_option_and_of_no_other():
    usage = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")
    known = set(re.findall(r" (--[a-z-]+)", " " + COMMANDS.replace("\n", " ")))
    assert known - set(re.findall(r"--[a-z-]+", usage)) == {"--version"}
    for document in ("docs/usage.md", "README.md", "docs/method.md", "docs/network.md"):
        commands = re.findall(r"deepmm-jax [^`\n]*", (ROOT / document).read_text(encoding="utf-8"))
        named = {flag for line in commands for flag in re.findall(r"(?<= )--[a-z-]+", line)}
        assert named <= known | {"--help"}, document
    for key in sorted(keys(SUMMARY, SUMMARY_MODELS, REFINE_SUMMARY, EVALUATE, EVALUATE_MAP)):
        assert f"`{key}`" in usage, key
    for name in sorted(EVIDENCE | CALPHA | MODELS | ATOMS):
        assert f"`{name}`" in usage or name.startswith("stages/"), name


def test_schema_knows_the_keys_and_nothing_else():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == keys(SUMMARY, SUMMARY_MODELS)
    assert set(SCHEMA["required"]) == keys(SUMMARY)
    assert SCHEMA["additionalProperties"] is False
    geometry = SCHEMA["$defs"]["geometry"]
    assert set(geometry["properties"]) == set(geometry["required"]) == keys(GEOMETRY)
    jsonschema.Draft202012Validator.check_schema(REFINE_SCHEMA)
    assert set(REFINE_SCHEMA["properties"]) == set(REFINE_SCHEMA["required"]) == keys(REFINE_SUMMARY)
    assert REFINE_SCHEMA["additionalProperties"] is False


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"pi": 3.14}, "pi"),
        ({"seed": None}, "None is not of type 'integer'"),
        ({"n_built": 7}, "'score' is a dependency"),
        ({"cc_mask_reason": None}, "None is not of type 'string'"),
        ({"cc_mask": 0.7}, "is not of type 'null'"),
        ({"input": {"map": {"path": "m.mrc", "sha256": "0" * 64}}}, "'sequence' is a required property"),
        ({"network_sha256": "0"}, "does not match"),
        ({"timings_seconds": {"evidense": 1.0}}, "does not match"),
    ],
)
def test_schema_refuses_what_is_wrong(change: dict[str, Any], complaint: str):
    digest = "0" * 64
    right: dict[str, Any] = {
        "schema_version": 1,
        "n_residues": 40,
        "cc_mask": None,
        "cc_mask_reason": "no --resolution was given",
        "resolution": None,
        "timings_seconds": {"resample": 0.1, "evidence": 1.0},
        "peak_memory_mb": 900.0,
        "device": "cpu",
        "versions": dict.fromkeys(SCHEMA["$defs"]["versions"]["required"], "1.0"),
        "network": "experimental",
        "network_sha256": digest,
        "input": {
            "map": {"path": "m.mrc", "sha256": digest, "placement_rule": "origin"},
            "sequence": {"path": "s.fasta", "sha256": digest},
        },
        "seed": 0,
        "warnings": [],
    }
    validator = jsonschema.Draft202012Validator(SCHEMA)
    assert validator.is_valid(right)
    assert complaint in " ".join(error.message for error in validator.iter_errors(right | change))


def test_evaluate_and_info_print_their_keys(command: Callable, inputs: Path):
    structure = inputs / "piece.pdb"
    assert json.loads(command("evaluate", structure, structure, "--json").out).keys() == keys(EVALUATE)
    with_map = command("evaluate", structure, structure, "--map", inputs / "map.mrc", "--resolution", "5", "--json")
    of_map = {f"{prefix}{key}" for prefix in ("", "reference_") for key in keys(EVALUATE_MAP)}
    assert json.loads(with_map.out).keys() == keys(EVALUATE) | of_map, with_map.err
    assert json.loads(command("info", inputs / "map.mrc", "--json").out).keys() == keys(INFO)


@pytest.mark.slow
def test_build_leaves_its_files_and_keys_with_exit_code_0(inputs: Path, tmp_path: Path):
    """With the shipped networks and one search: to the evidence first, then on from there."""
    out = tmp_path / "out"
    (tmp_path / "quick.toml").write_text("rotations = 1\n[threading]\nfields = 1\n")
    arguments = ("build", inputs / "map.mrc", "--sequence", inputs / "piece.fasta", "--output", out)
    arguments += ("--preset", "simulated", "--config", tmp_path / "quick.toml")
    stopped = program(*arguments, "--until", "evidence")
    assert (stopped.returncode, stopped.stdout) == (0, ""), stopped.stderr
    assert left_in(out) == EVIDENCE
    assert read_summary(out).keys() == keys(SUMMARY)

    built = program(*arguments, "--resume", "--resolution", "5", "--mask", inputs / "map.mrc")
    assert (built.returncode, built.stdout) == (0, ""), built.stderr
    summary = read_summary(out)
    assert summary.keys() == keys(SUMMARY, SUMMARY_MODELS)
    assert left_in(out) == EVIDENCE | CALPHA | MODELS | ATOMS | set(summary["models"])
    assert summary["input"].keys() == {"map", "sequence", "mask"}
    assert summary["cc_mask"] > 0.5 and None not in summary["geometry"].values()


@pytest.mark.slow
def test_nothing_to_build_has_exit_code_3(inputs: Path, tmp_path: Path):
    """A map of two atoms far from each other."""
    two = np.array([[0.0, 0.0, 0.0], [20.0, 20.0, 20.0]])
    write_map(tmp_path / "two.mrc", simulate_map(two, np.array([6.0, 6.0]), 5.0))
    result = program("build", tmp_path / "two.mrc", "-s", inputs / "piece.fasta", "-o", tmp_path / "out", "--quiet")
    assert result.returncode == 3, result.stderr
    assert result.stderr.startswith("deepmm-jax: ") and result.stderr.count("\n") == 1
    assert left_in(tmp_path / "out") >= {"log.txt", "maps/mainchain.mrc"}
    assert not (tmp_path / "out" / "summary.json").exists()


def test_bad_input_has_exit_code_2_and_a_bug_1(inputs: Path, tmp_path: Path):
    (tmp_path / "empty.mrc").write_bytes(b"")
    bad = program("info", tmp_path / "empty.mrc")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.startswith("deepmm-jax: ") and bad.stderr.count("\n") == 1
    slip = program("info", inputs / "map.mrc", "--loud")
    assert (slip.returncode, slip.stdout) == (2, "")
    # An installation of which a part is missing.
    bug = program("info", inputs / "map.mrc", first="import deepmm_jax.density.mrc as mrc; del mrc.describe_map")
    assert (bug.returncode, bug.stdout) == (1, "")
    assert "Traceback (most recent call last)" in bug.stderr and "describe_map" in bug.stderr
