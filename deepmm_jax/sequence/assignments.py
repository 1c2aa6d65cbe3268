"""Secondary structure that a program assigned to a known structure, as letters and states: DSSP, STRIDE, the PDB's.

The blank that classic DSSP and the PDB's `ss.txt` write for coil is `-` here.
"""

import re
from collections.abc import Iterable

import gemmi

from deepmm_jax.constants import THREE_TO_ONE


Assignments = list[tuple[str, str]]
"""Letters and states of every chain, in the order of the file."""

DSSP_HEADER = re.compile(r"^ +# +RESIDUE AA STRUCTURE.*\n", re.MULTILINE)
DSSP_LOOP = "_dssp_struct_summary."


def read_assignments(text: str) -> Assignments:
    """The chains of a DSSP file (classic, or mmCIF of DSSP 4), a STRIDE file or an `ss.txt`; empty for anything else.

    Raises what gemmi does, ValueError or RuntimeError, for an mmCIF file that cannot be parsed.
    """
    header = DSSP_HEADER.search(text)
    if header:
        rows = [line.ljust(17) for line in text[header.end() :].split("\n") if line.strip()]
        # A lower-case letter is a cysteine in a bridge, ! a break of the chain.
        return _chains((row[11], "C" if row[13].islower() else row[13], row[16]) for row in rows if row[13] != "!")
    if DSSP_LOOP in text:
        tags = ("label_asym_id", "label_comp_id", "secondary_structure")
        tables = [block.find(DSSP_LOOP, list(tags)) for block in gemmi.cif.read_string(text)]
        return [
            chain
            for table in tables
            for chain in _chains((row.str(0), THREE_TO_ONE.get(row.str(1), "X"), row.str(2) or "-") for row in table)
        ]
    stride = [line.split() for line in text.split("\n") if line.startswith("ASG ")]
    if stride:
        return _chains((row[2], THREE_TO_ONE.get(row[1], "X"), row[5]) for row in stride if len(row) > 5)
    return _read_ss_txt(text) if re.search(r"^>.*:secstr *$", text, re.MULTILINE) else []


def is_structure(text: str) -> bool:
    """Whether a text is a PDB or mmCIF file with atoms."""
    return re.search(r"^(ATOM  |HETATM|_atom_site\.)", text, re.MULTILINE) is not None


def _chains(residues: Iterable[tuple[str, str, str]]) -> Assignments:
    """Residues (chain, letter, state) joined chain by chain."""
    chains: dict[str, list[tuple[str, str]]] = {}
    for chain, letter, state in residues:
        chains.setdefault(chain, []).append((letter, state.strip() or "-"))
    return [("".join(letters), "".join(states)) for letters, states in (zip(*c, strict=True) for c in chains.values())]


def _read_ss_txt(text: str) -> Assignments:
    """Records `>1ABC:A:sequence` and `>1ABC:A:secstr` in turn, with line ends that may lack their blanks."""
    records = [record.split("\n") for record in re.split(r"^>", text, flags=re.MULTILINE)[1:]]
    sequences = [lines[1:] for lines in records if lines[0].rstrip().endswith(":sequence")]
    states = [lines[1:] for lines in records if lines[0].rstrip().endswith(":secstr")]
    return [
        (
            "".join(letters),
            "".join(s.ljust(len(line)) for line, s in zip(letters, chain, strict=False)).replace(" ", "-"),
        )
        for letters, chain in zip(sequences, states, strict=False)
    ]
