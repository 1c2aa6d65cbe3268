"""Readers for secondary structure predicted elsewhere (SPIDER, PSIPRED, NetSurfP …; the paper uses SPIDER2).

The order of the probabilities differs between programs (C E H in SPIDER2's `.spd3`, C H E in SPIDER3's `.spd33` and in
PSIPRED's `.ss2`), so columns go by their header and formats by their content, never by the file's name.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import Float

from deepmm_jax.constants import AMINO_ACIDS, SECONDARY_STRUCTURES
from deepmm_jax.errors import SequenceError
from deepmm_jax.sequence.assignments import is_structure, read_assignments
from deepmm_jax.text import read_text


STATE_OF_LETTER = {"H": 0, "G": 0, "I": 0, "E": 1, "B": 1} | dict.fromkeys("CTSLP-._~", 2)
"""Three states from DSSP's eight; P is the polyproline helix of DSSP 4."""

LETTER_COLUMNS = ("aa", "seq", "residue")
STATE_COLUMNS = ("ss3", "ss", "q3", "ss8", "q8")
PROBABILITY_COLUMNS = (
    ("p(h)", "p(e)", "p(c)"),  # SPIDER2, SPIDER3
    ("p3h", "p3e", "p3c"),  # SPOT-1D-Single
    ("p[q3_h]", "p[q3_e]", "p[q3_c]"),  # NetSurfP
    ("q3(h)", "q3(e)", "q3(c)"),  # NetSurfP-3.0 as BioLib writes it
    ("helix", "sheet", "coil"),  # Porter5
)
"""Header names (lower case) of Helix, Sheet, Coil."""
COLUMNS = {"id", *LETTER_COLUMNS, *STATE_COLUMNS, *chain.from_iterable(PROBABILITY_COLUMNS)}

TAGS = ("AA:", "Pred:")
"""Line starts in PSIPRED's `.horiz`."""

JPRED_TAG = re.compile(r">?jnetpred\b")
JPRED_PROBABILITIES = (("JNETPROPH", "JNETPROPE", "JNETPROPC"), ("JNETPROPH", "JNETPROPB", "JNETPROPC"))
"""Lines of Helix, Sheet, Coil in JPred's `.jnet` and `.concise`, of the server and of the program by itself."""

WANTED = "a secondary-structure prediction"

PSIPRED_ROW = re.compile(r"\d+ +[A-Za-z] +[A-Za-z] +[-+.\dEe]+ +[-+.\dEe]+ +[-+.\dEe]+")


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """P(Helix, Sheet, Coil) per residue, shape (n, 3), and the letters it is for, where the file says."""

    letters: str | None
    probabilities: Float[np.ndarray, "n 3"]


def read_secondary_structure(path: Path, letters: str) -> Float[np.ndarray, "n 3"]:
    """P(Helix, Sheet, Coil) of every residue of `letters`, shape (n, 3), rows summing to 1.

    Reads what `read_predictions` reads; of several predictions in a file the one for `letters` is taken.
    X, in either place, agrees with every residue. Raises SequenceError where the prediction is for another sequence.
    """
    predictions = read_predictions(path)
    disagreements = [_disagreement(prediction, letters) for prediction in predictions]
    fitting = [p.probabilities for p, wrong in zip(predictions, disagreements, strict=True) if wrong is None]
    if not fitting:
        wrong = disagreements[0] if len(predictions) == 1 else f"none of its {len(predictions)} predictions fits"
        raise SequenceError(
            f"{path}: {wrong} (sequence {letters[:10]}…, {len(letters)} residues); "
            "give the prediction made for this sequence"
        )
    if any(not np.array_equal(fitting[0], other) for other in fitting[1:]):
        raise SequenceError(
            f"{path}: {len(fitting)} different predictions fit the sequence {letters[:10]}…; keep one of them"
        )
    return fitting[0]


