"""Settings of the way from evidence to Cα models."""

from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple

from deepmm_jax.config.ranges import COUNT, SHARE, WEIGHT, Whole, check_ranges
from deepmm_jax.constants import CALPHA_DISTANCES
from deepmm_jax.errors import ConfigError


_GAP = (-100.0, 0.0, "")


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
                "threshold": SHARE,
                "bandwidth": (0.5, 10.0, " Å"),
                "max_shift": (0.5, 100.0, " Å"),
                "merge_distance": (0.1, 5.0, " Å"),
                "min_relative_density": SHARE,
                "keep_length": (0.0, 10.0, " Å"),
                "local_radius": (1.0, 100.0, " Å"),
                "length_ratio": (1.0, 10.0, ""),
                "rounds": (0, 100_000, ""),
            }
            | dict.fromkeys(("neighbours", "tabu_length", "trajectories"), COUNT),
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
            dict.fromkeys(weights, WEIGHT)
            | dict.fromkeys(("band", "models"), COUNT)
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

    fields: Whole = 6
    """Runs of deterministic annealing from different seeds; each gives one model, and one read backwards."""
    merges: Whole = 2
    """Further runs, on the bonds of all chains found so far."""
    searches: Whole = 0
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
    proposals: Whole = 4
    """Models of the paper's tracer, the best first, from which further searches start (`tracer = "both"`)."""

    def __post_init__(self) -> None:
        check_ranges(
            self,
            {
                "fields": (0, 1000, ""),
                "merges": (0, 1000, ""),
                "searches": (0, 1000, ""),
                "moves": COUNT,
                "polish": COUNT,
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
