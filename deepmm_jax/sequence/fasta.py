"""FASTA files: protein sequences as people have them, and their profiles (input of section 2.4)."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
from jaxtyping import Float

from deepmm_jax.constants import AMINO_ACIDS
from deepmm_jax.errors import SequenceError
from deepmm_jax.sequence.assignments import is_structure
from deepmm_jax.sequence.predictions import read_secondary_structure
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.text import read_text


MINIMUM_LENGTH = 10
"""Shorter chains fit anywhere in a map."""

MAXIMUM_RECORDS = 1000
"""More are a database, not the chains of a map."""

RARE_LETTERS = "UOBZJ"
"""Selenocysteine, pyrrolysine and the ambiguous codes: read as X."""

NUCLEOTIDES = frozenset("ACGTUN")
NUCLEOTIDE_CODES = NUCLEOTIDES | frozenset("RYKMSWBDHV")
"""The bases and N for any of them; the codes for some of them."""
NUCLEOTIDE_SHARE = 0.9
"""Share of the bases above which letters that are all nucleotide codes are no protein; proteins have a quarter."""
AMBIGUOUS_SHARE, AMBIGUOUS_LENGTH = 0.5, 20
"""The same where all four bases occur, and the letters it takes."""

UNKNOWN_SHARE = 0.1
"""Share of X above which there is a warning."""

CLUSTAL_HEADER = re.compile(r"\s*CLUSTAL[WX]?\b")

WANTED = "a FASTA file with the protein's sequence"

PIR_HEADER = re.compile(r">[A-Z][A-Z0-9];")
"""Header of an entry whose next line is a title."""

COPIES = re.compile(r"\|Chains? ([^|]+)\|")
"""The chains that a record of the PDB stands for."""

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

    One record is one chain: a homomer's sequence stands there once per copy, and a name that comes again gets a number.
    Gzip, any line ends, lower case, blank lines, `;` comments, blanks, gaps (`-`, `.`) and a final `*` are accepted,
    and the title line of PIR entries is skipped; U, O, B, Z and J become X, with a warning, as there is for many X.
    Raises SequenceError for a file that is missing, empty, binary, a structure, an alignment or prose, and for a
    record that is empty, shorter than ten residues, made of nucleotides, or holds anything else than letters.
    """
    path = Path(path)
    text = read_text(path, SequenceError, WANTED)
    if is_structure(text):
        raise SequenceError(f"{path} is a structure, not a sequence; give {WANTED}")
    if CLUSTAL_HEADER.match(text):
        raise SequenceError(f"{path} is a Clustal alignment; give the sequences in FASTA")
    if ">" not in text and _is_prose(text):
        raise SequenceError(f"{path} reads as prose; give {WANTED} (if it is one, begin it with a > line)")
    blocks: list[tuple[str, list[str]]] = []
    lines = map(str.strip, text.split("\n"))
    for line in lines:
        if line.startswith(">"):
            blocks.append((line, []))
            if PIR_HEADER.match(line):
                next(lines, None)
        elif line and not line.startswith(";"):
            if not blocks:
                blocks.append((f">{path.name.split('.')[0]}", []))
            blocks[-1][1].append(line)
    if not blocks:
        raise SequenceError(f"{path} holds no sequence; give {WANTED}")
    if len(blocks) > MAXIMUM_RECORDS:
        raise SequenceError(f"{path} holds {len(blocks)} sequences; give only those of the chains in the map")
    names = _names([header for header, _ in blocks])
    records = [_record(path, name, "".join(letters)) for name, (_, letters) in zip(names, blocks, strict=True)]
    copies = Counter(record.letters for record in records)
    for i, (record, (header, _)) in enumerate(zip(records, blocks, strict=True)):
        listed = COPIES.search(header)
        if listed and listed[1].count(",") >= copies[record.letters]:
            warning = f"{path}: record {record.name!r} stands for the chains {listed[1]}; repeat it once per copy"
            records[i] = replace(record, warnings=(*record.warnings, warning))
    return records


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


def _is_prose(text: str) -> bool:
    """Whether a text is words: several on a line, of different lengths, not in capitals (sequences stand in tens)."""
    lines = [line.split() for line in text.split("\n") if not line.startswith(";")]
    return any(len({len(word) for word in words[:-1]}) > 1 and not "".join(words).isupper() for words in lines)


def _names(headers: list[str]) -> list[str]:
    """The first word of every header (of a PDB header its entity, such as 1AKE_1), made unique by a number."""
    names: list[str] = []
    for i, header in enumerate(headers, start=1):
        word = next(iter(PIR_HEADER.sub(">", header)[1:].split()), f"sequence_{i}")
        name = word.split("|")[0] if COPIES.search(header) else word
        again = (f"{name}_{n}" for n in count(2))
        names.append(name if name not in names else next(n for n in again if n not in names))
    return names


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
    bases = [letter for letter in letters if letter in NUCLEOTIDES]
    few = len(set(bases)) <= 2 and set(letters) <= NUCLEOTIDES  # can be a repeat, such as the one of silk
    all_four = len(set(bases) - {"N"}) == 4 and len(letters) >= AMBIGUOUS_LENGTH
    share = AMBIGUOUS_SHARE if all_four else NUCLEOTIDE_SHARE
    if not few and NUCLEOTIDE_CODES.issuperset(letters) and len(bases) >= share * len(letters):
        kind = "RNA" if "U" in bases and "T" not in bases else "DNA"
        raise SequenceError(
            f"{where} is made of nucleotides ({letters[:10]}…), so it is {kind}; remove it or give the protein's "
            "sequence (if it is a protein, say so by an X at its end)"
        )
    if len(letters) < MINIMUM_LENGTH:
        raise SequenceError(f"{where} has {len(letters)} residues; at least {MINIMUM_LENGTH} are needed")
    warnings = []
    if few:
        warnings.append(f"{where}: letters {', '.join(sorted(set(bases)))} only: taken as a protein, not nucleotides")
    rare = [f"{letter}{i + 1}" for i, letter in enumerate(letters) if letter in RARE_LETTERS]
    if rare:
        listed = ", ".join(rare[:5]) + "…" * (len(rare) > 5)
        warnings.append(f"{where}: read as X: {listed} ({len(rare)} of {len(letters)} residues)")
    unknown = letters.count("X")
    if unknown > UNKNOWN_SHARE * len(letters):
        warnings.append(f"{where}: nothing is known of {unknown} of its {len(letters)} residues (X)")
    return Record(name=name, letters=re.sub(f"[{RARE_LETTERS}]", "X", letters), warnings=tuple(warnings))
