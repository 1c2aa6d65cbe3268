"""FASTA files: protein sequences as people have them, and their profiles (input of section 2.4)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from deepmm_jax.constants import AMINO_ACIDS
from deepmm_jax.errors import SequenceError
from deepmm_jax.sequence.predictions import read_secondary_structure
from deepmm_jax.sequence.profile import SequenceProfile


MINIMUM_LENGTH = 10
"""Shorter chains fit anywhere in a map."""

RARE_LETTERS = "UOBZJ"
"""Selenocysteine, pyrrolysine and the ambiguous codes: read as X."""

NUCLEOTIDES = frozenset("ACGTUN")

Predictor = Callable[[str], Float[np.ndarray, "n 3"]]
"""Letters in, P(Helix, Sheet, Coil) per residue out."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One sequence: letters are the twenty amino acids and X; `warnings` says in sentences what was changed."""

    name: str
    letters: str
    warnings: tuple[str, ...] = ()


def read_fasta(path: str | Path) -> list[Record]:
    """Read every record of a FASTA file, or a bare sequence without a header (named after the file).

    Lower case, any line ends, blank lines, `;` comments, blanks, gaps (`-`, `.`) and a final `*` are accepted;
    U, O, B, Z and J become X, with a warning.
    Raises SequenceError for a file that is missing, empty or binary, and for a record that is empty, shorter than
    ten residues, made of nucleotides, or holds anything else than letters.
    """
    path = Path(path)
    blocks: list[tuple[str, list[str]]] = []
    for line in map(str.strip, _text(path).splitlines()):
        if line.startswith(">"):
            blocks.append((next(iter(line[1:].split()), f"sequence_{len(blocks) + 1}"), []))
        elif line and not line.startswith(";"):
            if not blocks:
                blocks.append((path.stem, []))
            blocks[-1][1].append(line)
    if not blocks:
        raise SequenceError(f"{path} is empty; give a FASTA file with the protein's sequence")
    return [_record(path, name, "".join(lines)) for name, lines in blocks]


def profiles_from_fasta(
    path: str | Path, secondary_structure: Predictor | str | Path | None
) -> tuple[list[SequenceProfile], list[str]]:
    """Profiles of all records of a FASTA file, and the warnings.

    `secondary_structure` is a predictor, a file with predictions (of all records), or None for nothing known.
    Raises SequenceError as `read_fasta` and `read_secondary_structure` do.
    """
    records = read_fasta(path)
    profiles = []
    for record in records:
        if secondary_structure is None:
            states = np.zeros((len(record.letters), 3), np.float32)
        elif isinstance(secondary_structure, str | Path):
            states = read_secondary_structure(Path(secondary_structure), record.letters)
        else:
            states = secondary_structure(record.letters)
        profiles.append(SequenceProfile(name=record.name, letters=record.letters, secondary_structure=states))
    return profiles, [warning for record in records for warning in record.warnings]


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SequenceError(f"{path} cannot be read ({error.strerror}); give a FASTA file") from error
    if re.search(rb"[\x00-\x08\x0e-\x1f]", content):
        raise SequenceError(f"{path} is a binary file; give a FASTA file, which is plain text")
    # Odd bytes may stand in a header; in a sequence they are refused with their position.
    return content.decode("utf-8-sig", errors="replace")


def _record(path: Path, name: str, text: str) -> Record:
    where = f"{path}: record {name!r}"
    letters = re.sub(r"[\s.-]", "", text.upper()).removesuffix("*")
    if not letters:
        raise SequenceError(f"{where} has no sequence; remove the record or add its residues")
    odd = re.search(rf"[^{AMINO_ACIDS}{RARE_LETTERS}X]", letters)
    if odd:
        raise SequenceError(
            f"{where} holds {odd.group()!r} at position {odd.start() + 1}; only one-letter amino-acid codes are allowed"
        )
    if len(set(letters)) > 2 and NUCLEOTIDES.issuperset(letters):  # two letters alone can be a repeat of Ala and Gly
        raise SequenceError(f"{where} is made of nucleotides ({letters[:10]}…); give the protein's sequence")
    if len(letters) < MINIMUM_LENGTH:
        raise SequenceError(f"{where} has {len(letters)} residues; at least {MINIMUM_LENGTH} are needed")
    rare = [f"{letter}{i + 1}" for i, letter in enumerate(letters) if letter in RARE_LETTERS]
    listed = ", ".join(rare[:5]) + "…" * (len(rare) > 5)
    return Record(
        name=name,
        letters=re.sub(f"[{RARE_LETTERS}]", "X", letters),
        warnings=(f"{where}: read as X: {listed} ({len(rare)} of {len(letters)} residues)",) if rare else (),
    )
