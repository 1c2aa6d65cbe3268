"""The header of MRC2014/CCP4 files: axis order, voxel size and place of a map.

The place is ambiguous in the format. Here, as in ChimeraX with .mrc files: ORIGIN (words 50–52, Å) if any of it is
non-zero, otherwise the start indices times the voxel size, never both. (EMDB sets the start indices alone. CCP4's
programs, and ChimeraX with .map and .ccp4 files, know nothing of ORIGIN: `nstart` is their rule.)
"""

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import gemmi
import numpy as np
from jaxtyping import Float
from mrcfile.dtypes import HEADER_DTYPE

from deepmm_jax.errors import MapError


Placement = Literal["auto", "origin", "nstart", "zero"]

MAX_VOXELS = 1024**3
"""Larger maps are refused: 4 GB as float32, and none of that size holds density of one molecule only."""

STEP_RANGE = (0.1, 20.0)
"""Voxel sizes in Å outside this range are a slip in the header (0.01 Å: the cell was never set)."""

_VALUES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
_OTHER_MODES = {3: "complex integers", 4: "a Fourier transform", 16: "colours", 101: "4-bit integers"}
_IMOD_STAMP, _IMOD_SIGNED_BYTES = 1146047817, 1
_UNSIGNED_BYTES = np.dtype("u1")
_PLAUSIBLE_ORIGIN = 1e5
_PLAUSIBLE_START = 10
_BEST_DEFLATION = 1000
"""Bytes that one byte of a gzipped file can stand for, unless all of them are alike (then 1,030)."""


