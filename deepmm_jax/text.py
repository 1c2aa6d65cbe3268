"""Text files as people have them: gzipped, with any line ends, a byte-order mark or an odd byte."""

import codecs
import gzip
import zlib
from pathlib import Path

from deepmm_jax.errors import DeepMMError


_CONTROL = bytes({*range(32)} - {*b"\t\n\v\f\r"})
"""Bytes that no text holds."""
_START = 1 << 16
"""Bytes that tell a text from anything else, before a large file is read whole."""


def read_text(path: Path, error: type[DeepMMError], wanted: str) -> str:
    """The text of a file, of a gzipped one too, with `\\n` as its line end; bytes that are not UTF-8 become U+FFFD.

    Raises `error` for a file that is missing, empty, damaged or binary; the sentence ends in "give " + `wanted`.
    """
    try:
        with path.open("rb") as stream:
            gzipped = stream.read(2) == b"\x1f\x8b"
        with gzip.open(path) if gzipped else path.open("rb") as stream:
            start = stream.read(_START)
            utf16 = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            if not utf16 and len(start.translate(None, _CONTROL)) < len(start):
                raise error(f"{path} is a binary file; give {wanted}")
            content = start + stream.read()
    except (OSError, EOFError, zlib.error) as reason:
        raise error(f"{path} cannot be read ({getattr(reason, 'strerror', None) or reason}); give {wanted}") from reason
    text = content.decode("utf-16" if utf16 else "utf-8-sig", errors="replace")
    if not text.strip():
        raise error(f"{path} is empty; give {wanted}")
    return text.replace("\r\n", "\n").replace("\r", "\n")
