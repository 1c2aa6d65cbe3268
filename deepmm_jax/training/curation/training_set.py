"""The folder of a training set, in the layout that the training code reads, and what came of each chain."""

import csv
import gzip
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from deepmm_jax.files import atomic_path
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.write import write_pdb
from deepmm_jax.training.curation.archive import digest_of
from deepmm_jax.training.curation.candidates import Candidate, chain_of
from deepmm_jax.training.curation.settings import CurationSettings
from deepmm_jax.training.curation.sources import Source, write_list


MANIFEST = "manifest.csv"
PROGRESS = "progress"
"""Folder inside the output for what is known of each chain; may be deleted when the set is made."""
SPLIT_OF_LABELS = {"train": "train", "val": "validation", "test": "test"}
"""Names of the splits in the table of secondary structures."""


def write_training_set(output: Path, candidates: Sequence[Candidate], settings: CurationSettings) -> None:
    """Write chains, tables and lists; the zoned maps are at hand. What an earlier run left over goes."""
    kept = [candidate for candidate in candidates if candidate.kept]
    _remove_others(output, {candidate.name for candidate in kept})
    digests = {}
    for candidate in kept:
        chain = _plain(chain_of(candidate, settings))
        digests[candidate.name] = _write_chain(output / "structures" / f"{candidate.name}.pdb.gz", chain)
        if candidate.source.map:
            _link(zoned_file(output, candidate.name), output / "maps" / f"{candidate.name}.mrc.gz")
            write_pdb(output / "maps" / f"{candidate.name}.pdb", [[chain]])
            _write_text(output / "maps" / f"{candidate.name}.fasta", f">{candidate.name}\n{candidate.sequence}\n")
    rows = [
        {"name": c.name, "chain": c.chain, "length": len(c.letters), "split": c.split, "cluster": c.cluster}
        for c in kept
    ]
    _write_text(output / "structures" / "MANIFEST.csv", _table(rows))
    train = [candidate.name for candidate in kept if candidate.split == "train"]
    _write_text(output / "structures" / "train.txt", "".join(f"{name} {digests[name]}\n" for name in train))
    _write_labels(output / "secondary_structure" / "secondary_structure.csv.gz", kept)
    if (output / "maps").is_dir():
        _write_maps(output, [candidate for candidate in kept if candidate.source.map])
    _write_text(output / "sources.csv", write_list([_as_source(candidate) for candidate in kept]))


def zoned_file(output: Path, name: str) -> Path:
    """Where the zoned map of a chain is kept, whether the chain will be in the set or not."""
    return output / PROGRESS / "maps" / f"{name}.mrc.gz"


def write_manifest(output: Path, candidates: Iterable[Candidate]) -> None:
    """A row for every chain that was looked at, with the reason why it is not in the set."""
    rows = [
        {
            "name": c.name,
            "kept": "yes" if c.kept else "no",
            "reason": c.reason,
            "split": c.split,
            "length": len(c.letters),
            "cluster": c.cluster,
            "structure": c.source.structure,
            "chain": c.chain,
            "map": c.source.map,
            "resolution": "" if c.source.resolution is None else f"{c.source.resolution:g}",
            "correlation": "" if c.correlation is None else f"{c.correlation:.3f}",
        }
        for c in candidates
    ]
    _write_text(output / MANIFEST, _table(rows))


