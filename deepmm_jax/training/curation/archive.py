"""Files of the Protein Data Bank and the Electron Microscopy Data Bank over https, kept in a cache folder.

A download that breaks off goes on where it was, and a file counts as there only when it is whole and has its checksum.
"""

import errno
import fcntl
import gzip
import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
import zlib
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from urllib.parse import urlsplit

from deepmm_jax import __version__
from deepmm_jax.errors import ConfigError, DeepMMError
from deepmm_jax.training.curation.sources import EMDB_ID


STRUCTURE_URL = "https://files.rcsb.org/download/{id}.cif.gz"
MAP_URL = "https://ftp.ebi.ac.uk/pub/databases/emdb/structures/EMD-{id}/map/emd_{id}.map.gz"
BLOCK = 2**20
"""Bytes read at a time."""
GONE = (404, 410)
"""Answers that mean that there is no such entry."""


class ArchiveError(DeepMMError):
    """An archive cannot be reached or answers with an error; a later run may have more luck."""


class MissingEntryError(ArchiveError):
    """The archive has no such entry, or another file than the one that is listed."""


@dataclass(frozen=True, kw_only=True)
class Archive:
    """Where files are fetched from and kept; `{id}` in an address stands for the entry (of a map for its number).

    `attempts` are made at a file, the second after `pause` seconds, each later one after twice the pause before; a
    server that says nothing for `timeout` seconds has broken off. Raises ConfigError for an address that cannot be one.
    """

    cache: Path
    structure_url: str = STRUCTURE_URL
    map_url: str = MAP_URL
    attempts: int = 5
    pause: float = 2.0
    timeout: float = 60.0

    def __post_init__(self) -> None:
        for url in (self.structure_url, self.map_url):
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.netloc or "{id}" not in url:
                raise ConfigError(f"{url!r} is no address of an archive; give one such as {STRUCTURE_URL}")

    def structure(self, identifier: str, sha256: str = "") -> Path:
        """The mmCIF file of a PDB entry."""
        return self._fetch(self.structure_url.replace("{id}", identifier.lower()), self.cache / "structures", sha256)

    def map(self, identifier: str, sha256: str = "") -> Path:
        """The map of an EMDB entry such as EMD-1234."""
        found = EMDB_ID.fullmatch(identifier)
        if found is None:
            raise ConfigError(f"{identifier!r} is no EMDB identifier; give one such as EMD-1234")
        return self._fetch(self.map_url.replace("{id}", found[1]), self.cache / "maps", sha256)

    def _fetch(self, url: str, folder: Path, sha256: str) -> Path:
        """The file at an address, fetched unless the cache has it.

        Raises ArchiveError if the archive cannot be reached, and MissingEntryError if it has no file with `sha256`.
        """
        path = folder / Path(urlsplit(url).path).name
        if path.is_file() and (not sha256 or digest_of(path) == sha256):
            return path
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".part")
        with partial.open("ab+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if path.is_file() and os.path.samestat(path.stat(), os.fstat(stream.fileno())):
                return path  # another run has just fetched it
            self._complete(stream, url, sha256, path.suffix == ".gz")
            os.fsync(stream.fileno())
            partial.replace(path)
        return path

    def _complete(self, stream: BufferedRandom, url: str, sha256: str, gzipped: bool) -> None:
        """Append to a half file until it is whole and right."""
        for attempt in range(1, self.attempts + 1):
            resumed = stream.seek(0, 2) > 0
            try:
                self._append(stream, url)
            except urllib.error.HTTPError as error:
                if error.code in GONE:
                    raise MissingEntryError(f"{url} is not there (HTTP {error.code})") from error
                if error.code == 416:  # there is nothing after what we have, or it is another file
                    pass
                elif error.code < 500 and error.code != 429:
                    raise ArchiveError(
                        f"{url} is refused (HTTP {error.code} {error.reason}); check the address"
                    ) from error
                else:
                    self._wait(attempt, url, f"HTTP {error.code}", error)
                    continue
            except (
                OSError,
                http.client.HTTPException,
            ) as error:  # of the disk; URLError, time-outs and broken connections
                if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
                    raise ArchiveError(f"{url} does not fit into {self.cache}; free some space there") from error
                self._wait(attempt, url, str(getattr(error, "reason", "") or error or type(error).__name__), error)
                continue
            stream.flush()
            fault = _fault(stream, sha256, gzipped)
            if not fault:
                return
            stream.truncate(0)
            if not resumed:  # a half file may have been another version's
                raise MissingEntryError(f"{url} {fault}")
        raise ArchiveError(f"{url} is damaged each time it is fetched; try again later")

    def _append(self, stream: BufferedRandom, url: str) -> None:
        """Ask for what is missing, and take the whole file if the server sends that."""
        held = stream.seek(0, 2)
        headers = {"User-Agent": f"deepmm-jax/{__version__}", "Accept-Encoding": "identity"}
        if held:
            headers["Range"] = f"bytes={held}-"
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=self.timeout) as answer:
            if held and answer.status != 206:
                stream.truncate(0)
            announced = answer.headers.get("Content-Length")
            taken = 0
            while block := answer.read(BLOCK):
                taken += len(block)
                stream.write(block)
            if announced is not None and taken < int(announced):
                raise http.client.IncompleteRead(b"", int(announced) - taken)

    def _wait(self, attempt: int, url: str, reason: str, error: Exception) -> None:
        if attempt == self.attempts:
            raise ArchiveError(
                f"{url} cannot be fetched ({reason}); check the network and give the same command again, "
                f"what was fetched is kept in {self.cache}"
            ) from error
        time.sleep(self.pause * 2 ** (attempt - 1))


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fault(stream: BufferedRandom, sha256: str, gzipped: bool) -> str:
    """What is wrong with a file that was fetched, or ""."""
    stream.seek(0)
    if sha256:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
        return "" if found == sha256 else f"has the SHA-256 {found}, not {sha256} as listed"
    if gzipped:
        try:
            with gzip.GzipFile(fileobj=stream, mode="rb") as inner:
                while inner.read(BLOCK):
                    pass
        except (OSError, EOFError, zlib.error) as error:
            return f"is no whole gzip file ({error})"
    return ""
