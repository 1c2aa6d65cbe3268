"""Density maps in and out of MRC2014/CCP4 files (section 2.1)."""

import io
import logging
import os
from pathlib import Path
from typing import cast

import mrcfile
import numpy as np

from deepmm_jax import __version__
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc_header import Placement, opened, parse_header
from deepmm_jax.density.scaling import contour_level
from deepmm_jax.errors import MapError


log = logging.getLogger(__name__)


def read_map(path: str | os.PathLike[str], *, origin: Placement = "auto") -> DensityMap:
    """The map in a .mrc, .map or .ccp4 file, plain or gzipped, as float32 `data[x, y, z]` with step and origin in Å.

    Reads modes 0, 1, 2, 6 and 12 of either byte order. `origin` forces a placement rule (`MapHeader.place`).
    Values that are not finite become 0, with a warning in the log.
    Raises MapError if the file is missing, damaged, not a map, too large, not orthogonal, or constant.
    """
    with opened(path) as stream:
        header = parse_header(stream, Path(path))
        count = int(np.prod(header.file_shape))
        stream.seek(header.offset)
        raw = stream.read(count * header.values.itemsize)
    if len(raw) < count * header.values.itemsize:
        raise MapError(f"{path}: holds {len(raw)} of {count * header.values.itemsize} bytes of values; it is truncated")
    stored = np.frombuffer(raw, header.values).reshape(header.file_shape)
    data = np.array(stored.transpose(header.to_xyz), np.float32, order="C")

    finite = np.isfinite(data)
    if not finite.all():
        log.warning("%s: %d values are not finite and are taken as 0", path, data.size - int(finite.sum()))
        data[~finite] = 0
    if data.min() == data.max():
        raise MapError(f"{path}: every voxel is {data.flat[0]:g}; the map is empty")
    if any("chimera rotation" in label.lower() for label in header.labels):
        log.warning("%s: a 'Chimera rotation' label asks for a turn that is not applied; resample the map", path)
    position, rule = header.place(origin)
    log.info("%s: first voxel at (%.3f, %.3f, %.3f) Å by %s", path, *position, rule)
    return DensityMap(data=data, step=header.step, origin=position, placement=rule)


def write_map(path: str | os.PathLike[str], density: DensityMap) -> None:
    """Write a map as mode 2 with ORIGIN in Å and zero start indices (gzipped if the name ends in .gz), all or nothing.

    Raises MapError if values are not finite, the folder cannot be written, or the result is not valid MRC2014.
    """
    path = Path(path)
    if not np.isfinite(density.data).all():
        raise MapError(f"{path}: the map holds values that are not finite; it is not written")
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
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
        partial.replace(path)
    except OSError as error:
        raise MapError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        partial.unlink(missing_ok=True)


def describe_map(path: str | os.PathLike[str], *, origin: Placement = "auto") -> dict[str, object]:
    """What `deepmm-jax info` prints of a map: header, placement and statistics, as JSON values (Å, degrees).

    Raises MapError as `read_map` does.
    """
    density = read_map(path, origin=origin)
    with opened(path) as stream:
        header = parse_header(stream, Path(path))
    data = density.data
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
        "mean": float(data.mean(dtype=np.float64)),
        "standard_deviation": float(data.std(dtype=np.float64)),
        "zero_fraction": float((data == 0).mean()),
        "estimated_contour": contour_level(data) if data.max() > 0 else None,
    }
