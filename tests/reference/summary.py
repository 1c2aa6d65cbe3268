"""summary.json of a run, held against the schemas that come with the program."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry, Resource


def _schema(name: str) -> dict[str, Any]:
    return json.loads((files("deepmm_jax_cli") / name).read_text(encoding="utf-8"))


SCHEMA, REFINE_SCHEMA = _schema("summary.schema.json"), _schema("refine.schema.json")
_REGISTRY: Registry = Registry().with_resource("summary.schema.json", Resource.from_contents(SCHEMA))


def read_summary(folder: Path, schema: dict[str, Any] = SCHEMA) -> dict[str, Any]:
    """The summary of the `build` in a folder; raises jsonschema.ValidationError if it does not fit."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema, registry=_REGISTRY).validate(summary)
    return summary


def read_refine_summary(folder: Path) -> dict[str, Any]:
    """The same of a `refine`."""
    return read_summary(folder, REFINE_SCHEMA)
