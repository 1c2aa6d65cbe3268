"""Everything that `build` can be told, and the presets."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from deepmm_jax.config.allatom import PAPER_RESTRAINTS, MinimisationConfig
from deepmm_jax.config.calpha import AlignmentConfig, RefinementConfig, ThreadingConfig, TracingConfig, TypingConfig
from deepmm_jax.config.settings_file import read_toml, replace_fields
from deepmm_jax.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class BuildConfig:
    """Everything that `build` can be told."""

    until: Literal["evidence", "calpha", "allatom"] = "allatom"
    """The last stage; `pipeline.build_model` goes to Cα at least."""
    evidence: Literal["whole-map", "boxes"] = "whole-map"
    """What looks at the map: one network at all of it, or DenseNets A and B at boxes of it, as in the paper."""
    network: str = "experimental"
    """Name or folder of the whole-map network's checkpoint."""
    box_a: str = "box-a"
    """The same of DenseNet A (`evidence = "boxes"`)."""
    box_b: str = "box-b"
    """The same of DenseNet B."""
    box_density: float | None = None
    """Voxels above this density get a box A (D₀ of section 2.2). Without it, and with a contour level, D₀ is half the
    contour level, given or estimated."""
    contour: float | None = None
    """Recommended contour level in the units of the map; voxels below half of it are not traced (section 2.2)."""
    resampling: Literal["sinc", "cubic", "trilinear"] = "sinc"
    """Interpolation to 1 Å voxels; the paper's is trilinear."""
    rotations: Literal[1, 4, 24] = 1
    """Turns of the map over which the network's answers are averaged; the time grows with them."""
    tracer: Literal["threading", "tabu", "both"] = "threading"
    """How Cα are traced: the sequence threaded through candidates; tabu search and alignment, as in the paper; or
    both, the models of the paper's tracer being further starts of the threading."""
    threading: ThreadingConfig = field(default_factory=ThreadingConfig)
    typing: TypingConfig = field(default_factory=TypingConfig)
    tracing: TracingConfig = field(default_factory=TracingConfig)
    alignment: AlignmentConfig = field(default_factory=AlignmentConfig)
    refinement: RefinementConfig = field(default_factory=RefinementConfig)
    minimisation: MinimisationConfig = field(default_factory=MinimisationConfig)

    def __post_init__(self) -> None:
        if self.evidence == "boxes" and self.tracer != "tabu":
            raise ConfigError(
                f'evidence = "boxes" has no types of voxels, which tracer = "{self.tracer}" needs; '
                'set evidence = "whole-map", or take one of the presets paper-simulated, paper-experimental, paper-emdb'
            )
        if self.evidence == "boxes" and self.refinement.enabled:
            raise ConfigError(
                'evidence = "boxes" has no offsets, which the refinement needs; set evidence = "whole-map", or '
                "enabled = false in [refinement]"
            )
        if self.evidence == "boxes" and self.rotations != 1:
            raise ConfigError(
                f"rotations is {self.rotations}, but boxes are looked at as they lie; set it to 1, or "
                'evidence = "whole-map"'
            )
        if self.box_density is not None and not 0 <= self.box_density < float("inf"):
            raise ConfigError(f"box_density is {self.box_density:g}; give 0 or more, in the units of the map")

    @property
    def networks(self) -> tuple[str, ...]:
        """Names or folders of the checkpoints that `evidence` asks for."""
        return (self.network,) if self.evidence == "whole-map" else (self.box_a, self.box_b)


SIMULATED_DENSITY = 1.0
"""D₀ of maps simulated at 5 Å, in EMAN2's units (section 2.2)."""

_PAPER_TYPING = TypingConfig(pool_radius=0.0, vote=False)
_PAPER_ALIGNMENT = AlignmentConfig(recurrence="greedy", match="matrices", end_gap=None)
_PAPER_REFINEMENT = RefinementConfig(enabled=False)