def read_predictions(path: Path) -> list[Prediction]:
    """Read all predictions of a file; the format is told by the content.

    - a table with a header that names its columns: SPIDER2 `.spd3`, SPIDER3 `.spd33`, Porter5 `.ss3`,
      SPOT-1D-Single and NetSurfP `.csv` (several sequences, grouped by `id`)
    - PSIPRED `.ss2` (index, residue, state, P of coil, helix, strand) and `.horiz` (hard states only)
    - JPred `.jnet`, `.concise` and `.concise.fasta`
    - strings of states, each alone or after its sequence, with or without `>` headers; S4PRED's `.fas`
    - DSSP (classic, mmCIF), STRIDE and the PDB's `ss.txt`

    Probabilities are preferred to the hard states, which become 0 and 1. Raises SequenceError.
    """
    text = read_text(path, SequenceError, WANTED)
    try:
        assigned = read_assignments(text)
    except (ValueError, RuntimeError) as error:
        raise SequenceError(f"{path} cannot be read as mmCIF ({str(error).splitlines()[0]}); give {WANTED}") from error
    if assigned:
        return [_prediction(path, letters, _hard(path, states)) for letters, states in assigned]
    if is_structure(text):
        raise SequenceError(f"{path} is a structure without DSSP's assignment; give {WANTED}")
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    rows = [line for line in lines if not line.startswith("#")]
    if not rows:
        raise SequenceError(f"{path} holds no residue; give {WANTED}")
    header = [name.strip().lower() for name in _fields(path, lines[0])]
    if any(name in header for name in LETTER_COLUMNS) and _columns(header):
        return _read_table(path, header, [_fields(path, line) for line in lines[1:]])
    if PSIPRED_ROW.fullmatch(rows[0]):
        return _read_psipred(path, rows)
    if any(line.startswith("Pred:") for line in rows):
        parts = {tag: "".join(row.removeprefix(tag).strip() for row in rows if row.startswith(tag)) for tag in TAGS}
        return [_prediction(path, parts["AA:"] or None, _hard(path, parts["Pred:"]))]
    if any(JPRED_TAG.match(line) for line in rows):
        return [_read_jpred(path, rows)]
    if rows[0][0].isdigit():
        raise SequenceError(f"{path} is a table without a header; add the line that names its columns, P(H) and so on")
    return _read_strings(path, rows)


def _fields(path: Path, line: str) -> list[str]:
    try:
        return next(csv.reader([line])) if "," in line else line.split()
    except csv.Error as error:
        raise SequenceError(f"{path}: the line {line[:20]!r}… is no row of a table ({error}); give {WANTED}") from error


def _columns(header: Sequence[str]) -> tuple[int, ...]:
    """Columns of P(Helix, Sheet, Coil), or the one column of hard states, or nothing."""
    for names in (*PROBABILITY_COLUMNS, *((name,) for name in STATE_COLUMNS)):
        if all(name in header for name in names):
            return tuple(header.index(name) for name in names)
    return ()


def _read_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Prediction]:
    twice = next((name for name in header if name in COLUMNS and header.count(name) > 1), None)
    if twice is not None:
        raise SequenceError(f"{path}: its header names the column {twice!r} more than once; mend the file")
    letter = next(header.index(name) for name in LETTER_COLUMNS if name in header)
    columns = _columns(header)
    groups: dict[str, list[Sequence[str]]] = {}
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise SequenceError(
                f"{path}: row {number} has {len(row)} columns but its header {len(header)}; mend the file"
            )
        groups.setdefault(row[header.index("id")] if "id" in header else "", []).append(row)
    if not groups:
        raise SequenceError(f"{path} has a header but no residues; give {WANTED}")
    predictions = []
    for group in groups.values():
        letters = "".join(row[letter].strip() for row in group)
        if len(columns) == 1:
            values = _hard(path, "".join(row[columns[0]].strip() for row in group))
        else:
            values = _numbers(path, [[row[column] for column in columns] for row in group])
        predictions.append(_prediction(path, letters, values))
    return predictions


def _read_psipred(path: Path, rows: Sequence[str]) -> list[Prediction]:
    wrong = next((row for row in rows if not PSIPRED_ROW.fullmatch(row)), None)
    if wrong is not None:
        raise SequenceError(
            f"{path}: {wrong!r} is not a PSIPRED row (index, residue, state, three numbers); mend the file"
        )
    fields = [row.split() for row in rows]
    for number, (index, *_) in enumerate(fields, start=1):
        if int(index) != number:
            raise SequenceError(f"{path}: row {number} is for residue {index}; give all residues, in order from 1")
    coil_helix_strand = _numbers(path, [row[3:] for row in fields])
    return [_prediction(path, "".join(row[1] for row in fields), coil_helix_strand[:, [1, 2, 0]])]


