"""Tunables: frozen dataclasses with their presets. Jitted functions take the sizes as static arguments."""

from deepmm_jax.config.allatom import PAPER_RESTRAINTS, MinimisationConfig
from deepmm_jax.config.calpha import (
    AlignmentConfig,
    RefinementConfig,
    ThreadingConfig,
    TracingConfig,
    TreeSearch,
    TypingConfig,
)
from deepmm_jax.config.presets import PRESETS, SIMULATED_DENSITY, BuildConfig, build_config
from deepmm_jax.config.ranges import Ranges, check_ranges
from deepmm_jax.config.settings_file import read_toml, replace_fields


__all__ = [
    "PAPER_RESTRAINTS",
    "PRESETS",
    "SIMULATED_DENSITY",
    "AlignmentConfig",
    "BuildConfig",
    "MinimisationConfig",
    "Ranges",
    "RefinementConfig",
    "ThreadingConfig",
    "TracingConfig",
    "TreeSearch",
    "TypingConfig",
    "build_config",
    "check_ranges",
    "read_toml",
    "replace_fields",
]
