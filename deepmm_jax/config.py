"""Tunables: frozen dataclasses with their presets. Jitted functions take the sizes as static arguments."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from itertools import product
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from deepmm_jax.constants import CALPHA_DISTANCES
from deepmm_jax.errors import ConfigError


Ranges = Mapping[str, tuple[int | float, int | float, str]]
"""By setting: least and greatest value, and the unit."""

_COUNT = (1, 100_000, "")
_SHARE = (0.0, 1.0, "")
_WEIGHT = (0.0, 100.0, "")
_GAP = (-100.0, 0.0, "")


def check_ranges(config: Any, ranges: Ranges) -> None:
    """Raise ConfigError for a setting, or one number of several, out of its range; None is in every range."""
    for name, (least, greatest, unit) in ranges.items():
        setting = getattr(config, name)
        for value in setting if isinstance(setting, tuple) else (setting,):
            if value is not None and not least <= value <= greatest:  # nan too
                raise ConfigError(f"{name} is {value:g}; give {least:g} to {greatest:g}{unit}")


class TreeSearch(NamedTuple):
    """One combination of the settings of which several may be tried."""

    local_radius: float
    keep_length: float
    rounds: int


@dataclass(frozen=True, kw_only=True)
class TracingConfig:
    """Main-chain tracing (sections 2.3 and 2.5; MAINMAST). Lengths in Å.

    Of `local_radius`, `keep_length` and `rounds` each may have several values: every combination is searched, and all
    paths compete in the alignment.
    """

    threshold: float = 0.1
    """Voxels with a probability above this are seeds (U_thr; 0 in the paper, whose networks give exact zeros)."""
    bandwidth: float = 1.6
    """Mean-shift bandwidth: kernel exp(-1.5 r² / (bandwidth / 2)²); 2.0 in the paper."""
    max_shift: float = 10.0
    """A seed stops when it has moved this far."""
    merge_distance: float = 0.5
    """Shifted points closer than this are one local dense point."""
    min_relative_density: float = 0.0
    """Points of normalised density below this are dropped (theta_thr)."""
    keep_length: tuple[float, ...] = (0.5,)
    """Edges of the first spanning tree shorter than this are never removed (d_keep)."""
    local_radius: tuple[float, ...] = (10.0,)
    """Radius of the local spanning trees whose edges may be swapped in (r_local)."""
    rounds: tuple[int, ...] = (100,)
    """Tabu rounds per trajectory (N_round)."""
    neighbours: int = 30
    """Admissible neighbours evaluated in a round (N_nb)."""
    tabu_length: int = 100
    """Length of the tabu list."""
    trajectories: int = 10
    """Searches started from the spanning tree; each gives one path."""
    length_ratio: float = 1.01
    """A tree may be at most this many times as long as the spanning tree."""

    def __post_init__(self) -> None:
        check_ranges(
            self,
            {
                "threshold": _SHARE,
                "bandwidth": (0.5, 10.0, " Å"),
                "max_shift": (0.5, 100.0, " Å"),
                "merge_distance": (0.1, 5.0, " Å"),
                "min_relative_density": _SHARE,
                "keep_length": (0.0, 10.0, " Å"),
                "local_radius": (1.0, 100.0, " Å"),
                "length_ratio": (1.0, 10.0, ""),
                "rounds": (0, 100_000, ""),
            }
            | dict.fromkeys(("neighbours", "tabu_length", "trajectories"), _COUNT),
        )
        for name in TreeSearch._fields:
            if not getattr(self, name):
                raise ConfigError(f"{name} is empty; give at least one number")

    @property
    def searches(self) -> tuple[TreeSearch, ...]:
        """Every combination of the settings that may have several values."""
        return tuple(TreeSearch(*values) for values in product(self.local_radius, self.keep_length, self.rounds))


SMALLEST_POOL, LARGEST_POOL = 0.9, 5.0
"""Å: half the diagonal of a voxel and a little more, and half a side chain."""


@dataclass(frozen=True, kw_only=True)
class TypingConfig:
    """What kind of residue a main-chain point belongs to (section 2.4)."""

    pool_radius: float = 1.5
    """Types are pooled over the voxels this near, Å; 0 interpolates them (the paper looks at one box)."""
    vote: bool = True
    """Types of a point are those of the place where the network's offset there says that the Cα is."""

    def __post_init__(self) -> None:
        if self.pool_radius != 0 and not SMALLEST_POOL <= self.pool_radius <= LARGEST_POOL:
            raise ConfigError(
                f"pool_radius is {self.pool_radius:g}; give 0, or {SMALLEST_POOL:g} to {LARGEST_POOL:g} Å, so that it "
                "holds voxels of one residue"
            )


