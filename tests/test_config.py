"""Presets, and what a configuration file may change."""

from dataclasses import fields, is_dataclass, replace
from itertools import product
from pathlib import Path

import pytest

from deepmm_jax.config import (
    PAPER_RESTRAINTS,
    PRESETS,
    AlignmentConfig,
    BuildConfig,
    TracingConfig,
    TreeSearch,
    TypingConfig,
    build_config,
)
from deepmm_jax.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text)
    return path


def test_paper_presets_follow_section_2_5():
    for preset in (PRESETS["paper-simulated"], PRESETS["paper-experimental"], PRESETS["paper-emdb"]):
        assert preset.typing == TypingConfig(pool_radius=0.0, vote=False) and preset.rotations == 1
        assert (preset.alignment.recurrence, preset.alignment.match, preset.resampling) == (
            "greedy",
            "matrices",
            "trilinear",
        )
        assert preset.alignment.end_gap is None, "the paper builds every residue"
        assert preset.alignment.weight_distance == (1.0, 0.7, 0.8)
        assert (preset.alignment.weight_calpha, preset.alignment.redundancy_rmsd, preset.alignment.models) == (
            1.6,
            5.0,
            10,
        )
        assert (preset.tracing.threshold, preset.tracing.min_relative_density) == (0.0, 0.0)
        assert (preset.tracing.trajectories, preset.tracing.neighbours, preset.tracing.tabu_length) == (10, 30, 100)
        held = preset.minimisation
        assert (held.enabled, held.charges, held.cutoff, held.restrained, held.restraint) == (
            True,
            "amber",
            9.0,
            "backbone",
            1.0,
        ), "the authors' script for Amber"
        assert held.density == held.torsions == held.planarity == 0, "the force field alone"


@pytest.mark.parametrize(
    ("name", "radii", "kept", "rounds"),
    [
        ("paper-simulated", {5.0}, {0.5}, {100}),
        ("paper-experimental", {5.0, 7.5, 10.0}, {0.5, 1.0, 1.5}, {2500, 5000, 7500}),
        ("paper-emdb", {10.0}, {0.5, 1.0}, {2500, 5000}),
    ],
)
def test_paper_presets_search_every_combination_of_section_2_5(name: str, radii: set, kept: set, rounds: set):
    searches = PRESETS[name].tracing.searches
    assert len(searches) == len(set(searches)) == {"simulated": 1, "experimental": 27, "emdb": 4}[name[6:]]
    assert set(searches) == {TreeSearch(*values) for values in product(radii, kept, rounds)}


@pytest.mark.parametrize("name", PRESETS)
def test_preset_without_changes_is_itself(name: str):
    assert build_config(name) == PRESETS[name]
    assert PRESETS[name].network == ("simulated" if "simulated" in name else "experimental")


def test_the_papers_restraints_alone():
    assert PRESETS["paper-restraints"] == replace(PRESETS["experimental"], minimisation=PAPER_RESTRAINTS)


def test_paper_presets_look_at_boxes_above_the_density_of_section_2_2():
    assert [PRESETS[f"paper-{name}"].box_density for name in ("simulated", "experimental", "emdb")] == [1.0, None, None]
    assert PRESETS["paper-emdb"].networks == ("box-a", "box-b")
    assert PRESETS["simulated"].networks == ("simulated",)


def test_checkpoint_is_that_of_boxes_or_of_a_whole_map(tmp_path: Path):
    whole = build_config("paper-simulated", network="experimental")
    assert (whole.evidence, whole.networks, whole.tracer) == ("whole-map", ("experimental",), "tabu")
    turned = written(tmp_path, 'rotations = 4\nevidence = "boxes"\n[refinement]\nenabled = true')
    whole = build_config(
        "paper-simulated", turned, network="simulated"
    )  # the command line wins before anything is judged
    assert (whole.evidence, whole.rotations, whole.refinement.enabled) == ("whole-map", 4, True)
    for name in ("box-a", "box-b"):
        (tmp_path / name).mkdir()
    boxes = build_config("paper-emdb", network=str(tmp_path))
    assert boxes.evidence == "boxes"
    assert boxes.networks == (str(tmp_path / "box-a"), str(tmp_path / "box-b"))
    (tmp_path / "box-b").rmdir()
    assert build_config("paper-emdb", network=str(tmp_path)).networks == (str(tmp_path),)


