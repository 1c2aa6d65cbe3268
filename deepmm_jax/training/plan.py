"""What to train and how: the settings of a run of the whole-map network."""

from dataclasses import dataclass, field
from typing import Literal

from deepmm_jax.errors import ConfigError
from deepmm_jax.networks.whole_map import STRIDE, WholeMapConfig


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How to train."""

    minutes: float = 60.0
    """Budget of this run."""
    clock: Literal["wall", "processor"] = "wall"
    """How minutes are counted; processor time over all cores stays fair where other work runs (ablation)."""
    tail_minutes: float = 0.0
    """The last minutes, in which the rate decays linearly to zero; only before shipping."""
    steps: int | None = None
    """Stop after this many steps of this run instead (tests)."""
    batch_size: int = 2
    crop: int = 48
    """Side of a crop, voxels of 1 Å."""
    simulated_share: float = 0.5
    """Share of plain 5 Å maps among the simulated ones; the others are experimental-like."""
    real_share: float = 0.0
    """Share of crops of real maps among all."""
    unseen_groups: tuple[str, ...] = ("gaba-a", "mm-cpn")
    """Groups of real maps that are validated on and not learnt from."""
    matrix_rate: float = 0.02
    """Muon's rate for kernels: the relative change of a kernel per step."""
    vector_rate: float = 2e-3
    """Adam's rate for biases and norms."""
    warm_up: int = 50
    average: float = 0.999
    """Decay of the weight average that is validated and shipped."""
    absolute: bool = False
    """Mean absolute error for the probabilities, as in the paper, instead of cross-entropy (ablation)."""
    auxiliary: bool = True
    """Learn N, C, O, Cβ, offsets and directions too (off: ablation)."""
    validate_every: int = 150
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("simulated_share", "real_share", "average"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name):g} and must lie between 0 and 1")
        for name in ("minutes", "matrix_rate", "vector_rate"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name):g} and must be above 0")
        if self.clock not in ("wall", "processor"):
            raise ConfigError(f"clock is {self.clock!r} and must be 'wall' or 'processor'")
        if self.crop % STRIDE:
            raise ConfigError(f"crop is {self.crop} and must be a multiple of {STRIDE}")


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What to train, and how; the tables of a TOML file for `deepmm-jax train whole-map --config`."""

    network: WholeMapConfig = field(default_factory=WholeMapConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