@dataclass(frozen=True, kw_only=True)
class AlignmentConfig:
    """Sequence to main chain (section 2.4, equations 2 and 3)."""

    recurrence: Literal["exact", "greedy"] = "exact"
    """`exact` (banded, optimal) or `greedy` (the authors' back-pointer recurrence)."""
    match: Literal["log-odds", "matrices"] = "log-odds"
    """`log-odds` of the 20 types, or `matrices`: M_AA and M_SS of figure 2b on arg-max classes."""
    weight_amino_acid: float = 1.0
    weight_secondary_structure: float = 0.5
    weight_calpha: float = 1.6
    weight_distance: tuple[float, float, float] = (1.0, 0.7, 0.8)
    """w_Cα–Cα for a residue predicted Helix, Sheet, Coil."""
    distances: tuple[float, ...] = CALPHA_DISTANCES
    """Standard Cα–Cα distances d_std, Å."""
    band: int = 40
    """Points between two successive residues at most (exact recurrence)."""
    end_gap: float | None = -1.0
    """Score of an unbuilt residue at either end of the chain; None forces full length."""
    skip_open: float | None = -6.0
    """Score of leaving residues inside the chain unbuilt (exact recurrence); None, or full length, forbids it."""
    skip_extend: float = -1.0
    """Score of each of these residues besides."""
    redundancy_rmsd: float = 5.0
    """Of two models closer than this (superposed Cα RMSD, Å) the worse is dropped."""
    models: int = 10
    """Models kept."""

    def __post_init__(self) -> None:
        weights = ("weight_amino_acid", "weight_secondary_structure", "weight_calpha", "weight_distance")
        check_ranges(
            self,
            dict.fromkeys(weights, _WEIGHT)
            | dict.fromkeys(("band", "models"), _COUNT)
            | dict.fromkeys(("end_gap", "skip_open", "skip_extend"), _GAP)
            | {"distances": (1.0, 10.0, " Å"), "redundancy_rmsd": (0.0, 100.0, " Å")},
        )

    @property
    def skip(self) -> tuple[float, float] | None:
        """`skip_open` and `skip_extend` where residues inside the chain may stay unbuilt."""
        if self.recurrence == "greedy" or self.end_gap is None or self.skip_open is None:
            return None
        return self.skip_open, self.skip_extend


@dataclass(frozen=True, kw_only=True)
class ThreadingConfig:
    """The sequence threaded through Cα candidates: deterministic annealing, then a search by moves.

    Which models are kept `AlignmentConfig` says (`redundancy_rmsd`, `models`), whatever the tracer.
    """

    fields: int = 4
    """Runs of deterministic annealing from different seeds; each gives one model, and one read backwards."""
    merges: int = 2
    """Further runs, on the bonds of all chains found so far."""
    searches: int = 2
    """Hot searches that begin with the longest path of the best bonds; as many models again."""
    moves: int = 1000
    """Moves that each of these tries, for every residue of the sequence."""
    polish: int = 300
    """The same for the cool searches that begin with the result of an annealing, or with a proposal."""
    hot: float = 3.0
    """Temperature at the start of a hot search, in units of the threading score."""
    warm: float = 0.7
    """Temperature at the start of a cool one: little of what it begins with is lost."""
    cold: float = 0.4
    """At the end of either."""
    proposals: int = 4
    """Models of the paper's tracer, the best first, from which further searches start (`tracer = "both"`)."""

    def __post_init__(self) -> None:
        check_ranges(
            self,
            {
                "fields": (0, 1000, ""),
                "merges": (0, 1000, ""),
                "searches": (0, 1000, ""),
                "moves": _COUNT,
                "polish": _COUNT,
                "proposals": (0, 1000, ""),
                "hot": (0.01, 1000.0, ""),
                "warm": (0.01, 1000.0, ""),
                "cold": (0.01, 1000.0, ""),
            },
        )
        if not self.fields + self.searches:
            raise ConfigError("fields and searches of threading are both 0; set one of them to 1 or more")