@pytest.mark.parametrize(
    ("preset", "text", "sentence"),
    [
        ("experimental", 'evidence = "boxes"', 'which tracer = "threading" needs; set evidence = "whole-map"'),
        ("paper-simulated", 'tracer = "both"', 'which tracer = "both" needs'),
        (
            "paper-simulated",
            "[refinement]\nenabled = true",
            r'set evidence = "whole-map", or enabled = false in \[refinement\]',
        ),
        ("paper-simulated", "rotations = 4", "rotations is 4, but boxes are looked at as they lie"),
        (
            "paper-emdb",
            'network = "simulated"',
            'network is not used with evidence = "boxes"; set evidence = "whole-map"',
        ),
        ("paper-simulated", "box_density = -1", "box_density is -1; give 0 or more"),
        ("paper-simulated", 'evidence = "box"', "evidence is 'box' and must be 'whole-map' or 'boxes'"),
    ],
)
def test_settings_that_boxes_cannot_follow_are_refused(tmp_path: Path, preset: str, text: str, sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        build_config(preset, written(tmp_path, text))


def test_file_changes_the_preset_and_keywords_change_the_file(tmp_path: Path):
    file = written(
        tmp_path,
        "contour = 3\nrotations = 4\n[tracing]\nrounds = 7\nlocal_radius = [5, 7.5]\nbandwidth = 3\n"
        '[alignment]\nmatch = "matrices"\n'
        "models = 4\nend_gap = -2\ndistances = [3.6, 4]\nweight_distance = [1, 2, 3]\n",
    )
    base = PRESETS["simulated"]
    expected = replace(
        base,
        contour=3.0,
        rotations=4,
        tracing=replace(base.tracing, rounds=(7,), local_radius=(5.0, 7.5), bandwidth=3.0),
        alignment=replace(
            base.alignment,
            match="matrices",
            models=4,
            end_gap=-2.0,
            distances=(3.6, 4.0),
            weight_distance=(1.0, 2.0, 3.0),
        ),
    )
    config = build_config("simulated", file)
    assert config == expected
    assert isinstance(config.tracing.bandwidth, float), "whole numbers may stand for lengths"
    assert [search.local_radius for search in config.tracing.searches] == [5.0, 7.5]
    changed = build_config("simulated", file, network="mine", contour=5.0, rotations=24, models=2, full_length=True)
    assert (changed.network, changed.contour, changed.rotations, changed.alignment.models) == ("mine", 5.0, 24, 2)
    assert changed.alignment.end_gap is None
    assert build_config("simulated", file, network=None, contour=None, models=None, full_length=False) == expected
    changed = build_config("simulated", file, until="calpha", minimise=False)
    assert changed.until == "calpha" and not changed.minimisation.enabled and changed.tracing == expected.tracing


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "speed = 1",
            r"settings\.toml: 'speed' is no setting; use one of alignment, box_a, box_b, box_density, contour",
        ),
        ("[tracing]\nround = 3", r"settings\.toml \[tracing\]: 'round' is no setting; use one of bandwidth, "),
        ("[tracing]\nrounds = 'many'", r"\[tracing\]: rounds is 'many' and must be a whole number above 0"),
        ("[tracing]\nrounds = 2.5", "rounds is 2.5 and must be a whole number above 0"),
        ("[tracing]\nrounds = [10, 2.5]", "rounds is 2.5 and must be a whole number above 0"),
        ("[tracing]\nrounds = []", r"rounds is \[\] and must be a number or an array of some"),
        ("[tracing]\nlocal_radius = ['far']", "local_radius is 'far' and must be a number"),
        ("[tracing]\nrounds = true", "rounds is True and must be a whole number above 0"),
        ("[threading]\nmerges = -1", "merges is -1 and must be a whole number, 0 or more"),
        ("[threading]\nfields = 0\nsearches = 0", "fields and searches of threading are both 0"),
        ("[alignment]\nmodels = 0", "models is 0 and must be a whole number above 0"),
        ("[tracing]\nbandwidth = nan", "bandwidth is nan and must be a number"),
        ("[alignment]\nend_gap = 'none'", "end_gap is 'none' and must be a number"),
        ("contour = 'high'", "contour is 'high' and must be a number"),
        ("network = 3", "network is 3 and must be text"),
        ("resampling = 'nearest'", "resampling is 'nearest' and must be 'sinc' or 'cubic' or 'trilinear'"),
        ("until = 'the end'", "until is 'the end' and must be 'evidence' or 'calpha' or 'allatom'"),
        ("[minimisation]\nenabled = 0", "enabled is 0 and must be true or false"),
        ("rotations = 3", "rotations is 3 and must be 1 or 4 or 24"),
        ("rotations = true", "rotations is True and must be 1 or 4 or 24"),
        ("rotations = 4.0", r"rotations is 4\.0 and must be 1 or 4 or 24"),
        ("rotations = '4'", "rotations is '4' and must be 1 or 4 or 24"),
        ("[alignment]\nrecurrence = ['exact']", "recurrence is .'exact'. and must be 'exact' or 'greedy'"),
        ("[alignment]\ndistances = []", r"distances is \[\] and must be a number or an array of some"),
        ("[alignment]\ndistances = '3.8'", r"distances is '3\.8' and must be a number"),
        ("[alignment]\nweight_distance = [1, 2]", r"weight_distance is \[1, 2\] and must be an array of 3 numbers"),
        ("[alignment]\nweight_distance = [1, 2, 'x']", "must be an array of 3 numbers"),
        ("[typing]\nvote = 1", "vote is 1 and must be true or false"),
        ("tracing = 3", r"tracing is 3 and must be a table, \[tracing\]"),
        ("this is no TOML", r"settings\.toml cannot be read \(.*; give a TOML file"),
    ],
)
def test_file_that_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path, text: str, sentence: str):
    with pytest.raises(ConfigError, match=sentence) as raised:
        build_config("simulated", written(tmp_path, text))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[tracing]\nthreshold = -1", "threshold is -1; give 0 to 1"),
        ("[tracing]\nbandwidth = -1", "bandwidth is -1; give 0.5 to 10 Å"),
        ("[tracing]\nbandwidth = 0", "bandwidth is 0; give 0.5 to 10 Å"),
        ("[tracing]\nbandwidth = 1e9", "bandwidth is 1e+09; give 0.5 to 10 Å"),
        ("[tracing]\nlocal_radius = -3", "local_radius is -3; give 1 to 100 Å"),
        ("[tracing]\nlocal_radius = [5, -3]", "local_radius is -3; give 1 to 100 Å"),
        ("[tracing]\nrounds = [10, 1_000_000]", "rounds is 1e+06; give 0 to 100000"),
        ("[tracing]\nkeep_length = -1", "keep_length is -1; give 0 to 10 Å"),
        ("[tracing]\nmerge_distance = 0", "merge_distance is 0; give 0.1 to 5 Å"),
        ("[tracing]\nlength_ratio = 0.9", "length_ratio is 0.9; give 1 to 10"),
        ("[tracing]\ntabu_length = 1_000_000_000", "tabu_length is 1e+09; give 1 to 100000"),
        ("[alignment]\nweight_calpha = -1", "weight_calpha is -1; give 0 to 100"),
        ("[alignment]\nweight_distance = [1, 1, 1e30]", "weight_distance is 1e+30; give 0 to 100"),
        ("[alignment]\ndistances = [3.8, 0]", "distances is 0; give 1 to 10 Å"),
        ("[alignment]\nend_gap = 1", "end_gap is 1; give -100 to 0"),
        ("[alignment]\nredundancy_rmsd = -1", "redundancy_rmsd is -1; give 0 to 100 Å"),
    ],
)
def test_setting_out_of_its_range_is_refused_with_the_range(tmp_path: Path, text: str, sentence: str):
    with pytest.raises(ConfigError, match=".") as raised:
        build_config("simulated", written(tmp_path, text))
    assert str(raised.value) == f"{tmp_path / 'settings.toml'} {text.splitlines()[0]}: {sentence}"


