"""Map files written word by word from the MRC2014 and CCP4 formats, in every way that these allow."""

import struct

import numpy as np


STEP = np.array([1.25, 0.75, 1.5])
ORIGIN = np.array([-12.5, 7.5, 30.0])
DATA = np.random.default_rng(7).integers(0, 100, (6, 9, 7)).astype(np.float32)

MODE = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}


def mrc_bytes(
    data=DATA,
    *,
    mode=2,
    axes=(1, 2, 3),
    origin=ORIGIN,
    start=(0, 0, 0),
    step=STEP,
    sampling=None,
    angles=(90, 90, 90),
    order="<",
    extended=b"",
    space_group=1,
    label=b"",
    **words,
):
    """An MRC2014 file built word by word; `start` runs along X, Y, Z, and `w17=9` overwrites word 17."""
    in_file = data.transpose([axis - 1 for axis in reversed(axes)])
    sampling = np.array(data.shape if sampling is None else sampling)
    header = bytearray(1024)

    def put(word, kind, *values):
        struct.pack_into(f"{order}{len(values)}{kind}", header, 4 * (word - 1), *values)

    put(1, "i", *reversed(in_file.shape), mode)
    put(5, "i", *(start[axis - 1] for axis in axes))
    put(8, "i", *sampling)
    put(11, "f", *(np.asarray(step) * sampling), *angles)
    put(17, "i", *axes)
    put(23, "i", space_group, len(extended))
    put(50, "f", *origin)
    header[208:212] = b"MAP "
    header[212:216] = b"\x44\x44\0\0" if order == "<" else b"\x11\x11\0\0"
    put(56, "i", int(bool(label)))
    header[224 : 224 + len(label)] = label
    for word, value in words.items():
        put(int(word[1:]), "f" if isinstance(value, float) else "i", value)
    return bytes(header) + extended + in_file.astype(f"{order}{MODE.get(mode, 'f4')}").tobytes()
