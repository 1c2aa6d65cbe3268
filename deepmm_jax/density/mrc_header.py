"""The header of MRC2014/CCP4 files: axis order, voxel size and place of a map.

The place is ambiguous in the format. Here, as in ChimeraX: ORIGIN (words 50–52, Å) if any of it is non-zero, otherwise
the start indices times the voxel size, never both.
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
_PLAUSIBLE_ORIGIN = 1e5
_PLAUSIBLE_START = 10


@dataclass(frozen=True, kw_only=True)
class MapHeader:
    """What the 1024 bytes say; vectors run along X, Y, Z whatever the order in the file. Lengths in Å, angles in °.

    `axes` gives the direction (0, 1, 2 for X, Y, Z) of sections, rows and columns; values begin at byte `offset`.
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
    space_group: int
    labels: tuple[str, ...]

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

    def place(self, rule: Placement = "auto") -> tuple[Float[np.ndarray, "3"], str]:
        """Position of the first voxel in Å and the rule that gave it: `origin`, `nstart` or `zero`.

        `auto` takes ORIGIN if it is non-zero and plausible, else the start indices if they are, else zero.
        """
        origin_is_set = bool(np.isfinite(self.origin).all() and 1e-6 < np.abs(self.origin).max() < _PLAUSIBLE_ORIGIN)
        start_is_set = bool(0 < np.abs(self.start).max() <= _PLAUSIBLE_START * max(self.shape))
        if rule == "auto":
            rule = "origin" if origin_is_set else "nstart" if start_is_set else "zero"
        if rule == "origin":
            if not np.isfinite(self.origin).all():
                raise MapError(f"{self.path}: ORIGIN is {self.origin.tolist()} Å; use --origin nstart or zero")
            return self.origin, rule
        return (self.start * self.step if rule == "nstart" else np.zeros(3)), rule


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
    if len(raw) < HEADER_DTYPE.itemsize or raw[208:211] != b"MAP":
        raise MapError(f"{path}: has no 'MAP' at byte 208, so it is not an MRC or CCP4 map")
    words, byte_order = _in_byte_order(raw, path)

    mode = int(words["mode"])
    if mode not in _VALUES:
        raise MapError(
            f"{path}: mode {mode} ({_OTHER_MODES.get(mode, 'unknown')}) is not a density; use 0, 1, 2, 6 or 12"
        )
    values = np.dtype(_VALUES[mode]).newbyteorder(byte_order)
    # Bytes of IMOD files were unsigned before 2012: without its flag for signed ones, they still are.
    imod_stamp, imod_flags = np.frombuffer(raw, f"{byte_order}i4", count=2, offset=152)
    if mode == 0 and imod_stamp == _IMOD_STAMP and not imod_flags & _IMOD_SIGNED_BYTES:
        values = np.dtype("u1")

    columns, rows, sections = (int(words[name]) for name in ("nx", "ny", "nz"))
    if min(columns, rows, sections) < 4:
        raise MapError(f"{path}: {columns} × {rows} × {sections} voxels are not a volume")
    if columns * rows * sections > MAX_VOXELS:
        raise MapError(
            f"{path}: {columns} × {rows} × {sections} voxels are more than {MAX_VOXELS}; crop the map to the molecule"
        )
    space_group = int(words["ispg"])
    if 401 <= space_group <= 630:
        raise MapError(f"{path}: is a stack of volumes (space group word {space_group}); extract one of them")
    extended = int(words["nsymbt"])
    offset = HEADER_DTYPE.itemsize + extended
    needed = offset + columns * rows * sections * values.itemsize
    if extended < 0:
        raise MapError(f"{path}: the extended header has {extended} bytes; the file is damaged")
    size = path.stat().st_size
    if not isinstance(stream, gzip.GzipFile) and size < needed:
        raise MapError(f"{path}: holds {size} of the {needed} bytes that its header announces; it is truncated")

    fast_to_slow = [int(words[name]) - 1 for name in ("mapc", "mapr", "maps")]
    if max(fast_to_slow) < 0:  # never set, as by some old programs
        fast_to_slow = [0, 1, 2]
    starts = [int(words[name]) for name in ("nxstart", "nystart", "nzstart")]
    x, y, z = (fast_to_slow.index(direction) for direction in range(3))
    shape = np.array([(columns, rows, sections)[axis] for axis in (x, y, z)], float)
    # The cell belongs to mx, my, mz grid intervals; a map cut out of it has fewer voxels.
    sampling = np.array([words[name] for name in ("mx", "my", "mz")], float)
    cell = np.array([words["cella"][name] for name in "xyz"], float)
    with np.errstate(all="ignore"):
        step = cell / np.where(sampling > 0, sampling, shape)
    if not ((step > STEP_RANGE[0]) & (step < STEP_RANGE[1])).all():
        raise MapError(f"{path}: voxel size {step.tolist()} Å makes no sense; set the cell in the header")
    angles = np.array([words["cellb"][name] for name in ("alpha", "beta", "gamma")], float)
    if angles.any() and np.abs(angles - 90).max() > 0.01:
        raise MapError(f"{path}: cell angles {angles.tolist()}° are not 90°; resample the map on an orthogonal grid")
    labels = (bytes(label).decode("latin-1").strip("\0 ") for label in words["label"])
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
        space_group=space_group,
        labels=tuple(filter(None, labels)),
    )


def _in_byte_order(raw: bytes, path: Path) -> tuple[np.void, Literal["<", ">"]]:
    """The header words in the byte order in which they make sense; the machine stamp says which to try first."""
    orders: tuple[Literal["<", ">"], ...] = (">", "<") if raw[212] == 0x11 else ("<", ">")
    for order in orders:
        words = np.frombuffer(raw, HEADER_DTYPE.newbyteorder(order))[0]
        axes = sorted(int(words[name]) for name in ("mapc", "mapr", "maps"))
        if axes in ([1, 2, 3], [0, 0, 0]) and 0 <= words["mode"] < 256:
            return words, order
    raise MapError(f"{path}: mode and axis order make no sense in either byte order; the header is damaged")