def reasons(candidates: Iterable[Candidate]) -> dict[str, int]:
    """How many chains each kind of reason has cost, the most first; a kind is what stands before the colon."""
    counts: dict[str, int] = {}
    for candidate in candidates:
        if not candidate.kept:
            kind = candidate.reason.split(":")[0]
            counts[kind] = counts.get(kind, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _plain(chain: Chain) -> Chain:
    """The chain as a file of the set holds it: under the name A, numbered from 1, without the unseen residues."""
    numbers = np.arange(1, len(chain) + 1, dtype=np.int32)
    # The B column has room for 999.99.
    factors = np.clip(chain.b_factors, -99.99, 999.99)
    return replace(chain, name="A", numbers=numbers, b_factors=factors, full_sequence=None, register=None)


def _write_chain(path: Path, chain: Chain) -> str:
    """Write a gzipped PDB file whose bytes depend on the chain alone; its SHA-256."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "chain.pdb"
        write_pdb(plain, [[chain]])
        content = gzip.compress(plain.read_bytes(), mtime=0)
    if not path.is_file() or path.read_bytes() != content:  # else caches that go by the time would be made anew
        with atomic_path(path) as partial:
            partial.write_bytes(content)
    return sha256(content).hexdigest()


def _link(source: Path, target: Path) -> None:
    """A second name for a file, or a copy where the file system has but one name for each."""
    with atomic_path(target) as partial:
        try:
            os.link(source, partial)
        except OSError:
            shutil.copyfile(source, partial)


def _write_labels(path: Path, kept: Sequence[Candidate]) -> None:
    """The table that the predictor of secondary structure learns from."""
    rows = [
        {
            "id": c.name,
            "source": "deepmm-jax data",
            "split": SPLIT_OF_LABELS[c.split],
            "sequence": c.sequence,
            "ss3": c.states,
            "ss8": "",
            "scored": "",
        }
        for c in kept
    ]
    with atomic_path(path) as partial:
        partial.write_bytes(gzip.compress(_table(rows).encode(), mtime=0))


def _write_maps(output: Path, kept: Sequence[Candidate]) -> None:
    """The lists of real maps, to learn from (as `training/lists/real-maps.txt`) and of all; and settings for them."""
    lines = ["# name, group, resolution (Å), notes, SHA-256 of NAME.mrc.gz, SHA-256 of NAME.pdb\n"]
    for c in kept:
        if c.split != "test":
            files = (output / "maps" / f"{c.name}{ending}" for ending in (".mrc.gz", ".pdb"))
            facts = (c.name, c.cluster, c.source.resolution, c.source.notes or "deposited", *map(digest_of, files))
            lines.append(" ".join(map(str, facts)) + "\n")
    _write_text(output / "maps" / "real-maps.txt", "".join(lines))
    rows = [{"name": c.name, "resolution": f"{c.source.resolution:g}", "split": c.split} for c in kept]
    _write_text(output / "maps" / "MANIFEST.csv", _table(rows))
    unseen = sorted({c.cluster for c in kept if c.split == "val"})
    _write_text(
        output / "train.toml",
        "# For deepmm-jax train whole-map --config: the groups of real maps that validate.\n"
        f"[training]\nunseen_groups = {json.dumps(unseen)}\n",
    )


def _as_source(candidate: Candidate) -> Source:
    """The row of the list from which the chain can be had again."""
    file, source = candidate.file, candidate.source
    local = file is not None and str(file) == source.structure
    return replace(
        source,
        name=candidate.name,
        structure=str(file.resolve()) if local and file is not None else source.structure,
        map=str(Path(source.map).resolve()) if source.map and Path(source.map).is_file() else source.map,
        chain=candidate.chain,
        split=candidate.split,
        structure_sha256=digest_of(file) if file is not None else "",
        letters_sha256=sha256(candidate.letters.encode()).hexdigest(),
    )


def _remove_others(output: Path, names: set[str]) -> None:
    """Remove the files of chains that an earlier run kept in this folder and that are not in the set any more."""
    if not (output / MANIFEST).is_file():
        return
    with (output / MANIFEST).open(newline="") as stream:
        before = {row["name"] for row in csv.DictReader(stream)}
    for name in before - names:
        (output / "structures" / f"{name}.pdb.gz").unlink(missing_ok=True)
        for ending in (".mrc.gz", ".pdb", ".fasta"):
            (output / "maps" / f"{name}{ending}").unlink(missing_ok=True)


def _table(rows: Sequence[Mapping[str, object]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _write_text(path: Path, text: str) -> None:
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")
