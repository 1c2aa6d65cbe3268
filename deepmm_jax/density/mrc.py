"""Density maps in and out of MRC2014/CCP4 files (section 2.1)."""

import gzip
import io
import logging
import os
from pathlib import Path
from typing import Any, cast

import mrcfile
import numpy as np
from jaxtyping import Float

from deepmm_jax import __version__
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc_header import MapHeader, Placement, opened, parse_header
from deepmm_jax.density.resample import straighten
from deepmm_jax.density.scaling import LARGEST, contour_level
from deepmm_jax.errors import MapError
from deepmm_jax.files import atomic_path, is_stream


log = logging.getLogger(__name__)

_BLOCK = 2**25
"""Bytes read at a time."""

_MOST_SURPLUS = 2**28
"""Bytes after the values of a gzipped map that are read on to its checksum."""

_COARSE = 2.5
"""Voxels larger than this, in Å, are too coarse for a map at 5 Å."""


def read_map(path: str | os.PathLike[str], *, origin: Placement = "auto") -> DensityMap:
    """The map in a .mrc, .map or .ccp4 file, plain or gzipped, as float32 `data[x, y, z]` with step and origin in Å.

    Reads modes 0, 1, 2, 6 and 12 of either byte order. `origin` forces a placement rule (`MapHeader.place`).
    Values that are not finite become 0; a cell that is not right-angled is put on a right-angled grid (`straighten`);
    bytes are taken as unsigned where signed ones tear the map apart. Each of these is a warning in the log.
    Raises MapError if the file is missing, damaged, not a map, too large, or constant, or its values are too large.
    """
    header, density, notes, _ = _load(path, origin)
    for note in notes:
        log.warning("%s", note)
    log.info("%s: first voxel at (%.3f, %.3f, %.3f) Å by %s", path, *density.origin, density.placement)
    return density


def _load(path: str | os.PathLike[str], origin: Placement) -> tuple[MapHeader, DensityMap, list[str], int]:
    """Header, map, what the reader should know of them, and the number of values that are not finite."""
    with opened(path) as stream:
        header = parse_header(stream, Path(path))
        notes = list(header.notes) + (header.doubts() if origin == "auto" else [])
        data, n_bad = _read_values(stream, header)
        surplus = _surplus(stream, header.path)
    if surplus:
        notes.append(f"{path}: holds {surplus} bytes more than its header announces; they are left out")
    coarsest = float(header.step.max())
    if coarsest > _COARSE:
        notes.append(f"{path}: voxels of {coarsest:.4g} Å hold nothing finer than {2 * coarsest:.4g} Å")
    if n_bad:
        notes.append(f"{path}: {n_bad} values are not finite and are taken as 0")
    if data.min() == data.max():
        raise MapError(f"{path}: every voxel is {data.flat[0]:g}; the map is empty")
    largest = max(float(data.max()), -float(data.min()))
    if largest > LARGEST:
        raise MapError(f"{path}: holds a value of {largest:.4g}, more than {LARGEST:g}; divide the map by a constant")
    if header.values == np.int8 and _wraps(data):
        data[data < 0] += 256
        notes.append(f"{path}: its bytes make a map if they are unsigned, so they are taken as 0–255, not as -128–127")
    position, rule = header.place(origin)
    step = header.step
    if header.oblique:
        data, step, corner = straighten(data, header.lattice, str(path))
        position = position + corner
        angles, voxels = (x.join(f"{v:g}" for v in of) for x, of in ((", ", header.angles), (" × ", data.shape)))
        notes.append(
            f"{path}: cell angles {angles}°: resampled on a right-angled grid, {voxels} voxels of {step[0]:.4g} Å"
        )
    return header, DensityMap(data=data, step=step, origin=position, placement=rule), notes, n_bad