def test_setting_out_of_its_range_is_refused_without_a_file():
    with pytest.raises(ConfigError, match="bandwidth is nan; give 0.5 to 10 Å"):
        TracingConfig(bandwidth=float("nan"))
    with pytest.raises(ConfigError, match="keep_length is empty; give at least one number"):
        TracingConfig(keep_length=())
    with pytest.raises(ConfigError, match="weight_calpha is inf; give 0 to 100"):
        AlignmentConfig(weight_calpha=float("inf"))
    with pytest.raises(ConfigError, match="band is 0; give 1 to 100000"):
        AlignmentConfig(band=0)


def test_missing_file_and_unknown_preset_are_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read"):
        build_config("simulated", tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match="preset 'best' does not exist; use one of experimental, simulated"):
        build_config("best")


def test_every_setting_can_be_written_in_a_file(tmp_path: Path):
    """No field has a type that the reader does not know."""

    def toml(value: object) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        return repr(list(value)) if isinstance(value, tuple) else repr(value)

    config = BuildConfig(contour=1.0, box_density=1.0)
    values = {f.name: getattr(config, f.name) for f in fields(config)}
    tables = {name: value for name, value in values.items() if is_dataclass(value)}
    lines = [f"{name} = {toml(value)}" for name, value in values.items() if name not in tables]
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{f.name} = {toml(getattr(table, f.name))}" for f in fields(table))]
    assert set(tables) >= {"tracing", "typing", "alignment"}
    assert build_config("experimental", written(tmp_path, "\n".join(lines))) == config
