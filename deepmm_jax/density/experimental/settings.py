"""Ranges and probabilities of every effect, as frozen in the TOML file of a simulator's version."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.resources import files
from typing import Any, TypeVar

import numpy as np

from deepmm_jax.density.experimental.atoms import BFactors, Carboxylates
from deepmm_jax.density.experimental.masks import Masking
from deepmm_jax.density.experimental.noise import Noise, Transplant
from deepmm_jax.density.experimental.spectrum import Anisotropy, LowFrequencies, PostProcessing, Sampling
from deepmm_jax.errors import ConfigError


Effect = TypeVar("Effect")
Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Scatter:
    """Distribution of one effect: it is there with `probability`, and its parameters are uniform in a range.

    `ranges` holds for each parameter the range at the finest and at the coarsest resolution; between them the limits
    change linearly. A parameter without a range keeps the neutral value of its effect.
    """

    probability: float
    ranges: Mapping[str, tuple[Range, Range]]

    def draw(self, coarseness: float, rng: np.random.Generator) -> dict[str, float]:
        """Parameters at a `coarseness` from 0 (the finest resolution) to 1."""
        limits = {
            key: np.array(fine) * (1 - coarseness) + np.array(coarse) * coarseness
            for key, (fine, coarse) in self.ranges.items()
        }
        return {key: float(rng.uniform(low, high)) for key, (low, high) in limits.items()}


@dataclass(frozen=True, kw_only=True)
class Level:
    """Units of the map: values are multiplied by `scale` and raised by `offset` standard deviations of the box."""

    scale: float = 1.0
    offset: float = 0.0


EFFECTS: dict[str, type] = {
    "b_factors": BFactors,
    "carboxylates": Carboxylates,
    "low_frequencies": LowFrequencies,
    "anisotropy": Anisotropy,
    "post_processing": PostProcessing,
    "noise": Noise,
    "transplant": Transplant,
    "level": Level,
    "sampling": Sampling,
}
"""Effects with plain numbers as parameters, by the name of their table."""


@dataclass(frozen=True, kw_only=True)
class SimulatorConfig:
    """A version of the simulator. `resolution` (Å) and `neighbour` (probability of a neighbouring chain, `contact` Å
    from Cα to Cα) are for whoever composes the scene; `masks` are by kind, with their probabilities."""

    version: str
    resolution: Range
    neighbour: float
    contact: Range
    effects: Mapping[str, Scatter]
    masks: Mapping[str, Scatter]
    clip: float
    whole: float

    def draw_resolution(self, rng: np.random.Generator) -> float:
        """Å, uniform."""
        return rng.uniform(*self.resolution)

    def coarseness(self, resolution: float) -> float:
        """0 at the finest resolution, 1 at the coarsest."""
        finest, coarsest = self.resolution
        return float(np.clip((resolution - finest) / (coarsest - finest), 0, 1))

    def draw(self, kind: type[Effect], resolution: float, rng: np.random.Generator) -> Effect:
        """Parameters of one effect at a resolution (Å), the neutral ones if chance leaves it out."""
        name = next(name for name, effect in EFFECTS.items() if effect is kind)
        scatter = self.effects[name]
        present = rng.uniform() < scatter.probability
        values = scatter.draw(self.coarseness(resolution), rng)
        return kind(**values) if present else kind()

    def draw_masking(self, rng: np.random.Generator) -> Masking:
        """A mask of random kind."""
        kinds = list(self.masks)
        share = np.array([self.masks[kind].probability for kind in kinds])
        kind = kinds[rng.choice(len(kinds), p=share / share.sum())]
        values = self.masks[kind].draw(0.0, rng)
        clip, whole = bool(rng.uniform() < self.clip), bool(rng.uniform() < self.whole)
        return Masking(kind=kind, clip=clip, whole=whole, **values)


def load_simulator(name: str = "simulated-experimental-v1") -> SimulatorConfig:
    """The committed settings of a version. Raises ConfigError for a name that has none."""
    file = files("deepmm_jax.density.experimental").joinpath(f"{name}.toml")
    if not file.is_file():
        raise ConfigError(f"there is no simulator {name!r}; use 'simulated-experimental-v1'")
    return parse_simulator(file.read_text(encoding="utf-8"), name)


def parse_simulator(text: str, name: str) -> SimulatorConfig:
    """Settings from TOML. Raises ConfigError, with `name`, for unknown or missing tables and parameters."""
    try:
        tables = tomllib.loads(text)
        effects = {key: _scatter(tables[key], kind, f"{name} [{key}]") for key, kind in EFFECTS.items()}
        masks = {key: _scatter(table, Masking, f"{name} [masks.{key}]") for key, table in tables["masks"].items()}
        scene = tables["scene"]
        return SimulatorConfig(
            version=scene["version"],
            resolution=tuple(scene["resolution"]),
            neighbour=float(scene["neighbour"]),
            contact=tuple(scene["contact"]),
            effects=effects,
            masks=masks,
            clip=float(scene["clip"]),
            whole=float(scene["whole"]),
        )
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise ConfigError(f"simulator {name} cannot be used ({error!r}); compare it with the committed one") from error


def _scatter(table: Mapping[str, Any], kind: type, where: str) -> Scatter:
    known = {field.name for field in fields(kind)}
    ranges: dict[str, tuple[Range, Range]] = {}
    for key, value in table.items():
        if key == "probability":
            continue
        fine, coarse = value if _is_pair(value, list) else (value, value)
        if key not in known or not all(_is_pair(x, int | float) and x[0] <= x[1] for x in (fine, coarse)):
            raise ConfigError(
                f"{where}: {key} = {value} must be one of {', '.join(sorted(known))} with a range [low, high], or two"
            )
        ranges[key] = ((float(fine[0]), float(fine[1])), (float(coarse[0]), float(coarse[1])))
    probability = table.get("probability", 1.0)
    if not isinstance(probability, int | float) or not 0 <= probability <= 1:
        raise ConfigError(f"{where}: probability = {probability} must lie between 0 and 1")
    return Scatter(probability=float(probability), ranges=ranges)


def _is_pair(value: Any, kind: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(x, kind) for x in value)