def _read_values(stream: io.BufferedIOBase, header: MapHeader) -> tuple[Float[np.ndarray, "nx ny nz"], int]:
    """Values as float32 along X, Y, Z, and how many of them were not finite and are 0 now.

    Section by section, since a large map fits into memory once but not three times.
    """
    try:
        data = np.empty(header.shape, np.float32)
    except MemoryError as error:
        raise MapError(f"{header.path}: {header.shape} voxels do not fit into memory; crop the map") from error
    as_stored = data.transpose(header.axes)
    sections, rows, columns = header.file_shape
    section = rows * columns * header.values.itemsize
    block = max(1, _BLOCK // section)
    stream.seek(header.offset)
    n_bad = 0
    for first in range(0, sections, block):
        count = min(block, sections - first)
        raw = stream.read(count * section)
        if len(raw) < count * section:
            held, whole = first * section + len(raw), sections * section
            raise MapError(f"{header.path}: holds {held} of {whole} bytes of values; it is truncated")
        values = np.frombuffer(raw, header.values).reshape(count, rows, columns)
        if header.values.kind == "f":
            finite = np.isfinite(values)
            if not finite.all():
                n_bad += values.size - int(np.count_nonzero(finite))
                values = np.where(finite, values, 0)
        as_stored[first : first + count] = values
    return data, n_bad


def _surplus(stream: io.BufferedIOBase, path: Path) -> int:
    """Bytes that follow the values. A gzipped file is read on to its end, since only there its checksum is compared."""
    if not isinstance(stream, gzip.GzipFile):
        return path.stat().st_size - stream.tell()
    count = 0
    while block := stream.read(_BLOCK):
        count += len(block)
        if count > _MOST_SURPLUS:
            raise MapError(f"{path}: holds {count} bytes and more beyond what its header announces; it is damaged")
    return count


def _wraps(data: Float[np.ndarray, "nx ny nz"]) -> bool:
    """Whether signed bytes jump from 127 to -128 where unsigned ones go smoothly on: they differ less by neighbours."""
    if data.min() >= 0:
        return False
    middle = data[:: max(1, len(data) // 16)]
    jumps = [float(np.abs(np.diff(way, axis=2)).sum()) for way in (middle, np.where(middle < 0, middle + 256, middle))]
    return jumps[1] < 0.9 * jumps[0]


def write_map(path: str | os.PathLike[str], density: DensityMap) -> None:
    """Write a map as mode 2 with ORIGIN in Å and zero start indices (gzipped if the name ends in .gz), all or nothing.

    Raises MapError if values are not finite, the folder cannot be written, `path` is a device or pipe, or the result is
    not valid MRC2014.
    """
    path = Path(path)
    if not np.isfinite(density.data).all():
        raise MapError(f"{path}: the map holds values that are not finite; it is not written")
    try:
        if is_stream(path):
            raise MapError(f"{path}: is a device or pipe, where no map can be written; give the name of a file")
        with atomic_path(path) as partial:
            with mrcfile.new(partial, compression="gzip" if path.suffix == ".gz" else None, overwrite=True) as mrc:
                mrc.set_data(np.ascontiguousarray(density.data.transpose(2, 1, 0), np.float32))
                mrc.set_volume()
                mrc.voxel_size = tuple(density.step)
                header = cast(np.recarray, mrc.header)
                header.origin = tuple(density.origin)
                header.label[0] = f"DeepMM-JAX {__version__}".encode()
            complaints = io.StringIO()
            if not mrcfile.validate(partial, print_file=complaints):
                raise MapError(f"{path}: cannot be written as MRC2014: {' '.join(complaints.getvalue().split())}")
    except OSError as error:
        raise MapError(f"{path}: cannot be written ({error.strerror or error})") from error


def describe_map(path: str | os.PathLike[str], *, origin: Placement = "auto") -> dict[str, Any]:
    """What `deepmm-jax info` prints of a map: header, placement, statistics and warnings, as JSON values (Å, degrees).

    Raises MapError as `read_map` does.
    """
    header, density, notes, n_bad = _load(path, origin)
    data = density.data
    mean = float(data.mean(dtype=np.float64))
    return {
        "path": str(path),
        "mode": header.mode,
        "byte_order": {"<": "little", ">": "big"}[header.byte_order],
        "axis_order": "".join("XYZ"[axis] for axis in reversed(header.axes)),
        "shape": list(density.shape),
        "voxel_size": density.step.round(6).tolist(),
        "cell": header.cell.round(4).tolist(),
        "angles": header.angles.round(4).tolist(),
        "origin_words": [word if np.isfinite(word) else None for word in header.origin.tolist()],
        "start_words": header.start.astype(int).tolist(),
        "space_group": header.space_group,
        "labels": list(header.labels),
        "placement": density.placement,
        "first_voxel": density.origin.round(4).tolist(),
        "last_voxel": density.to_xyz(np.array(density.shape) - 1).round(4).tolist(),
        "minimum": float(data.min()),
        "maximum": float(data.max()),
        "mean": mean,
        "standard_deviation": sum(float(np.square(x - mean, dtype=np.float64).sum()) for x in data) ** 0.5
        / data.size**0.5,
        "zero_fraction": float((data == 0).mean()),
        "not_finite": n_bad,
        "estimated_contour": contour_level(data) if data.max() > 0 else None,
        "warnings": notes,
    }
