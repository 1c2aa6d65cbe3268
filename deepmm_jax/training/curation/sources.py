"""Where chains come from: folders of structures, pairs of map and model, lists of identifiers.

A list is a CSV file with the column `structure` (a file beside the list, or a PDB identifier) and, as far as they are
known, `name`, `chain`, `split`, `map` (a file, or EMD-1234), `resolution` (Å), `notes` and SHA-256 sums:
`structure_sha256`, `map_sha256` of the files, `letters_sha256` of the chain's letters, which outlive the remediation
of the archives' files.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from deepmm_jax.errors import ConfigError, MapError, StructureError
from deepmm_jax.text import read_text


STRUCTURES = (".pdb", ".ent", ".cif", ".mmcif")
MAPS = (".mrc", ".map", ".ccp4")
PDB_ID = re.compile(r"[0-9][a-z0-9]{3}|pdb_[0-9a-z]{8}", re.IGNORECASE)
EMDB_ID = re.compile(r"EMD-([0-9]{4,6})", re.IGNORECASE)
SPLITS = ("train", "val", "test")
NOTES = frozenset("weak docked interpolated unmodelled related misfit deposited".split())
"""What may be said of a map (`training.real_maps.RealMap`)."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A structure, with the map that it lies in if there is one; `structure` and `map` are paths or identifiers.

    `chain` names the one that is wanted; with "" all are. `split` is "" where it is to be chosen. `resolution` in Å.
    """

    name: str
    structure: str
    chain: str = ""
    split: str = ""
    map: str = ""
    resolution: float | None = None
    notes: str = ""
    structure_sha256: str = ""
    map_sha256: str = ""
    letters_sha256: str = ""


COLUMNS = tuple(field.name for field in fields(Source))


def read_structure_folder(folder: Path) -> list[Source]:
    """All structure files of a folder, sorted; splits from its MANIFEST.csv (name, split) if there is one.

    Raises StructureError for a folder that is missing or holds no structure.
    """
    if not folder.is_dir():
        raise StructureError(f"{folder} is not a folder; give a folder of PDB or mmCIF files")
    files = sorted(path for path in folder.iterdir() if is_structure_file(path))
    if not files:
        raise StructureError(f"{folder} holds no structure; give a folder of {', '.join(STRUCTURES)} files (.gz too)")
    splits = {}
    if (manifest := folder / "MANIFEST.csv").is_file():
        rows = _rows(manifest, ("name",), StructureError)
        splits = {row["name"]: _split(row, f"{manifest}, {row['name']}") for row in rows}
    return [
        Source(name=(name := _stem(path, STRUCTURES)), structure=str(path), split=splits.get(name, ""))
        for path in files
    ]


def read_pairs(path: Path) -> list[Source]:
    """Pairs of map and model: a list with `map`, `structure` and `resolution`, or a folder with MANIFEST.csv.

    In place of `map` and `structure` a `name` is enough where files of that name lie beside the manifest.
    Raises MapError for a manifest that is missing or lacks a column, and for files that are.
    """
    manifest = path / "MANIFEST.csv" if path.is_dir() else path
    if not manifest.is_file():
        raise MapError(f"{manifest} does not exist; give a CSV file with the columns map, structure, resolution")
    rows = _rows(manifest, ("resolution",), MapError)
    out = []
    for number, row in enumerate(rows, start=2):
        where = f"{manifest}, line {number}"
        files = {
            column: row.get(column) or _beside(manifest, row.get("name", ""), column, endings, where)
            for column, endings in (("map", MAPS), ("structure", STRUCTURES))
        }
        out.append(_source(manifest, where, row | files, MapError))
    return out


def read_list(path: Path) -> list[Source]:
    """A list as the module describes it. Raises ConfigError for one that cannot be read or names what is not there."""
    rows = _rows(path, ("structure",), ConfigError)
    return [_source(path, f"{path}, line {number}", row, ConfigError) for number, row in enumerate(rows, start=2)]


def is_structure_file(path: Path) -> bool:
    """Whether there is a file that is named like a structure."""
    return path.is_file() and bool(_stem(path, STRUCTURES))


def write_list(sources: Sequence[Source]) -> str:
    """The text of a list that `read_list` reads."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for source in sources:
        values = {name: getattr(source, name) for name in COLUMNS}
        writer.writerow("" if value is None else value for value in values.values())
    return stream.getvalue()


