"""Rows in a folder: one JSON file a target, written as it ends, which says what the figures depend on."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepmm_jax.benchmark.measure import Row
from deepmm_jax.benchmark.targets import Target
from deepmm_jax.errors import ConfigError
from deepmm_jax.files import atomic_path


def target_file(folder: Path, target: Target) -> Path:
    """Where the row of a target is kept."""
    return folder / "targets" / f"{target.name.replace(' ', '_').replace(':', '_')}.json"


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """A JSON file, whole or not at all, in which a list of numbers is a line.

    Raises OSError, and ValueError for a number that JSON does not know.
    """
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    text = re.sub(r"\[\n([^][{}\"]*)\n *\]", lambda numbers: f"[{' '.join(numbers[1].split())}]", text)
    with atomic_path(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def keep_row(folder: Path, target: Target, digests: Mapping[str, str], data: str, row: Row) -> None:
    """Write the row of a target. Raises OSError."""
    write_json(target_file(folder, target), {"target": target.name, "digests": {**digests, "data": data}, **row})


def kept_rows(folder: Path, targets: Mapping[Target, str], digests: Mapping[str, str]) -> dict[Target, Row]:
    """The rows that earlier runs left of these targets; those of targets that failed, and damaged files, are missing.

    With every target comes the digest of its files. Raises ConfigError if any target in the folder was measured with
    other settings, weights, data or another program: its figures must not be mixed with these.
    """
    found: dict[Path, Row] = {}
    data = {target_file(folder, target): of for target, of in targets.items()}
    for path in sorted((folder / "targets").glob("*.json")):
        try:
            row = json.loads(path.read_text(encoding="utf-8"))
            theirs = dict(row.pop("digests"))
            del row["target"]
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            continue
        expected = {**digests, "data": data.get(path, theirs.get("data"))}
        other = [part for part in expected if theirs.get(part) != expected[part]]
        if other:
            raise ConfigError(
                f"--output {folder} holds targets that were measured with other {' and '.join(other)} ({path.name}); "
                "give another folder"
            )
        if "failure" not in row:
            found[path] = row
    return {target: found[path] for target in targets if (path := target_file(folder, target)) in found}
