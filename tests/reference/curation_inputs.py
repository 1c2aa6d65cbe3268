"""Structures of every kind that a filter is about, made from the example and from ubiquitin, and a small archive."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from deepmm_jax.structure.chain import Chain
from deepmm_jax.training.curation.pieces import cut_out


ROOT = Path(__file__).resolve().parents[2]
KINASE = ROOT / "examples" / "1ake_A.pdb.gz"
UBIQUITIN = ROOT / "tests" / "golden" / "structures" / "1ubi_A.pdb.gz"
BASE = "ATOM   9000  P    DA B   1      90.000  90.000  90.000  1.00 20.00           P"
LIGAND = "HETATM 9001  C1  GOL A 900      80.000  80.000  80.000  1.00 20.00           C"
WATER = "HETATM 9002  O   HOH A 901      70.000  70.000  70.000  1.00 20.00           O"


def pdb_lines(path: Path) -> list[str]:
    """The atoms of a gzipped PDB file."""
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    return [line for line in lines if line.startswith("ATOM")]


def write_lines(path: Path, *records: str) -> None:
    path.write_text("\n".join([*records, "END"]) + "\n")


def part(chain: Chain, first: int, last: int, name: str = "A", shift: float = 0.0) -> Chain:
    """Residues `first` to `last` (from 0, the last left out) of a chain, moved along x by `shift` (Å)."""
    piece = cut_out(chain, first, last)
    moved = piece.positions + np.array([shift, 0, 0], np.float32)
    return replace(piece, name=name, positions=moved, full_sequence=None, register=None)


@dataclass
class SmallArchive:
    """Files by their path, how many bytes each of the next answers may have, and what was asked (path, first byte)."""

    files: dict[str, bytes] = field(default_factory=dict)
    cut: list[int] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)
    ranges: bool = True
    asked: list[tuple[str, int]] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving() -> Iterator[SmallArchive]:
    """An archive on the loopback interface; an answer that is cut announces its full length and breaks off."""
    archive = SmallArchive()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = archive.files.get(self.path)
            asked = self.headers.get("Range", "bytes=0-")
            first = int(asked.removeprefix("bytes=").removesuffix("-"))
            archive.asked.append((self.path, first))
            if archive.errors:
                self.send_error(archive.errors.pop(0))
                return
            if content is None:
                self.send_error(404)
                return
            if first and archive.ranges:
                if first >= len(content):
                    self.send_error(416)
                    return
                content = content[first:]
            self.send_response(206 if first and archive.ranges else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: archive.cut.pop(0)] if archive.cut else content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    archive.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield archive
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
