"""A stretch of adenylate kinase as a perfect network would show it: helices and strands that touch and cross."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from deepmm_jax.constants import SECONDARY_STRUCTURES
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.evidence.ideal import ideal_evidence
from deepmm_jax.evidence.points import type_points
from deepmm_jax.evidence.volumes import Evidence, TypedPoints
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.secondary_structure import assign_secondary_structure
from deepmm_jax.threading.bonds import Bonds, find_bonds
from deepmm_jax.threading.candidates import CalphaCandidates, find_candidates


EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "1ake_A.pdb.gz"
RESIDUES = 84


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """The stretch, its evidence and what threading makes of it."""

    calpha: np.ndarray
    profile: SequenceProfile
    evidence: Evidence
    candidates: CalphaCandidates
    bonds: Bonds
    points: TypedPoints


def first_residues(chain: Chain, n: int) -> Chain:
    atoms = int((chain.residue_of_atom < n).sum())
    return replace(
        chain,
        sequence=chain.sequence[:n],
        numbers=chain.numbers[:n],
        positions=chain.positions[:atoms],
        atom_names=chain.atom_names[:atoms],
        elements=chain.elements[:atoms],
        residue_of_atom=chain.residue_of_atom[:atoms],
        b_factors=chain.b_factors[:atoms],
        full_sequence=None,
        register=None,
    )


def adenylate_kinase() -> Stretch:
    """The stretch, traced."""
    (chain,) = read_chains(EXAMPLE)
    states = [SECONDARY_STRUCTURES.index(state) for state in assign_secondary_structure(chain)][:RESIDUES]
    part = first_residues(chain, RESIDUES)
    evidence = ideal_evidence(part, simulate_map(part.positions, part.atomic_numbers, 5.0))
    candidates = find_candidates(evidence)
    return Stretch(
        calpha=part.calpha,
        profile=SequenceProfile(
            name="1AKE_A", letters=part.sequence, secondary_structure=np.eye(3, dtype=np.float32)[states]
        ),
        evidence=evidence,
        candidates=candidates,
        bonds=find_bonds(evidence, candidates.positions),
        points=type_points(evidence, candidates.positions),
    )