@dataclass(frozen=True, kw_only=True)
class RefinementConfig:
    """Cα positions refined off the grid on the evidence (the paper leaves them on the points). Weights in Å⁻²."""

    enabled: bool = True
    """Whether Cα leave the points they were traced on."""
    width: float = 0.5
    """Width of the kernel that finds where the votes for a Cα gather, Å."""
    votes: float = 28.0
    """Pull of each Cα to where its votes gather, for a Cα beyond doubt."""
    bonds: float = 200.0
    """Stiffness of 3.8 Å between successive Cα, 2.95 Å before a cis-proline."""
    angles: float = 20.0
    """Stiffness of the bounds on the angle of three Cα, 80 to 147 degrees."""
    helices: float = 20.0
    """Stiffness of 5.47 Å between Cα two apart, times the probability of a helix."""
    clashes: float = 20.0
    """Stiffness of 3.6 Å between Cα three or more apart in sequence."""
    max_move: float = 2.0
    """No Cα moves further than this, Å: it would be another model, not a refined one."""
    rounds: int = 10
    """How often the votes are heard anew from where the Cα have come to."""
    steps: int = 80
    """Steps of the descent in each round."""

    def __post_init__(self) -> None:
        weights = ("votes", "bonds", "angles", "helices", "clashes")
        check_ranges(
            self,
            dict.fromkeys(weights, (0.0, 1000.0, " Å⁻²"))
            | dict.fromkeys(("rounds", "steps"), (1, 10_000, ""))
            | {"width": (0.1, 3.0, " Å"), "max_move": (0.0, 10.0, " Å")},
        )


@dataclass(frozen=True, kw_only=True)
class BuildConfig:
    """Everything that `build` can be told."""

    network: str = "experimental"
    """Name or folder of the whole-map network's checkpoint."""
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


_PAPER_TYPING = TypingConfig(pool_radius=0.0, vote=False)
_PAPER_ALIGNMENT = AlignmentConfig(recurrence="greedy", match="matrices", end_gap=None)
_PAPER_REFINEMENT = RefinementConfig(enabled=False)

_PAPER_TRACING = TracingConfig(threshold=0.0, bandwidth=2.0)
_PAPER_SIMULATED = BuildConfig(
    network="simulated",
    resampling="trilinear",
    tracer="tabu",
    typing=_PAPER_TYPING,
    tracing=replace(_PAPER_TRACING, local_radius=(5.0,), keep_length=(0.5,), rounds=(100,)),
    alignment=_PAPER_ALIGNMENT,
    refinement=_PAPER_REFINEMENT,
)
_PAPER_EXPERIMENTAL = replace(
    _PAPER_SIMULATED,
    network="experimental",
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
    "simulated": BuildConfig(network="simulated"),
    "paper-simulated": _PAPER_SIMULATED,
    "paper-experimental": _PAPER_EXPERIMENTAL,
    "paper-emdb": _PAPER_EMDB,
}
"""Settings by name. The `paper-*` ones trace and align as section 2.5 says, on the evidence of the whole-map network:
one search for simulated maps, 27 for 30 experimental maps, 4 for the maps of the EMDB."""


def build_config(preset: str, file: Path | None = None, **changes: Any) -> BuildConfig:
    """Settings of a preset, changed by a TOML file and then by keywords (None means not given).

    The file has the fields of `BuildConfig`, with tables `[threading]`, `[tracing]`, `[typing]`, `[alignment]` and
    `[refinement]`. Keywords are `network`, `contour`, `rotations`, `models`, `full_length`. Raises ConfigError for a
    preset, field or value that cannot be used.
    """
    if preset not in PRESETS:
        raise ConfigError(f"preset {preset!r} does not exist; use one of {', '.join(PRESETS)}")
    config = PRESETS[preset] if file is None else replace_fields(PRESETS[preset], read_toml(file), str(file))
    top = {name: changes[name] for name in ("network", "contour", "rotations") if changes.get(name) is not None}
    alignment: dict[str, Any] = {}
    if changes.get("models") is not None:
        alignment["models"] = changes["models"]
    if changes.get("full_length"):  # only the paper's tracer builds every residue, evidence or not
        top["tracer"] = "tabu"
        alignment["end_gap"] = None
    return replace(config, **top, alignment=replace(config.alignment, **alignment))


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
    kinds = get_type_hints(type(config))
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