def _source(path: Path, where: str, row: Mapping[str, str], error: type[ConfigError] | type[MapError]) -> Source:
    structure = _located(path, row["structure"], PDB_ID, f"{where}: structure", error)
    density = _located(path, row["map"], EMDB_ID, f"{where}: map", error) if row.get("map") else ""
    resolution = _number(row.get("resolution", ""), where, error)
    if density and resolution is None:
        raise error(f"{where}: the map {density} has no resolution; give it in Å")
    notes = row.get("notes", "")
    chain = row.get("chain", "")
    plain = _stem(Path(structure), STRUCTURES) or structure.lower()
    return Source(
        name=row.get("name") or (f"{plain}_{chain}" if chain else plain),
        structure=structure,
        chain=chain,
        split=_split(row, where),
        map=density,
        resolution=resolution,
        notes=notes if notes and NOTES.issuperset(notes.split(",")) else "",
        structure_sha256=row.get("structure_sha256", ""),
        map_sha256=row.get("map_sha256", ""),
        letters_sha256=row.get("letters_sha256", ""),
    )


def _rows(
    path: Path, required: Sequence[str], error: type[ConfigError] | type[MapError] | type[StructureError]
) -> list[dict[str, str]]:
    """The rows of a CSV file, without blanks around values."""
    reader = csv.DictReader(io.StringIO(read_text(path, error, f"a CSV file with {', '.join(required)}")))
    reader.fieldnames = columns = [name.strip() for name in reader.fieldnames or ()]
    for column in required:
        if column not in columns:
            held = ", ".join(columns) or "none"
            raise error(f"{path} has no column {column!r} (it has {held}); add it")
    rows = [{key: (value or "").strip() for key, value in row.items() if key} for row in reader]
    if not rows:
        raise error(f"{path} lists nothing; add a row for every structure")
    return rows


def _located(
    path: Path, value: str, identifier: re.Pattern[str], where: str, error: type[ConfigError] | type[MapError]
) -> str:
    """A file named in the list as a path, or the identifier."""
    file = path.parent / value
    if value and file.is_file():
        return str(file)
    if not identifier.fullmatch(value):
        known = "a PDB identifier" if identifier is PDB_ID else "an EMDB identifier such as EMD-1234"
        raise error(f"{where} is {value!r}, neither a file beside the list nor {known}; mend the row")
    return value


def _beside(path: Path, name: str, column: str, endings: Sequence[str], where: str) -> str:
    found = [
        f"{name}{end}{gz}" for end in endings for gz in ("", ".gz") if (path.parent / f"{name}{end}{gz}").is_file()
    ]
    if not name or not found:
        raise MapError(f"{where} has no {column}, and beside it lies no {name or 'NAME'}{endings[0]}; name the file")
    return found[0]


def _number(text: str, where: str, error: type[ConfigError] | type[MapError]) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError as reason:
        raise error(f"{where}: the resolution {text!r} is no number; give it in Å") from reason


def _split(row: Mapping[str, str], where: str) -> str:
    split = row.get("split", "")
    if split and split not in SPLITS:
        raise ConfigError(f"{where}: the split {split!r} is unknown; choose from {', '.join(SPLITS)}")
    return split


def _stem(path: Path, endings: Sequence[str]) -> str:
    """The name of a file without its ending; "" if that is another."""
    name = path.name.removesuffix(".gz")
    ending = next((end for end in endings if name.lower().endswith(end)), "")
    return name[: -len(ending)] if ending else ""
