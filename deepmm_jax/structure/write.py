"""Cα models as chains, and chains as PDB files."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import gemmi
import numpy as np
from jaxtyping import Float

from deepmm_jax.constants import ONE_TO_THREE
from deepmm_jax.errors import StructureError
from deepmm_jax.files import atomic_path
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

    Residues keep `Chain.numbers` (those that share one get insertion codes); the whole sequence, where known, goes
    into SEQRES. The file appears whole or not at all.
    Raises StructureError if the file cannot be written, or the chains do not fit the format: more than 62, names
    longer than a letter, more than 99,999 atoms, or coordinates, B factors or numbers that overflow their columns.
    """
    path = Path(path)
    if not models:
        raise StructureError(f"There is no model to write into {path}; give at least one.")
    for chains in models:
        _check_pdb(path, chains)
    structure = gemmi.Structure()
    structure.info["_struct.title"] = "".join(letter if " " <= letter <= "~" else "?" for letter in title)
    for m, chains in enumerate(models):
        model = gemmi.Model(m + 1)
        for chain in chains:
            model.add_chain(_gemmi_chain(chain))
        structure.add_model(model)
    # One entity per chain, lest copies of which other parts are built share a sequence.
    for chain in {chain.name: chain for chains in reversed(models) for chain in chains}.values():
        entity = gemmi.Entity(chain.name)
        entity.entity_type = gemmi.EntityType.Polymer
        entity.polymer_type = gemmi.PolymerType.PeptideL
        entity.subchains = [chain.name]
        entity.full_sequence = [ONE_TO_THREE.get(letter, "UNK") for letter in chain.full_sequence or ""]
        structure.entities.append(entity)
    text = structure.make_pdb_string(gemmi.PdbWriteOptions(cryst1_record=False))
    with writing_structure(path) as partial:
        partial.write_text(text, encoding="ascii")


@contextmanager
def writing_structure(path: Path) -> Iterator[Path]:
    """`atomic_path` for a structure file: what the file system refuses becomes a StructureError."""
    try:
        with atomic_path(path) as partial:
            yield partial
    except OSError as error:
        raise StructureError(
            f"{path} cannot be written ({error.strerror or error}); free some space or give another folder."
        ) from error


def _check_pdb(path: Path, chains: Sequence[Chain]) -> None:
    """Raise StructureError where a PDB file cannot hold the chains."""
    instead = "use mmCIF instead."
    if len(chains) > PDB_CHAINS:
        raise StructureError(f"{path} cannot hold {len(chains)} chains, a PDB file ends at {PDB_CHAINS}; {instead}")
    names = [chain.name for chain in chains]
    if any(len(name) != 1 for name in names) or len(set(names)) < len(names):
        raise StructureError(
            f"{path} cannot hold the chains {', '.join(names)}, PDB names are one unique letter; {instead}"
        )
    serials = sum(len(chain.atom_names) + 1 for chain in chains)  # the end of a chain has one, too
    if serials > PDB_ATOMS:
        raise StructureError(
            f"{path} cannot hold {serials - len(chains)} atoms, a PDB file ends at {PDB_ATOMS}; {instead}"
        )
    for chain in chains:
        fits = (chain.positions > -999.9995) & (chain.positions < 9999.9995)
        numbered = (chain.numbers <= 9999) & (chain.numbers >= -999)
        coded = len(set(zip(chain.numbers.tolist(), chain.insertion_codes, strict=True))) == len(chain)
        if not (fits.all() and numbered.all() and coded and (np.abs(chain.b_factors) < 999.995).all()):
            raise StructureError(
                f"{path} cannot hold chain {chain.name}, a coordinate, B factor or number does not fit; {instead}"
            )


def _gemmi_chain(chain: Chain) -> gemmi.Chain:
    """The chain as gemmi's tree of residues and atoms."""
    out = gemmi.Chain(chain.name)
    residues = []
    for letter, number, code in zip(chain.sequence, chain.numbers.tolist(), chain.insertion_codes, strict=True):
        residue = gemmi.Residue()
        residue.name = ONE_TO_THREE.get(letter, "UNK")
        residue.seqid = gemmi.SeqId(number, code or " ")
        residue.subchain = chain.name
        residue.entity_type = gemmi.EntityType.Polymer
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
