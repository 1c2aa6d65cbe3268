"""Cα models as chains, and chains as PDB files."""

from collections.abc import Sequence
from pathlib import Path

import gemmi
import numpy as np
from jaxtyping import Float

from deepmm_jax.constants import ONE_TO_THREE
from deepmm_jax.errors import StructureError
from deepmm_jax.structure.chain import Chain


PDB_CHAINS = 62
"""Chains that have a name of one letter or digit."""
PDB_ATOMS = 99_999
"""Atoms that have a serial number of five digits."""


def calpha_chain(
    name: str, sequence: str, positions: Float[np.ndarray, "n 3"], confidence: Float[np.ndarray, "n"] | None = None
) -> Chain:
    """A Cα-only chain from one position per letter of the sequence, Å; NaN means that the residue is not built.

    Residues are numbered by their place in the sequence, from 1. The B factor is confidence × 100 (0 without one).
    """
    built = np.flatnonzero(np.isfinite(positions).all(axis=1)).astype(np.int32)
    b_factors = np.zeros(len(built)) if confidence is None else 100.0 * confidence[built]
    return Chain(
        name=name,
        sequence="".join(sequence[i] for i in built),
        numbers=built + 1,
        positions=positions[built].astype(np.float32),
        atom_names=("CA",) * len(built),
        elements=("C",) * len(built),
        residue_of_atom=np.arange(len(built), dtype=np.int32),
        b_factors=b_factors.astype(np.float32),
        full_sequence=sequence,
        register=built,
    )


def write_pdb(path: Path | str, models: Sequence[Sequence[Chain]], title: str = "") -> None:
    """Write models, each a list of chains, as a PDB file; several models are numbered MODEL records.

    Residues keep `Chain.numbers`; the whole sequence, where known, goes into SEQRES.
    Raises StructureError if the chains do not fit the format: more than 62, names longer than a letter, more than
    99,999 atoms, or coordinates or residue numbers that overflow their columns.
    """
    for chains in models:
        _check_pdb(path, chains)
    structure = gemmi.Structure()
    structure.name = title
    structure.info["_struct.title"] = title
    for m, chains in enumerate(models):
        model = gemmi.Model(m + 1)
        for chain in chains:
            model.add_chain(_gemmi_chain(chain))
        structure.add_model(model)
    structure.setup_entities()
    for chain in models[0] if models else ():
        entity = structure.get_entity_of(structure[0][chain.name].get_polymer())
        if entity is not None and chain.full_sequence:
            entity.full_sequence = [ONE_TO_THREE.get(letter, "UNK") for letter in chain.full_sequence]
    structure.write_pdb(str(path), gemmi.PdbWriteOptions(cryst1_record=False))


def _check_pdb(path: Path | str, chains: Sequence[Chain]) -> None:
    """Raise StructureError where a PDB file cannot hold the chains."""
    instead = "write mmCIF instead."
    names = [chain.name for chain in chains]
    if len(chains) > PDB_CHAINS or any(len(name) != 1 for name in names) or len(set(names)) < len(names):
        raise StructureError(
            f"{path} cannot hold the chains {', '.join(names)}, PDB names are one unique letter; {instead}"
        )
    atoms = sum(len(chain.atom_names) for chain in chains)
    if atoms > PDB_ATOMS:
        raise StructureError(f"{path} cannot hold {atoms} atoms, a PDB file ends at {PDB_ATOMS}; {instead}")
    for chain in chains:
        outside = (chain.positions <= -999.9995) | (chain.positions >= 9999.9995)
        if outside.any() or (chain.numbers > 9999).any() or (chain.numbers < -999).any():
            raise StructureError(
                f"{path} cannot hold chain {chain.name}, a coordinate or number is too large; {instead}"
            )


def _gemmi_chain(chain: Chain) -> gemmi.Chain:
    """The chain as gemmi's tree of residues and atoms."""
    out = gemmi.Chain(chain.name)
    residues = []
    for letter, number in zip(chain.sequence, chain.numbers.tolist(), strict=True):
        residue = gemmi.Residue()
        residue.name = ONE_TO_THREE.get(letter, "UNK")
        residue.seqid = gemmi.SeqId(number, " ")
        residues.append(residue)
    positions, b_factors = chain.positions.tolist(), chain.b_factors.tolist()
    for a, r in enumerate(chain.residue_of_atom.tolist()):
        atom = gemmi.Atom()
        atom.name = chain.atom_names[a]
        atom.element = gemmi.Element(chain.elements[a].capitalize())
        atom.pos = gemmi.Position(*positions[a])
        atom.b_iso = b_factors[a]
        residues[r].add_atom(atom)
    for residue in residues:
        out.add_residue(residue)
    return out
