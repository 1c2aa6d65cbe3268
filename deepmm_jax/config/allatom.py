"""Settings of the way from Cα models to all atoms."""

from dataclasses import dataclass
from typing import Literal

from deepmm_jax.config.ranges import check_ranges


@dataclass(frozen=True, kw_only=True)
class MinimisationConfig:
    """Energy minimisation in Amber ff14SB, hydrogens included (the paper has Amber14 do it). Energies in kcal/mol."""

    enabled: bool = True
    """Whether models are minimised."""
    cutoff: float = 9.0
    """Atoms further apart do not interact, Å."""
    charges: Literal["softened", "amber"] = "softened"
    """`softened`: every residue neutral. In vacuum the charged side chains would fold back onto the chain (`amber`)."""
    restrained: Literal["calpha", "backbone"] = "calpha"
    """Atoms held near where they start, or stand when side chains are chosen again: Cα, or N, Cα and C."""
    restraint: float = 1.0
    """How firmly, kcal/mol/Å²."""
    density: float = 10.0
    """What an atom gains from a density higher by one standard deviation; 0 leaves the map out."""
    torsions: float = 2.0
    """What a residue gains where (φ, ψ) are e times as frequent; kT at room temperature is 0.6. Outside of what is
    favoured a tenth of it for every degree."""
    planarity: float = 10.0
    """Half the barrier that keeps each peptide trans, or cis, as it is at the start."""
    steps: int = 500
    """Steps of the descent at most."""
    repack: bool = True
    """Whether all is minimised for 60 steps first and side chains are chosen again: one that was chosen while the main
    chain was off cannot leave its well by descent. `refine` keeps those that it is given."""

    def __post_init__(self) -> None:
        check_ranges(
            self,
            dict.fromkeys(("density", "torsions", "planarity"), (0.0, 100.0, " kcal/mol"))
            | {
                "cutoff": (5.0, 50.0, " Å"),
                "restraint": (0.0, 1000.0, " kcal/mol/Å²"),
                "steps": (1, 100_000, ""),
            },
        )


PAPER_RESTRAINTS = MinimisationConfig(
    charges="amber",
    restrained="backbone",
    restraint=1.0,
    density=0.0,
    torsions=0.0,
    planarity=0.0,
    steps=5000,
    repack=False,
)
"""The force field alone, in vacuum, the backbone held (what the authors' script has Amber do)."""
