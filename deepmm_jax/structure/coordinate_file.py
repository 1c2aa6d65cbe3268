"""Coordinate files as people have them, brought into the shape that gemmi reads: PDB, mmCIF and mmJSON, gzip too.

What gemmi would take without a word is refused or mended here: coordinates and residue numbers that are no numbers (it
reads them as 0), several chains under one name (it keeps the first of the residues that share a number), blank chains
told apart by their segment, the residue names of molecular dynamics, and mmCIF tables that lack a column.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby, product
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase, digits
from typing import NamedTuple

import gemmi

from deepmm_jax.errors import StructureError
from deepmm_jax.text import read_text


WANTED = "a PDB or mmCIF file with a model of a protein"

PDB_RECORDS = ("ATOM", "HETATM", "TER", "MODEL", "ENDMDL", "END", "SEQRES", "MODRES")

FORCE_FIELD_NAMES = (
    dict.fromkeys(("HSD", "HSE", "HSP", "HID", "HIE", "HIP", "HISD", "HISE", "HISH"), "HIS")
    | dict.fromkeys(("CYX", "CYM", "CYS2"), "CYS")
    | {"ASH": "ASP", "ASPH": "ASP", "GLH": "GLU", "GLUH": "GLU", "LYN": "LYS", "LYSN": "LYS", "ARN": "ARG"}
)
"""Protonation states of CHARMM, AMBER and GROMACS: the residue that each is."""

RESIDUE_NUMBER = re.compile(r" *[-+]?[0-9]+ *|[A-Z][0-9A-Z]{3}", re.IGNORECASE)
"""Decimal, or hybrid-36 after 9999."""

LETTERS = ascii_uppercase + ascii_lowercase + digits


class AtomRow(NamedTuple):
    """What tells the atoms of a file apart, as text: `chain` and `segment` name the chain, `residue` is its number."""

    model: str
    chain: str
    segment: str
    residue: str
    location: str
    is_calpha: bool
    position: str


def parse_structure(path: Path) -> gemmi.Structure:
    """The file as gemmi sees it, every chain under a name of its own.

    Raises StructureError if the file is missing, empty, binary or damaged, or holds no atom.
    """
    text = read_text(path, StructureError, WANTED)
    start = text[:1000].lstrip().lower()
    if start.startswith("<"):
        raise StructureError(f"{path} is an XML or HTML file; give {WANTED}")
    try:
        if start.startswith("{"):
            structure = gemmi.read_structure_string(text, format=gemmi.CoorFormat.Mmjson)
        elif start.startswith("data_") or "_atom_site." in text:
            structure = gemmi.make_structure_from_block(_mended_block(path, text))
        else:
            structure = gemmi.read_pdb_string("\n".join(_mended_pdb(path, text.split("\n"))))
    except (RuntimeError, ValueError, IndexError) as error:
        reason = next(iter(str(error).splitlines()), "it cannot be parsed")
        raise StructureError(f"{path} is not a PDB or mmCIF file that can be read ({reason}); give {WANTED}") from error
    if not any(model.count_atom_sites() for model in structure):
        raise StructureError(f"{path} holds no atoms; give {WANTED}")
    for other, name in FORCE_FIELD_NAMES.items():
        structure.rename_residues(other, name)
    structure.merge_chain_parts()
    structure.setup_entities()
    structure.assign_label_seq_id()
    return structure


def chain_names(rows: Sequence[AtomRow], width: int) -> list[str]:
    """A name of at most `width` letters for the chain of every atom: its own, unless that stands for another chain.

    A chain begins anew where the Cα of a residue comes again, elsewhere and not as an alternate location. Chains
    without a name are told apart by their segment.
    """
    taken = {row.chain for row in rows}
    names: dict[tuple[str, str, int], str] = {}
    copies: dict[tuple[str, str], int] = defaultdict(int)
    calphas: dict[tuple[str, str, int, str, str], str] = {}
    model = None
    out: list[str] = []
    for _, residue in groupby(rows, key=lambda row: row[:4]):
        atoms = list(residue)
        if atoms[0].model != model:
            model = atoms[0].model
            copies.clear()
            calphas.clear()
        name = atoms[0].chain
        chain = (name, "" if name else atoms[0].segment)
        found = {(a.residue, a.location): a.position for a in reversed(atoms) if a.is_calpha}
        if any(calphas.get((*chain, copies[chain], *place), position) != position for place, position in found.items()):
            copies[chain] += 1
        key = (*chain, copies[chain])
        calphas |= {(*key, *place): position for place, position in found.items()}
        if key not in names:
            names[key] = name if name and name not in names.values() else _free_name(name, taken, width)
            taken.add(names[key])
        out += [names[key]] * len(atoms)
    return out


def _free_name(name: str, taken: set[str], width: int) -> str:
    """The first chain name that is not taken: A2, A3 … for another A, else one or two letters."""
    numbered = [f"{name}{i}" for i in range(2, 10 ** max(width - len(name), 0))] if name else []
    return next(n for n in (*numbered, *LETTERS, *map("".join, product(LETTERS, repeat=2))) if n not in taken)


def _mended_pdb(path: Path, lines: Sequence[str]) -> list[str]:
    """The records that matter here, whole and with chain names of their own; raises StructureError for bad columns."""
    kept, atoms, rows = [], [], []
    model = ""
    for number, line in enumerate(lines, start=1):
        record = line[:6].strip().upper()
        if record not in PDB_RECORDS:
            continue
        if record in ("ATOM", "HETATM"):
            _check_columns(path, number, line)
            atoms.append(len(kept))
            rows.append(
                AtomRow(
                    model=model,
                    chain=line[20:22].strip(),
                    segment=line[72:76].strip(),
                    residue=line[22:27],
                    location=line[16],
                    is_calpha=record == "ATOM" and line[12:16].strip() == "CA" and line[17:20].strip() != "CA",
                    position=line[30:54],
                )
            )
        elif record == "MODEL":
            model = line
        kept.append(line.ljust(80))
    for i, row, name in zip(atoms, rows, chain_names(rows, width=2), strict=True):
        if name != row.chain:
            kept[i] = f"{kept[i][:20]}{name:>2s}{kept[i][22:]}"
    return kept


def _check_columns(path: Path, number: int, line: str) -> None:
    """Raise StructureError where the coordinates of an atom, or the number of an amino acid, are not in their columns.

    The many waters of a simulation may go without: programs number them by stars or in hexadecimals.
    """
    try:
        for begin in (30, 38, 46):
            float(line[begin : begin + 8])
    except ValueError as error:
        raise StructureError(
            f"{path}: line {number} has {line[30:54].strip()!r} where x, y and z are to stand (columns 31–54); "
            "mend the file or give mmCIF"
        ) from error
    if not RESIDUE_NUMBER.fullmatch(line[22:26]) and _is_of_protein(line[12:16].strip(), line[17:20].strip()):
        raise StructureError(
            f"{path}: line {number} has {line[22:26]!r} where the residue's number is to stand (columns 23–26); "
            "mend the file or give mmCIF"
        )


def _is_of_protein(atom: str, residue: str) -> bool:
    known = residue in FORCE_FIELD_NAMES or gemmi.find_tabulated_residue(residue).is_amino_acid()
    return known or (atom == "CA" and residue != "CA")


def _mended_block(path: Path, text: str) -> gemmi.cif.Block:
    """The data block with the atoms, its table complete; raises StructureError if there is not just one."""
    blocks = [block for block in gemmi.cif.read_string(text) if block.find_loop("_atom_site.Cartn_x")]
    if len(blocks) != 1:
        held = f"holds {len(blocks)} data blocks with atoms" if blocks else "holds no atoms"
        raise StructureError(f"{path} {held}; give {WANTED}")
    (block,) = blocks
    loop = block.find_loop("_atom_site.Cartn_x").get_loop()

    def column(*tags: str) -> list[str]:
        values = next((block.find_values(f"_atom_site.{tag}") for tag in tags if f"_atom_site.{tag}" in loop.tags), ())
        return [gemmi.cif.as_string(value) for value in values] or [""] * loop.length()

    def fill(tag: str, values: Iterable[str]) -> None:
        loop.add_columns([f"_atom_site.{tag}"], value="?")
        added = block.find_values(f"_atom_site.{tag}")
        for row, value in enumerate(values):
            added[row] = gemmi.cif.quote(value or "?")

    names = column("label_atom_id", "auth_atom_id")
    chains = column("auth_asym_id", "label_asym_id")
    needed = {
        "id": map(str, range(1, loop.length() + 1)),
        "type_symbol": (name.lstrip(digits)[:1] for name in names),
        "label_alt_id": [""] * loop.length(),
        "label_asym_id": chains,
    }
    for tag in [tag for tag in needed if f"_atom_site.{tag}" not in loop.tags]:
        fill(tag, needed[tag])
    rows = [
        AtomRow(
            model=model,
            chain=chain,
            segment="",
            residue=residue + code,
            location=location,
            is_calpha=record != "HETATM" and name == "CA" and component != "CA",
            position=" ".join(position),
        )
        for record, model, chain, residue, code, location, name, component, *position in zip(
            column("group_PDB"),
            column("pdbx_PDB_model_num"),
            chains,
            column("auth_seq_id", "label_seq_id"),
            column("pdbx_PDB_ins_code"),
            column("label_alt_id"),
            names,
            column("label_comp_id", "auth_comp_id"),
            *map(column, ("Cartn_x", "Cartn_y", "Cartn_z")),
            strict=True,
        )
    ]
    unique = chain_names(rows, width=4)
    if unique != chains:
        if "_atom_site.auth_asym_id" in loop.tags:
            loop.remove_column("_atom_site.auth_asym_id")
        fill("auth_asym_id", unique)
    return block
