"""Stages of a run: each is timed, shown to an observer, and kept so that a later run need not compute it again."""

import hashlib
import logging
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar, runtime_checkable

import numpy as np

from deepmm_jax.files import atomic_path, remove_partial


log = logging.getLogger(__name__)

DEPENDENCIES = ("jax", "jaxlib", "flax", "numpy", "scipy", "numba", "openmm")
"""Packages that compute."""

P = ParamSpec("P")
T = TypeVar("T")


@runtime_checkable  # the tests check arguments
class Observer(Protocol):
    """Told of every stage: before it runs with `value` None, and afterwards with its value and the seconds it took.

    `restored` says that the value was read from the store.
    """

    def __call__(self, stage: str, value: Any, seconds: float, *, restored: bool = False) -> None: ...


def no_observer(stage: str, value: Any, seconds: float, *, restored: bool = False) -> None:
    """Watch nothing."""


@dataclass(frozen=True)
class StageStore:
    """Results of stages in a folder, one file a stage, named by the hash of everything that the stage was given.

    A file begins with the SHA-256 of the rest. Pickles run code when they are read: keep to folders you trust.
    """

    directory: Path

    def get(self, stage: str, key: str) -> Any:
        """The kept value, or None; a damaged file counts as absent."""
        try:
            with self._file(stage, key).open("rb") as stream:
                stated = stream.read(hashlib.sha256().digest_size)
                start = stream.tell()
                if hashlib.file_digest(stream, "sha256").digest() != stated:
                    return None
                stream.seek(start)
                return pickle.load(stream)
        except Exception:  # what another version wrote can make pickle raise anything
            return None

    def put(self, stage: str, key: str, value: Any) -> None:
        """Keep a value; the file appears whole or not at all. Earlier results of the same stage go. Raises OSError."""
        self.directory.mkdir(parents=True, exist_ok=True)
        remove_partial(self.directory)
        path = self._file(stage, key)
        with atomic_path(path) as partial, partial.open("wb+") as stream:
            stream.write(bytes(hashlib.sha256().digest_size))
            pickle.dump(value, stream, protocol=pickle.HIGHEST_PROTOCOL)
            stream.seek(hashlib.sha256().digest_size)
            state = hashlib.file_digest(stream, "sha256").digest()
            stream.seek(0)
            stream.write(state)
        for old in self.directory.glob(f"{stage.replace(' ', '-')}.*.pickle"):
            if old != path:
                old.unlink()

    def _file(self, stage: str, key: str) -> Path:
        return self.directory / f"{stage.replace(' ', '-')}.{key[:16]}.pickle"


@dataclass(frozen=True, kw_only=True)
class StageRunner:
    """Runs the pipeline's stages for one observer, with or without a store."""

    observer: Observer = no_observer
    store: StageStore | None = None
    reuse: bool = False
    """Read kept results (`--resume`); they are written whenever there is a store."""

    def __call__(self, stage: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(*args, **kwargs)`, or what this program made of the same function and arguments before.

        A value that cannot be written is used all the same, with a warning in the log.
        """
        self.observer(stage, None, 0.0)
        started = time.perf_counter()
        name = (function.__module__, function.__qualname__)
        key = "" if self.store is None else digest((program_digest(), *name, args, kwargs))
        value = self.store.get(stage, key) if self.store is not None and self.reuse else None
        restored = value is not None
        if value is None:
            value = function(*args, **kwargs)
            if self.store is not None:
                try:
                    self.store.put(stage, key, value)
                except OSError as error:  # the model at the end is small, and there may be room for it
                    log.warning("stage %s is not kept for --resume: %s", stage, error)
        self.observer(stage, value, time.perf_counter() - started, restored=restored)
        return value


NOT_PROGRAM = {"__pycache__", "checkpoints", "examples"}
"""Folders in the library's; the latter two are there where it is installed, and networks have digests of their own."""


@cache
def program_digest() -> str:
    """SHA-256 of the library's files and of the versions of what its numbers depend on: an edited program is another.

    Takes some milliseconds, once in a process.
    """
    package = Path(__file__).resolve().parent
    files = {path.relative_to(package): path for path in package.rglob("*") if path.is_file()}
    sources = {str(name): path.read_bytes() for name, path in files.items() if not NOT_PROGRAM & set(name.parts)}
    state = hashlib.sha256()
    for name in sorted(sources):
        state.update(f"{name} {len(sources[name])} ".encode())
        state.update(sources[name])
    for name in DEPENDENCIES:
        state.update(f"{name} {version(name)} ".encode())
    return state.hexdigest()


def digest(value: Any) -> str:
    """SHA-256 of a value built of dataclasses, arrays, containers, paths (by content), text and numbers."""
    state = hashlib.sha256()
    _feed(state, value)
    return state.hexdigest()


def _feed(state: Any, value: Any) -> None:
    state.update(type(value).__name__.encode())
    if is_dataclass(value) and not isinstance(value, type):
        for f in fields(value):
            state.update(f.name.encode())
            _feed(state, getattr(value, f.name))
    elif isinstance(value, np.ndarray):
        state.update(f"{value.dtype}{value.shape}".encode())
        state.update(np.ascontiguousarray(value).data)
    elif isinstance(value, dict):
        _feed(state, [item for name in sorted(value) for item in (name, value[name])])
    elif isinstance(value, list | tuple):
        state.update(str(len(value)).encode())
        for item in value:
            _feed(state, item)
    elif isinstance(value, Path):
        for path in sorted(p for p in value.rglob("*") if p.is_file()) if value.is_dir() else [value]:
            content = path.read_bytes()
            state.update(f"{path.name} {len(content)} ".encode())
            state.update(content)
    elif value is None or isinstance(value, str | int | float | bool | np.generic):
        state.update(repr(value).encode())
    else:
        raise TypeError(f"cannot hash a {type(value).__name__} for the stage store")
