"""Texts however they are stored, and a sentence for what is none."""

import gzip
from pathlib import Path

import pytest

from deepmm_jax.errors import DeepMMError, SequenceError
from deepmm_jax.text import read_text


@pytest.mark.parametrize(
    "stored",
    [
        b"a\nb\n",
        b"a\r\nb\r\n",
        b"a\rb\r",
        b"\xef\xbb\xbfa\nb\n",
        "a\r\nb\r\n".encode("utf-16"),
        gzip.compress(b"a\r\nb\r\n", mtime=0),
    ],
    ids=["plain", "crlf", "cr", "mark", "utf-16", "gzip"],
)
def test_the_same_text_is_read_however_it_is_stored(tmp_path: Path, stored: bytes):
    path = tmp_path / "text"
    path.write_bytes(stored)
    assert read_text(path, SequenceError, "a text") == "a\nb\n"


def test_an_odd_byte_is_kept_as_a_mark(tmp_path: Path):
    (tmp_path / "latin").write_bytes(b"prot\xe9ine\n")
    assert read_text(tmp_path / "latin", SequenceError, "a text") == "prot\ufffdine\n"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (b" \r\n\n", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (b"text\x00text", "is a binary file"),
        (gzip.compress(bytes(range(256)), mtime=0), "is a binary file"),
        (gzip.compress(b"ACDEFGHIKL" * 1000, mtime=0)[:-10], "cannot be read"),
        (gzip.compress(b"ACDEFGHIKL" * 1000, mtime=0)[:20] + b"damage" * 9, "cannot be read"),
        (b"\x1f\x8bno gzip", "cannot be read"),
    ],
)
def test_what_is_no_text_is_refused_in_one_sentence(tmp_path: Path, content: bytes, complaint: str):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(SequenceError, match=complaint) as refusal:
        read_text(path, SequenceError, "a text")
    assert str(path) in str(refusal.value) and str(refusal.value).endswith("give a text")
    assert "\n" not in str(refusal.value)


def test_a_missing_file_and_a_folder_raise_the_error_of_the_caller(tmp_path: Path):
    for path, reason in ((tmp_path, "Is a directory"), (tmp_path / "absent", "No such file")):
        with pytest.raises(DeepMMError, match=reason) as refusal:
            read_text(path, DeepMMError, "a text")
        assert type(refusal.value) is DeepMMError


def test_a_large_binary_file_is_not_read_whole(tmp_path: Path):
    path = tmp_path / "map.mrc"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)  # a hole: no such memory, and no such disk either
    with pytest.raises(SequenceError, match="binary"):
        read_text(path, SequenceError, "a text")
