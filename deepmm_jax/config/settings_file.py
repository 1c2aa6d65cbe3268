"""Settings from TOML files, checked against the dataclasses that hold them."""

import math
import tomllib
from dataclasses import is_dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from deepmm_jax.errors import ConfigError


def read_toml(file: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises ConfigError if it cannot be read."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"--config {file} cannot be read ({error}); give a TOML file") from error


def replace_fields(config: Any, values: dict[str, Any], where: str) -> Any:
    """A dataclass with some fields replaced, tables going down to the dataclasses inside.

    Raises ConfigError, which names `where` the values stood, for a field that does not exist or an unfit value.
    """
    kinds = get_type_hints(type(config), include_extras=True)
    new: dict[str, Any] = {}
    for name, value in values.items():
        if name not in kinds:
            raise ConfigError(f"{where}: {name!r} is no setting; use one of {', '.join(sorted(kinds))}")
        if not is_dataclass(kinds[name]):
            new[name] = _value(value, kinds[name], f"{where}: {name}")
        elif isinstance(value, dict):
            new[name] = replace_fields(getattr(config, name), value, f"{where} [{name}]")
        else:
            raise ConfigError(f"{where}: {name} is {value!r} and must be a table, [{name}]")
    try:
        return replace(config, **new)
    except ConfigError as error:  # what the dataclass itself refuses
        raise ConfigError(f"{where}: {error}") from error


def _value(value: Any, kind: Any, where: str) -> Any:
    """A TOML value as the type of its field: a choice, an array, a count, a switch, text, or a number."""
    if get_origin(kind) is UnionType:  # None stands for "not given", which a file says by silence
        kind = next(part for part in get_args(kind) if part is not NoneType)
    parts = get_args(kind)
    if get_origin(kind) is Literal:
        wanted = " or ".join(map(repr, parts))
        if any(type(value) is type(part) and value == part for part in parts):  # True equals 1
            return value
    elif get_origin(kind) is tuple and Ellipsis in parts:
        texts = parts[0] is str
        wanted = "an array of some texts" if texts else "a number or an array of some"
        items = value if isinstance(value, list) or texts else [value]  # a number alone is an array of one
        if isinstance(items, list) and (items or texts):  # no text is a choice too
            return tuple(_value(item, parts[0], where) for item in items)
    elif get_origin(kind) is tuple:
        wanted = f"an array of {len(parts)} numbers"
        if isinstance(value, list) and len(value) == len(parts) and all(map(_is_number, value)):
            return tuple(map(float, value))
    elif get_origin(kind) is Annotated:
        wanted = "a whole number, 0 or more"
        if type(value) is int and value >= 0:
            return value
    elif kind is int:
        wanted = "a whole number above 0"
        if type(value) is int and value > 0:  # True is an int by isinstance
            return value
    elif kind is bool:
        wanted = "true or false"
        if isinstance(value, bool):
            return value
    elif kind is str:
        wanted = "text"
        if isinstance(value, str):
            return value
    else:
        wanted = "a number"
        if _is_number(value):
            return float(value)
    raise ConfigError(f"{where} is {value!r} and must be {wanted}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
