"""summary.json of a run, held against the schema that comes with the program."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema


SCHEMA: dict[str, Any] = json.loads((files("deepmm_jax_cli") / "summary.schema.json").read_text(encoding="utf-8"))


def read_summary(folder: Path) -> dict[str, Any]:
    """The summary of the run in a folder; raises jsonschema.ValidationError if it does not fit."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    jsonschema.validate(summary, SCHEMA, cls=jsonschema.Draft202012Validator)
    return summary
