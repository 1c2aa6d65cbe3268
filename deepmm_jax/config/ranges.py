"""Ranges of settings, and what is said of one that leaves its own."""

from collections.abc import Mapping
from typing import Annotated, Any

from deepmm_jax.errors import ConfigError


Ranges = Mapping[str, tuple[int | float, int | float, str]]
"""By setting: least and greatest value, and the unit."""

Whole = Annotated[int, "0 or more"]
"""The type of a number that may be 0; other whole numbers may not."""

COUNT = (1, 100_000, "")
SHARE = (0.0, 1.0, "")
WEIGHT = (0.0, 100.0, "")


def check_ranges(config: Any, ranges: Ranges) -> None:
    """Raise ConfigError for a setting, or one number of several, out of its range; None is in every range."""
    for name, (least, greatest, unit) in ranges.items():
        setting = getattr(config, name)
        for value in setting if isinstance(setting, tuple) else (setting,):
            if value is not None and not least <= value <= greatest:  # nan too
                raise ConfigError(f"{name} is {value:g}; give {least:g} to {greatest:g}{unit}")
