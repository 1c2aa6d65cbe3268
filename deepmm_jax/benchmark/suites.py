"""Suites: lists of targets by name."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deepmm_jax.assessment.held_out import HELD_OUT
from deepmm_jax.benchmark.targets import MANIFEST, Target, manifest_rows
from deepmm_jax.errors import ConfigError


SUITES = {
    "smoke": "two chains of 66 and 67 residues at 5 Å; 1AKE chain A where there is no data folder",
    "simulated": "chains at 5 Å that --only names",
    "simulated-experimental": "100 test chains as measured maps show them, shared among five ranges of resolution",
    "val-experimental": "the same with 20 validation chains",
    "experimental": "the real maps that are held out",
    "real": "real maps that --only names",
}
"""What each suite holds; every list in `lists/` of the data folder, such as `simulated-40`, is one more, at 5 Å."""

SMOKE = ("7p0p_D", "1vfy_A")
"""Validation chains."""

RANGES = ((2.5, 3.0), (3.0, 3.5), (3.5, 4.0), (4.0, 4.5), (4.5, 5.0))
"""Resolutions of the paper's tables, Å."""

_SPLITS = {"simulated-experimental": ("test", 100), "val-experimental": ("val", 20)}
_COPIES = {"emd1461_vp6_trimer": "emd1461_vp6_trimer:A"}
"""Of three copies of one chain, one is built."""


def preset_of(suite: str) -> str:
    """The preset that suits the maps of a suite."""
    return "experimental" if suite in _SPLITS or suite in ("experimental", "real") else "simulated"


def suite_targets(suite: str, data: Path, only: Sequence[str] = (), chains: int | None = None) -> list[Target]:
    """The targets of a suite, those alone that `only` names; `chains` is how many a split gives.

    Raises ConfigError for what does not exist: suite, data folder, list, name, file.
    """
    lists = sorted(path.stem for path in (data / "lists").glob("*.txt"))
    if suite not in SUITES and suite not in lists:
        known = ", ".join([*SUITES, *lists])
        where = "" if lists else f"; lists of chains are more of them, but {data / 'lists'} has none"
        raise ConfigError(f"suite {suite!r} does not exist; use one of {known}{where}")
    if chains is not None and suite not in _SPLITS:
        raise ConfigError(f"--chains {chains} needs a suite that draws chains: {' or '.join(_SPLITS)}, not {suite}")
    if suite == "smoke" and not data.is_dir():
        targets = [Target(name="1ake_A", kind="example")]
    elif not data.is_dir():
        raise ConfigError(f"--data {data} is not a folder; give the data folder, or set DEEPMM_JAX_DATA to it")
    else:
        targets = _targets(suite, data, only, chains)
    if only and suite not in ("simulated", "real"):
        chosen = [target for target in targets if {target.name, target.name.split()[0]} & set(only)]
        absent = [name for name in only if not any(name in (t.name, t.name.split()[0]) for t in chosen)]
        if absent:
            some = ", ".join(target.name for target in targets[:5])
            raise ConfigError(f"--only {absent[0]} is no target of {suite}; its {len(targets)} begin with {some}")
        targets = chosen
    if not targets:
        raise ConfigError(f"suite {suite} has no target: its list or table in {data} is empty; check --data")
    for target in targets:
        for path in target.sources(data):
            if not path.is_file():
                raise ConfigError(
                    f"{path} does not exist, and target {target.name} needs it; check the name and --data"
                )
    return targets


def _targets(suite: str, data: Path, only: Sequence[str], chains: int | None) -> list[Target]:
    if suite in _SPLITS:
        split, count = _SPLITS[suite]
        names = shared_among_ranges(data / "structures" / MANIFEST, split, chains or count)
        return [Target(name=name, kind="as-measured") for name in names]
    if suite == "experimental":
        names = [_COPIES.get(name, name) for name in held_out_maps(data / "maps" / MANIFEST)]
        return [Target(name=name, kind="real") for name in names]
    if suite in ("simulated", "real"):
        if not only:
            raise ConfigError(f"suite {suite} holds what --only names; give at least one name")
        return [Target(name=name, kind=suite) for name in only]
    names = SMOKE if suite == "smoke" else (data / "lists" / f"{suite}.txt").read_text().split()
    return [Target(name=name, kind="simulated") for name in names]


def shared_among_ranges(manifest: Path, split: str, count: int) -> list[str]:
    """Chains of a split with a resolution each, as "1abc_A 2.5-3.0": as many in every range, of like lengths.

    The draw is the same every time. Raises ConfigError if the manifest cannot be read.
    """
    rows = {row["name"]: row for row in manifest_rows(manifest) if row["split"] == split}
    chosen = np.random.default_rng(0).choice(sorted(rows), min(count, len(rows)), replace=False)
    # A set made by `deepmm-jax data` has only chains whose residues are all there.
    lengths = {name: int(rows[name].get("observed_residues") or rows[name]["length"]) for name in chosen.tolist()}
    by_length = sorted(lengths, key=lambda name: lengths[name])
    return [f"{name} {'-'.join(map(str, RANGES[k % len(RANGES)]))}" for k, name in enumerate(by_length)]


def held_out_maps(manifest: Path) -> list[str]:
    """The real maps for reporting only, sharpest first. Raises ConfigError if the manifest cannot be read."""
    rows = sorted(manifest_rows(manifest), key=lambda row: float(row["resolution"]))
    return [row["name"] for row in rows if row["name"].startswith(HELD_OUT)]