@dataclass(frozen=True, kw_only=True)
class MapHeader:
    """What the 1024 bytes say; vectors run along X, Y, Z whatever the order in the file. Lengths in Å, angles in °.

    `axes` gives the direction (0, 1, 2 for X, Y, Z) of sections, rows and columns; values begin at byte `offset`.
    `angles` are those of the cell, 90° if the words make no cell. `notes` are sentences on what the reader should know.
    """

    path: Path
    mode: int
    byte_order: Literal["<", ">"]
    values: np.dtype
    axes: tuple[int, int, int]
    file_shape: tuple[int, int, int]
    offset: int
    cell: Float[np.ndarray, "3"]
    angles: Float[np.ndarray, "3"]
    step: Float[np.ndarray, "3"]
    origin: Float[np.ndarray, "3"]
    start: Float[np.ndarray, "3"]
    sampling: Float[np.ndarray, "3"]
    space_group: int
    labels: tuple[str, ...]
    has_map_word: bool
    notes: tuple[str, ...]

    @property
    def to_xyz(self) -> tuple[int, int, int]:
        """Axes of the stored array in the order X, Y, Z."""
        x, y, z = (self.axes.index(direction) for direction in range(3))
        return x, y, z

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along X, Y, Z."""
        nx, ny, nz = (self.file_shape[axis] for axis in self.to_xyz)
        return nx, ny, nz

    @property
    def oblique(self) -> bool:
        """Whether the cell is not right-angled."""
        return bool(np.abs(self.angles - 90).max() > 0.01)

    @property
    def lattice(self) -> Float[np.ndarray, "3 3"]:
        """The columns are the steps from voxel to voxel along the axes of the cell, Å (a on X, b in the XY plane)."""
        return (
            np.array(gemmi.UnitCell(*self.step, *self.angles).orth.mat.tolist()) if self.oblique else np.diag(self.step)
        )

    def place(self, rule: Placement = "auto") -> tuple[Float[np.ndarray, "3"], str]:
        """Position of the first voxel in Å and the rule that gave it: `origin`, `nstart` or `zero`.

        `auto` takes ORIGIN if it is non-zero and plausible, else the start indices if they are, else zero. ORIGIN means
        nothing in files without the word MAP.
        """
        if rule == "auto":
            usable = self.has_map_word and self._has_origin
            rule = "origin" if usable else "nstart" if self._has_start else "zero"
        if rule == "origin":
            if not np.isfinite(self.origin).all():
                raise MapError(f"{self.path}: ORIGIN is {self.origin.tolist()} Å; use --origin nstart or zero")
            return self.origin, rule
        return (self.lattice @ self.start if rule == "nstart" else np.zeros(3)), rule

    def doubts(self) -> list[str]:
        """Sentences on words that `auto` passes over: two different places, or values that make no sense."""
        first = self.lattice @ self.start
        if self.has_map_word and self._has_origin:
            if not self._has_start or np.abs(first - self.origin).max() < 0.1 * self.step.min():
                return []
            return [
                f"{self.path}: ORIGIN puts the first voxel at {_triple(self.origin)} Å, the start indices at "
                f"{_triple(first)} Å; ORIGIN counts, as in ChimeraX, unless you give --origin nstart"
            ]
        doubts = []
        if self.has_map_word and self.origin.any() and not np.abs(self.origin).max() <= 1e-6:
            doubts.append(f"{self.path}: ORIGIN {_triple(self.origin)} Å makes no sense and counts as not set")
        if self.start.any() and not self._has_start:
            doubts.append(f"{self.path}: start indices {_triple(self.start)} make no sense and count as not set")
        return doubts

    @property
    def _has_origin(self) -> bool:
        return bool(np.isfinite(self.origin).all() and 1e-6 < np.abs(self.origin).max() < _PLAUSIBLE_ORIGIN)

    @property
    def _has_start(self) -> bool:
        largest = max(*self.shape, *self.sampling)  # a small box may be cut from the far end of a large cell
        return bool(0 < np.abs(self.start).max() <= _PLAUSIBLE_START * largest)


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[io.BufferedIOBase]:
    """The bytes of a file, gunzipped if need be; what goes wrong while it is open becomes a MapError."""
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            yield gzip.GzipFile(fileobj=file) if packed else file
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise MapError(f"{path}: cannot be read ({reason})") from error


def parse_header(stream: io.BufferedIOBase, path: Path) -> MapHeader:
    """The header at the start of an open (gunzipped) file, judged before any value is read; raises MapError."""
    raw = stream.read(HEADER_DTYPE.itemsize)
    if not raw:
        raise MapError(f"{path}: is empty")
    has_map_word = raw[208:211] == b"MAP"
    words, byte_order = _in_byte_order(raw) if len(raw) == HEADER_DTYPE.itemsize else (None, "<")
    if words is None and has_map_word and len(raw) == HEADER_DTYPE.itemsize:
        raise MapError(f"{path}: mode and axis order make no sense in either byte order; the header is damaged")
    # The word came with MRC 2000. Without it everything else has to be in order.
    if words is None or not (has_map_word or _is_old_map(words)):
        raise MapError(f"{path}: has no 'MAP' at byte 208, so it is not an MRC or CCP4 map")
    notes = []
    if not has_map_word:
        notes.append(f"{path}: has no 'MAP' at byte 208 and is read as an MRC file from before 2000")

    mode = int(words["mode"])
    if mode not in _VALUES:
        raise MapError(
            f"{path}: mode {mode} ({_OTHER_MODES.get(mode, 'unknown')}) is not a density; use 0, 1, 2, 6 or 12"
        )
    values = np.dtype(_VALUES[mode]).newbyteorder(byte_order)
    # Bytes were unsigned before MRC 2000, and in IMOD's files before 2012: without its flag for signed ones, they are.
    imod_stamp, imod_flags = np.frombuffer(raw, f"{byte_order}i4", count=2, offset=152)
    if mode == 0 and (not has_map_word or (imod_stamp == _IMOD_STAMP and not imod_flags & _IMOD_SIGNED_BYTES)):
        values = _UNSIGNED_BYTES

    columns, rows, sections = (int(words[name]) for name in ("nx", "ny", "nz"))
    if min(columns, rows, sections) < 4:
        raise MapError(f"{path}: {columns} × {rows} × {sections} voxels are not a volume")
    if columns * rows * sections > MAX_VOXELS:
        raise MapError(
            f"{path}: {columns} × {rows} × {sections} voxels are more than {MAX_VOXELS}; crop the map to the molecule"
        )
    space_group = int(words["ispg"])
    if 401 <= space_group <= 630 and int(words["mz"]) != sections:  # a stack may hold one volume
        raise MapError(f"{path}: is a stack of volumes (space group word {space_group}); extract one of them")
    extended = int(words["nsymbt"])
    if extended < 0:
        raise MapError(f"{path}: the extended header has {extended} bytes; the file is damaged")
    offset, length = HEADER_DTYPE.itemsize + extended, columns * rows * sections * values.itemsize
    size, at_most = _size(stream, path)
    if extended and size == HEADER_DTYPE.itemsize + length:  # as in EMD-1042 and others
        notes.append(f"{path}: the extended header of {extended} bytes that the header announces is not there")
        offset = HEADER_DTYPE.itemsize
    needed = offset + length
    if at_most < needed and at_most == size:
        raise MapError(f"{path}: holds {size} of the {needed} bytes that its header announces; it is truncated")
    if at_most < needed:
        raise MapError(
            f"{path}: is too small a file for the {needed} bytes that it announces; it is truncated or empty"
        )

    fast_to_slow = [int(words[name]) - 1 for name in ("mapc", "mapr", "maps")]
    if max(fast_to_slow) < 0:  # never set, as by some old programs
        fast_to_slow = [0, 1, 2]
    starts = [int(words[name]) for name in ("nxstart", "nystart", "nzstart")]
    x, y, z = (fast_to_slow.index(direction) for direction in range(3))
    shape = np.array([(columns, rows, sections)[axis] for axis in (x, y, z)], float)
    # The cell belongs to mx, my, mz grid intervals; a map cut out of it has fewer voxels.
    sampling = np.array([words[name] for name in ("mx", "my", "mz")], float)
    if sampling.min() < 0:
        notes.append(f"{path}: grid intervals {_triple(sampling)} make no sense; the voxels are counted where below 0")
    sampling = np.where(sampling > 0, sampling, shape)
    cell = np.array([words["cella"][name] for name in "xyz"], float)
    step = cell / sampling
    if not ((step > STEP_RANGE[0]) & (step < STEP_RANGE[1])).all():
        raise MapError(f"{path}: voxel size {step.tolist()} Å makes no sense; set the cell in the header")
    angles = np.array([words["cellb"][name] for name in ("alpha", "beta", "gamma")], float)
    if not _make_a_cell(angles):
        if angles.any():
            notes.append(f"{path}: cell angles {_triple(angles)}° make no cell and are taken as 90°")
        angles = np.full(3, 90.0)
    labels = tuple(filter(None, (bytes(label).decode("latin-1").strip("\0 ") for label in words["label"])))
    if any("chimera rotation" in label.lower() for label in labels):
        notes.append(f"{path}: a 'Chimera rotation' label asks for a turn that is not applied; resample the map")
    return MapHeader(
        path=path,
        mode=mode,
        byte_order=byte_order,
        values=values,
        axes=(fast_to_slow[2], fast_to_slow[1], fast_to_slow[0]),
        file_shape=(sections, rows, columns),
        offset=offset,
        cell=cell,
        angles=angles,
        step=step,
        origin=np.array([words["origin"][name] for name in "xyz"], float),
        start=np.array([starts[axis] for axis in (x, y, z)], float),
        sampling=sampling,
        space_group=space_group,
        labels=labels,
        has_map_word=has_map_word,
        notes=tuple(notes),
    )


def _in_byte_order(raw: bytes) -> tuple[np.void | None, Literal["<", ">"]]:
    """The header words in the byte order in which they make sense; the machine stamp says which to try first."""
    orders: tuple[Literal["<", ">"], ...] = (">", "<") if raw[212] == 0x11 else ("<", ">")
    for order in orders:
        words = np.frombuffer(raw, HEADER_DTYPE.newbyteorder(order))[0]
        axes = sorted(int(words[name]) for name in ("mapc", "mapr", "maps"))
        if axes in ([1, 2, 3], [0, 0, 0]) and 0 <= words["mode"] < 256:
            return words, order
    return None, "<"


def _is_old_map(words: np.void) -> bool:
    """Whether a header without the word MAP can only be that of a map all the same."""
    voxels = [int(words[name]) for name in ("nx", "ny", "nz")]
    axes_are_set = int(words["mapc"]) > 0
    return axes_are_set and int(words["mode"]) in (0, 1, 2) and all(0 < n < 2**16 for n in voxels)


def _size(stream: io.BufferedIOBase, path: Path) -> tuple[int, int]:
    """Length of the (gunzipped) file in bytes, and what it is at most: that of gzipped files is mere hearsay."""
    size = path.stat().st_size
    if not isinstance(stream, gzip.GzipFile):
        return size, size
    with path.open("rb") as file:
        file.seek(-4, io.SEEK_END)
        return int.from_bytes(file.read(4), "little"), _BEST_DEFLATION * size


def _make_a_cell(angles: Float[np.ndarray, "3"]) -> bool:
    """Whether three angles in degrees can meet in a corner, none of them flat."""
    if not ((angles > 10) & (angles < 170)).all():
        return False
    cosines = np.cos(np.radians(angles))
    return bool(1 - (cosines**2).sum() + 2 * cosines.prod() > 0.01)


def _triple(values: Float[np.ndarray, "3"]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"
