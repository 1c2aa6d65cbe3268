"""What a training set takes in: the limits of the paper's filters (section 2.6.1)."""

from dataclasses import dataclass

from deepmm_jax.errors import ConfigError
from deepmm_jax.training.chains import LONGEST_CHAIN


ALLOWANCES = ("models", "nucleic", "hetero", "unknown")
"""What may be allowed: several models (the first is taken), nucleic acid in the entry, HETATM residues, UNK."""


@dataclass(frozen=True, kw_only=True)
class CurationSettings:
    """Limits of a training set; the defaults are the paper's."""

    shortest: int = 50
    longest: int = 300
    """Residues of a chain."""
    complete: float = 1.0
    """Least share of residues that have all atoms of their side chain."""
    unbroken: bool = False
    """Only the longest stretch of each chain without a break."""
    allow: tuple[str, ...] = ()
    """Filters that are left out."""
    best_resolution: float = 2.0
    worst_resolution: float = 5.0
    """Å; of maps."""
    zone: float = 4.0
    """Å; density further from the chain is set to zero."""
    correlation: float = 0.65
    """Least correlation of a chain with its zoned map."""
    cluster_identity: float = 0.5
    """Chains that share this identity over the shorter of them count once."""
    excluded_identity: float = 0.3
    """Chains that share this identity with an excluded one are left out."""
    excluded_fold: float = 0.5
    """Chains with a higher TM-score to an excluded structure are left out."""
    validation: float = 0.05
    """Share of the chains that validates, where the source tells no splits."""
    seed: int = 0
    """Of the choice of the chains that validate."""

    def __post_init__(self) -> None:
        if not 1 <= self.shortest <= self.longest <= LONGEST_CHAIN:
            raise ConfigError(
                f"chains of {self.shortest} to {self.longest} residues cannot be had; "
                f"give limits between 1 and {LONGEST_CHAIN}, the shorter first"
            )
        if not 0 < self.best_resolution <= self.worst_resolution:
            raise ConfigError(
                f"resolutions from {self.best_resolution:g} to {self.worst_resolution:g} Å cannot be had; "
                "give two above 0, the better first"
            )
        for name in ("complete", "correlation", "cluster_identity", "excluded_identity", "excluded_fold", "validation"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name):g} and must lie between 0 and 1")
        if not self.zone > 0:
            raise ConfigError(f"a zone of {self.zone:g} Å holds nothing; give 4, as in the paper")
        for name in self.allow:
            if name not in ALLOWANCES:
                raise ConfigError(f"{name!r} cannot be allowed; choose from {', '.join(ALLOWANCES)}")
