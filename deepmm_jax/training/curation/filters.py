"""The paper's filters (section 2.6.1): what an entry or a chain must not have, each with its reason in words.

Several models, nucleic acid and HETATM residues bar the entry, for their density may lie beside any of its chains;
unknown residues, missing atoms and length bar the chain. Water is no reason. A filter answers "" if all is well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np

from deepmm_jax.structure.chain import BACKBONE, Chain
from deepmm_jax.structure.coordinate_file import parse_structure
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.residue_atoms import KNOWN_ATOMS
from deepmm_jax.training.curation.settings import CurationSettings


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A structure file: its protein chains and what else it holds, residues as "HEM 142 of chain A"."""

    chains: Sequence[Chain]
    models: int
    nucleic: Sequence[str]
    hetero: Sequence[str]


def read_entry(path: Path) -> Entry:
    """The first model of a structure file. Raises StructureError as `read_chains` does."""
    structure = parse_structure(path)
    nucleic, hetero = [], []
    for chain in structure[0]:
        for residue in chain:
            known = gemmi.find_tabulated_residue(residue.name)
            name = f"{residue.name} {residue.seqid} of chain {chain.name.strip() or 'A'}"
            if known.is_nucleic_acid():
                nucleic.append(name)
            elif residue.het_flag == "H" and not known.is_water():
                hetero.append(name)
    return Entry(chains=read_chains(path), models=len(structure), nucleic=nucleic, hetero=hetero)


def why_not_entry(entry: Entry, settings: CurationSettings) -> str:
    """The first reason to leave the whole entry out, or ""."""
    reasons = {
        "models": several_models(entry),
        "nucleic": has_nucleic_acid(entry),
        "hetero": has_hetero_residues(entry),
    }
    return next((reason for name, reason in reasons.items() if reason and name not in settings.allow), "")


def why_not_chain(chain: Chain, settings: CurationSettings) -> str:
    """The first reason to leave a chain out, or ""."""
    unknown = "" if "unknown" in settings.allow else has_unknown_residues(chain)
    return (
        wrong_length(chain, settings.shortest, settings.longest)
        or unknown
        or lacks_main_chain(chain)
        or lacks_side_chains(chain, settings.complete)
        or lies_too_far_out(chain)
    )


def several_models(entry: Entry) -> str:
    """More than one MODEL."""
    return f"several models: {entry.models}" if entry.models > 1 else ""


def has_nucleic_acid(entry: Entry) -> str:
    """DNA or RNA anywhere."""
    return f"nucleic acid: {entry.nucleic[0]}" if entry.nucleic else ""


def has_hetero_residues(entry: Entry) -> str:
    """Ligands, ions, sugars and modified residues."""
    return f"HETATM residues: {entry.hetero[0]}" if entry.hetero else ""


def has_unknown_residues(chain: Chain) -> str:
    """UNK, and modified residues whose parent nobody knows."""
    unknown = chain.sequence.find("X")
    return f"unknown residues: number {chain.numbers[unknown]}" if unknown >= 0 else ""


def wrong_length(chain: Chain, shortest: int, longest: int) -> str:
    """Fewer or more residues than the limits."""
    if len(chain) < shortest:
        return f"too short: {len(chain)} residues"
    return f"too long: {len(chain)} residues" if len(chain) > longest else ""


def lacks_main_chain(chain: Chain) -> str:
    """A residue without N, CA, C or O: its labels would be wrong."""
    missing = np.isnan(np.stack([chain.atom(name)[:, 0] for name in BACKBONE])).any(axis=0)
    return f"missing main-chain atoms: residue {chain.numbers[missing.argmax()]}" if missing.any() else ""


def lacks_side_chains(chain: Chain, complete: float) -> str:
    """Fewer than the share `complete` of the residues have all atoms of their side chain."""
    held: list[set[str]] = [set() for _ in chain.sequence]
    for name, residue in zip(chain.atom_names, chain.residue_of_atom.tolist()):
        held[residue].add(name)
    lacking = [i for i, letter in enumerate(chain.sequence) if set(KNOWN_ATOMS[letter]) - {"OXT"} - held[i]]
    if len(lacking) <= (1 - complete) * len(chain) + 1e-9:
        return ""
    first = f"{chain.sequence[lacking[0]]} {chain.numbers[lacking[0]]}"
    return f"missing side-chain atoms: {first}, {len(lacking)} of {len(chain)} residues"


def lies_too_far_out(chain: Chain) -> str:
    """Coordinates that do not fit into the columns of a PDB file, in which the set keeps its chains."""
    fits = (chain.positions > -999.9) & (chain.positions < 9999.9)
    return "" if fits.all() else f"coordinates beyond a PDB file: {chain.positions[~fits][0]:g} Å"
