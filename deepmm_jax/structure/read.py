"""Protein chains from PDB, mmCIF and ModelCIF files: first model, one conformer, heavy atoms (section 2.1)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby
from math import isfinite
from pathlib import Path

import gemmi
import numpy as np

from deepmm_jax.constants import THREE_TO_ONE
from deepmm_jax.errors import StructureError
from deepmm_jax.structure.chain import BACKBONE, Chain
from deepmm_jax.structure.coordinate_file import parse_structure


def read_chains(path: Path | str, model: int = 0) -> list[Chain]:
    """Read the protein chains of one model of a structure file, in the order of the file.

    The format (PDB, mmCIF, mmJSON; gzip too) is told from the content. Of alternate conformers the one of highest
    occupancy is kept, the first on a tie. Selenomethionine is read as methionine, other modified residues as their
    parent (X if nothing tells it). Hydrogens, waters, ligands and nucleic acids are dropped, and so are residues
    without a Cα. Where one name stands for several chains, the later ones are named A2, A3 …
    `Chain.full_sequence` and `Chain.register` are filled where the file gives the whole sequence (SEQRES,
    `_entity_poly_seq`) and it agrees with the residues.

    Raises StructureError if the file is missing, is not a structure, or holds no protein in that model.
    """
    structure = parse_structure(Path(path))
    if not 0 <= model < len(structure):
        raise StructureError(f"{path} holds {len(structure)} model(s), not {model + 1}; ask for one that is there.")
    chains = [_read_chain(chain, structure) for chain in structure[model]]
    found = [chain for chain in chains if chain is not None]
    if not found:
        raise StructureError(f"{path} holds no protein residue with a Cα; give a model of a protein.")
    return found


def count_models(path: Path | str) -> int:
    """Number of models in a structure file; raises StructureError as `read_chains` does."""
    return len(parse_structure(Path(path)))


def one_letter(residue_name: str) -> str | None:
    """One-letter code of an amino acid, that of the parent if it is modified, X if unknown; None for anything else."""
    if residue_name in THREE_TO_ONE:
        return THREE_TO_ONE[residue_name]
    known = gemmi.find_tabulated_residue(residue_name)
    if not known.is_amino_acid():
        return None
    letter = known.one_letter_code.upper()
    return letter if letter in THREE_TO_ONE.values() else "X"


def _read_chain(chain: gemmi.Chain, structure: gemmi.Structure) -> Chain | None:
    """The amino acids of a chain that have a Cα, or None if there is none."""
    parents = {str(m.res_id): m.parent_comp_id for m in structure.mod_residues if m.chain_name == chain.name}
    letters, numbers, register, residue_of_atom = [], [], [], []
    atoms: list[gemmi.Atom] = []
    names: list[str] = []
    elements: list[str] = []
    subchain = None
    last = max(
        (i for i, residue in enumerate(chain) if residue.het_flag == "A" and one_letter(residue.name)), default=-1
    )
    for _, places in groupby(enumerate(chain), key=lambda item: str(item[1].seqid)):
        (place, *_), alternatives = zip(*places, strict=True)
        residue, conformer = _best_conformer(alternatives)
        letter = _letter(residue, conformer, parents)
        if letter is None or "CA" not in conformer:
            continue
        if residue.het_flag == "H" and residue.entity_type is not gemmi.EntityType.Polymer and place > last:
            continue  # a free amino acid bound as a ligand
        subchain = subchain or residue.subchain
        residue_of_atom += [len(letters)] * len(conformer)
        letters.append(letter)
        numbers.append(residue.seqid.num)
        register.append(-1 if residue.label_seq is None else residue.label_seq - 1)
        names += conformer
        elements += [_element(atom, name, residue) for name, atom in conformer.items()]
        atoms += conformer.values()
    if not letters:
        return None
    full_sequence = _full_sequence(structure, subchain, dict(zip(register, letters, strict=True)))
    known = "".join(full_sequence[i] if 0 <= i < len(full_sequence) else "?" for i in register)
    agrees = bool(full_sequence) and known == "".join(letters) and all(np.diff(register) > 0)
    return Chain(
        name=chain.name.strip() or "A",
        sequence="".join(letters),
        numbers=np.array(numbers, np.int32),
        positions=np.array([atom.pos.tolist() for atom in atoms], np.float32),
        atom_names=tuple(names),
        elements=tuple(elements),
        residue_of_atom=np.array(residue_of_atom, np.int32),
        b_factors=np.array([atom.b_iso for atom in atoms], np.float32),
        full_sequence=full_sequence if agrees else None,
        register=np.array(register, np.int32) if agrees else None,
    )


def _best_conformer(alternatives: Sequence[gemmi.Residue]) -> tuple[gemmi.Residue, dict[str, gemmi.Atom]]:
    """Of the residues at one position the one of highest occupancy, and its heavy atoms by name.

    One alternate location is chosen for the whole residue, so that its atoms belong together; an atom that has no such
    location is taken where its own occupancy is highest.
    """
    occupancy: dict[tuple[int, str], float] = defaultdict(float)
    for r, residue in enumerate(alternatives):
        for atom in residue:
            occupancy[r, atom.altloc] += atom.occ if atom.altloc != "\0" else 0.0
    best_residue, best_location = max(occupancy, key=lambda key: occupancy[key], default=(0, "\0"))
    residue = alternatives[best_residue]
    conformer: dict[str, gemmi.Atom] = {}
    for atom in residue:
        if _element(atom, atom.name, residue) in ("H", "D") or not all(map(isfinite, atom.pos.tolist())):
            continue
        name = "SD" if residue.name == "MSE" and atom.name == "SE" else atom.name
        rival = conformer.get(name)
        if rival is None or (atom.altloc == best_location, atom.occ) > (rival.altloc == best_location, rival.occ):
            conformer[name] = atom
    return residue, conformer


def _element(atom: gemmi.Atom, name: str, residue: gemmi.Residue) -> str:
    """Element in capitals, by the name where that leaves no doubt: without an element column CD could be cadmium."""
    if name in BACKBONE or residue.name in THREE_TO_ONE or (residue.name, name) == ("MSE", "SD"):
        return name.lstrip("0123456789")[:1].upper()
    return atom.element.name.upper()


def _letter(residue: gemmi.Residue, conformer: Mapping[str, gemmi.Atom], parents: Mapping[str, str]) -> str | None:
    """One-letter code of a residue of a chain; one that nobody knows is X if it has the backbone of an amino acid."""
    letter = one_letter(residue.name)
    if letter in (None, "X"):
        letter = one_letter(parents.get(str(residue), "")) or letter
    if letter is None and {"N", "CA", "C"} <= conformer.keys():
        unknown = gemmi.find_tabulated_residue(residue.name).kind is gemmi.ResidueKind.UNKNOWN
        return "X" if unknown else None
    return letter


def _full_sequence(structure: gemmi.Structure, subchain: str | None, built: Mapping[int, str]) -> str:
    """One-letter sequence of the entity a subchain belongs to, empty if the file does not give it.

    Of several residues that the file allows at one place the one that is `built` is taken.
    """
    entity = next((entity for entity in structure.entities if subchain in entity.subchains), None)
    if entity is None:
        return ""
    allowed = [[one_letter(name) or "X" for name in item.split(",")] for item in entity.full_sequence]
    return "".join(built[i] if built.get(i) in letters else letters[0] for i, letters in enumerate(allowed))