_PAPER_TRACING = TracingConfig(threshold=0.0, bandwidth=2.0)
_PAPER_SIMULATED = BuildConfig(
    evidence="boxes",
    network="simulated",
    box_density=SIMULATED_DENSITY,
    resampling="trilinear",
    tracer="tabu",
    typing=_PAPER_TYPING,
    tracing=replace(_PAPER_TRACING, local_radius=(5.0,), keep_length=(0.5,), rounds=(100,)),
    alignment=_PAPER_ALIGNMENT,
    refinement=_PAPER_REFINEMENT,
    minimisation=PAPER_RESTRAINTS,
)
_PAPER_EXPERIMENTAL = replace(
    _PAPER_SIMULATED,
    network="experimental",
    box_density=None,
    tracing=replace(
        _PAPER_TRACING, local_radius=(5.0, 7.5, 10.0), keep_length=(0.5, 1.0, 1.5), rounds=(2500, 5000, 7500)
    ),
)
_PAPER_EMDB = replace(
    _PAPER_EXPERIMENTAL,
    tracing=replace(_PAPER_TRACING, local_radius=(10.0,), keep_length=(0.5, 1.0), rounds=(2500, 5000)),
)

PRESETS = {
    "experimental": BuildConfig(network="experimental"),
    # A map at 5 Å without noise repays four looks: five more amino acids in a hundred are read right (docs/network.md).
    "simulated": BuildConfig(network="simulated", rotations=4),
    "paper-simulated": _PAPER_SIMULATED,
    "paper-experimental": _PAPER_EXPERIMENTAL,
    "paper-emdb": _PAPER_EMDB,
    "paper-restraints": BuildConfig(network="experimental", minimisation=PAPER_RESTRAINTS),
}
"""Settings by name. `paper-restraints` minimises as the paper does and is otherwise the default; the other `paper-*`
ones look at boxes, trace, align and minimise as section 2 says: one search for simulated maps, 27 for 30 experimental
maps, 4 for the maps of the EMDB."""


def build_config(preset: str, file: Path | None = None, **changes: Any) -> BuildConfig:
    """Settings of a preset, changed by a TOML file and then by keywords (None means not given).

    The file has the fields of `BuildConfig`, with tables `[threading]`, `[tracing]`, `[typing]`, `[alignment]`,
    `[refinement]` and `[minimisation]`. Keywords are `network`, `contour`, `rotations`, `until`, `models`,
    `full_length`, `minimise`. A `network` that is a folder with `box-a` and `box-b` in it stands for both and for
    `evidence = "boxes"`, any other is a whole-map one.
    Raises ConfigError for a preset, field or value that cannot be used.
    """
    if preset not in PRESETS:
        raise ConfigError(f"preset {preset!r} does not exist; use one of {', '.join(PRESETS)}")
    config, given = PRESETS[preset], {} if file is None else read_toml(file)
    plain = ("contour", "rotations", "until")
    top = {name: changes[name] for name in plain if changes.get(name) is not None}
    if changes.get("network") is not None:
        looked = _network(changes["network"])
        top |= looked
        if looked["evidence"] == "whole-map":  # now, since it allows the file more
            config, given = replace(config, **looked), {key: given[key] for key in given if key != "evidence"}
    config = replace_fields(config, given, str(file))
    if "network" in given and config.evidence == "boxes" and "evidence" not in top:
        raise ConfigError(f'{file}: network is not used with evidence = "boxes"; set evidence = "whole-map" as well')
    alignment: dict[str, Any] = {}
    if changes.get("models") is not None:
        alignment["models"] = changes["models"]
    if changes.get("full_length"):  # only the paper's tracer builds every residue, evidence or not
        top["tracer"] = "tabu"
        alignment["end_gap"] = None
    if changes.get("minimise") is not None:
        top["minimisation"] = replace(config.minimisation, enabled=changes["minimise"])
    return replace(config, **top, alignment=replace(config.alignment, **alignment))


def _network(name: str) -> dict[str, str]:
    """The settings that `--checkpoint` stands for."""
    boxes = {"box_a": Path(name) / "box-a", "box_b": Path(name) / "box-b"}
    if all(folder.is_dir() for folder in boxes.values()):
        return {"evidence": "boxes"} | {setting: str(folder) for setting, folder in boxes.items()}
    return {"evidence": "whole-map", "network": name}
