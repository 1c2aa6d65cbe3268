"""Where data and the example lie; files that appear whole or not at all, whatever stops the program (`atomic_path`)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path


_PREFIX = ".partial-"
_LONGEST_NAME = 255


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `path`, of the same suffix, whose file becomes `path` when the block ends.

    Until then an earlier file of that name stays as it was, and it stays if the block raises; the temporary file is
    then removed. The bytes are on the disk before the name is, so that neither a full disk nor a power cut leaves a
    stump. A symbolic link keeps pointing at what is replaced; a device or pipe is yielded itself.
    Raises OSError with `path` as its file name.
    """
    path = Path(path)
    if is_stream(path):  # asked before it is resolved: what /dev/stdout resolves to need not exist
        yield path
        return
    target = path.resolve()
    prefix = f"{_PREFIX}{os.getpid()}-"
    end = os.fsencode(target.name)[len(prefix) - _LONGEST_NAME :].decode(errors="ignore")
    partial = target.with_name(prefix + end)
    try:
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(partial, target)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(partial), partial):
            raise type(error)(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        with suppress(OSError):  # not there: moved to its place, or never made
            partial.unlink()


def is_stream(path: Path) -> bool:
    """Whether a path is a device or pipe, such as /dev/stdout: it takes bytes, but cannot be replaced or read again."""
    return path.exists() and not path.is_file() and not path.is_dir()


def remove_partial(directory: Path) -> None:
    """Remove what runs that were killed in the middle of a write have left in a folder."""
    for partial in directory.glob(f"{_PREFIX}*"):
        partial.unlink(missing_ok=True)


def data_directory() -> Path:
    """Where the training and benchmark data lie: DEEPMM_JAX_DATA, or `../shared/data`."""
    return Path(os.environ.get("DEEPMM_JAX_DATA") or "../shared/data")


def example_path(name: str) -> Path:
    """A file of the example, inside the installed package or in the repository."""
    package = Path(str(files("deepmm_jax")))
    inside = package / "examples" / name
    return inside if inside.is_file() else package.parent / "examples" / name