def _read_jpred(path: Path, rows: Sequence[str]) -> Prediction:
    """Lines `name:v,v,v,` or records `>name`; the sequence is named QUERY, where it is there at all."""
    values: dict[str, list[str]] = {}
    name = ""
    for row in rows:
        if row.startswith(">"):
            name = row[1:].strip()
        elif ":" in row:
            tag, _, listed = row.partition(":")
            values[tag.split(";")[-1].strip()] = [value.strip() for value in listed.rstrip(", ").split(",")]
        else:
            values.setdefault(name.split(";")[-1], []).extend(row)
    letters = "".join(values["QUERY"]) if "QUERY" in values else None
    for tags in JPRED_PROBABILITIES:
        if values.keys() >= set(tags):
            if len({len(values[tag]) for tag in tags}) > 1:
                raise SequenceError(f"{path}: its lines {', '.join(tags)} differ in length; mend the file")
            outputs = _numbers(path, [values[tag] for tag in tags]).T  # of a network: they do not sum to 1
            return _prediction(path, letters, outputs / np.maximum(outputs.sum(axis=1, keepdims=True), 1e-6))
    return _prediction(path, letters, _hard(path, "".join(values.get("jnetpred", []))))


def _read_strings(path: Path, rows: Sequence[str]) -> list[Prediction]:
    blocks: list[list[str]] = []
    for row in rows:
        if row.startswith(">") or not blocks:
            blocks.append([])
        if not row.startswith(">"):
            blocks[-1].append(row)
    predictions = []
    for block in blocks:
        numbers = [row for row in block if row[0].isdigit()]
        strings = [row.upper() for row in block if not row[0].isdigit()]
        # A sequence before the states gives itself away by a letter that is no state.
        half = 0 if STATE_OF_LETTER.keys() >= set("".join(strings)) else len(strings) // 2
        letters, states = "".join(strings[:half]), "".join(strings[half:])
        if len(numbers) == 3:  # S4PRED: coil, helix, strand
            values = _numbers(path, [numbers[i].split() for i in (1, 2, 0)]).T
        else:
            values = _hard(path, states)
        predictions.append(_prediction(path, letters or None, values))
    return predictions


def _hard(path: Path, states: str) -> Float[np.ndarray, "n 3"]:
    odd = next((i for i, state in enumerate(states.upper()) if state not in STATE_OF_LETTER), None)
    if odd is not None:
        raise SequenceError(
            f"{path}: {states[odd]!r} at position {odd + 1} is no secondary structure; use {SECONDARY_STRUCTURES}"
        )
    return np.eye(3, dtype=np.float32)[np.array([STATE_OF_LETTER[state] for state in states.upper()], np.int32)]


def _numbers(path: Path, rows: Sequence[Sequence[str]]) -> Float[np.ndarray, "rows columns"]:
    try:
        return np.array(rows, dtype=np.float32)
    except ValueError as error:
        raise SequenceError(f"{path}: a probability is not a number ({error}); mend the file") from error


def _prediction(path: Path, letters: str | None, values: Float[np.ndarray, "n 3"]) -> Prediction:
    """The prediction with rows that sum to 1 (programs round to three digits)."""
    if len(values) == 0:
        raise SequenceError(f"{path} holds the prediction of no residue; give {WANTED}")
    if letters is not None and len(letters) != len(values):
        raise SequenceError(f"{path}: {len(letters)} residues but {len(values)} states; mend the file")
    wrong = ~((values >= 0).all(axis=1) & (values <= 1).all(axis=1) & (values.sum(axis=1) > 0.5))
    if wrong.any():
        first = int(wrong.argmax())
        raise SequenceError(
            f"{path}: residue {first + 1} has the probabilities {values[first].tolist()} (Helix, Sheet, Coil), "
            "which are no probabilities; mend the file"
        )
    return Prediction(letters=letters, probabilities=values / values.sum(axis=1, keepdims=True))


def _disagreement(prediction: Prediction, letters: str) -> str | None:
    """What tells the prediction from the sequence, or None."""
    if len(prediction.probabilities) != len(letters):
        return f"it holds {len(prediction.probabilities)} residues, the sequence {len(letters)}"
    for i, (there, here) in enumerate(zip((prediction.letters or "").upper(), letters, strict=False), start=1):
        if there != here and there in AMINO_ACIDS and here in AMINO_ACIDS:
            return f"residue {i} is {there}, in the sequence {here}"
    return None
