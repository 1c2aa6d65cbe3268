"""Devices: work spread over all of them, how much of it they hold at once, and several processes as one.

`jax.jit` runs one program on all devices of a mesh if its arguments lie on that mesh: batches split along their first
axis, weights copied. This is the successor of `jax.pmap`, which is in maintenance mode. The mesh has one axis.
"""

import os
from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from deepmm_jax.errors import ConfigError


T = TypeVar("T")

Device: TypeAlias = Any
"""A `jax.Device`, whose name type checkers take for a variable."""

AXIS = "devices"
SHARE = 0.5
"""Of a device's memory that a batch may fill: compilers and libraries want workspace of their own."""


def device_mesh(devices: Sequence[Device] | None = None) -> Mesh:
    """The mesh of some devices, or of all that this process has."""
    return Mesh(np.array(devices or jax.local_devices()), (AXIS,))


def batch_mesh(batch_size: int) -> Mesh:
    """The mesh of a training batch: all devices of all processes, and in a single process as many as share it evenly.

    Raises ConfigError for a batch that the devices of several processes cannot share evenly.
    """
    devices = jax.devices()
    if jax.process_count() == 1:
        return device_mesh(devices[: max(n for n in range(1, len(devices) + 1) if batch_size % n == 0)])
    if batch_size % len(devices):
        raise ConfigError(
            f"a batch of {batch_size} cannot be shared evenly by the {len(devices)} devices of "
            f"{jax.process_count()} processes; give --batch-size a multiple of {len(devices)}"
        )
    return device_mesh(devices)


def check_batch_memory(mesh: Mesh, batch_size: int, bytes_an_item: int, items: str) -> None:
    """Raise ConfigError for a training batch of so many `items` whose share no device of the mesh can hold."""
    here = next(device for device in mesh.devices.flat if device.process_index == jax.process_index())
    each, memory = batch_size // mesh.size, device_memory(here)
    if each * bytes_an_item > memory:
        fitting = max(1, memory // bytes_an_item) * mesh.size
        raise ConfigError(
            f"a step of {batch_size} {items} needs {each * bytes_an_item / 1e9:.0f} GB on each of {mesh.size} devices, "
            f"which has {memory / 1e9:.0f} GB; give --batch-size {fitting} or less, or use more devices"
        )


def plan_batches(
    count: int,
    bytes_an_item: int,
    *,
    least: int = 1,
    most: int | None = None,
    devices: Sequence[Device] | None = None,
) -> tuple[Mesh, int]:
    """The mesh for `count` items of work and how many of them make a batch, a multiple of its devices.

    A CPU takes `least` items at a time, because its cache is small; another device as many as fit into its memory, up
    to `most`. Devices for which no item is left are not in the mesh.
    """
    devices = list(devices or jax.local_devices())
    each = items_a_device(devices[0], bytes_an_item, least, count if most is None else most)
    each = min(each, max(least, -(-count // len(devices))))
    mesh = device_mesh(devices[: max(1, -(-count // each))])
    return mesh, each * mesh.size


def items_a_device(device: Device, bytes_an_item: int, least: int, most: int) -> int:
    """Items that a device takes at a time: `least` on a CPU, elsewhere between both bounds by its memory."""
    if device.platform == "cpu":
        return least
    return max(least, min(most, int(SHARE * device_memory(device) / bytes_an_item)))


def device_memory(device: Device) -> int:
    """Bytes that a device may use: a GPU's limit as JAX sees it; of CPU devices an even share of the machine's."""
    limit = (device.memory_stats() or {}).get("bytes_limit")
    return limit or machine_memory() // len(jax.local_devices(backend=device.platform))


def machine_memory() -> int:
    """Bytes of memory that the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def device_names(devices: Sequence[Device]) -> str:
    """Number and kind of devices that are alike."""
    return f"{len(devices)} × {devices[0].device_kind}" if len(devices) > 1 else devices[0].device_kind


def describe(devices: Sequence[Device]) -> str:
    """Number, kind and memory of devices that are alike, for the reader of a run."""
    mine = next(device for device in devices if device.process_index == jax.process_index())
    processes = "" if jax.process_count() == 1 else f" in {jax.process_count()} processes"
    each = " each" if len(devices) > 1 else ""
    return f"{device_names(devices)}{processes}, {device_memory(mine) / 1e9:.1f} GB of memory{each}"


def spread(tree: T, mesh: Mesh, count: int | None = None) -> T:
    """Arrays split along their first axis over the devices of a mesh, after zeros were added up to `count` rows.

    Of several processes each gives its own part, and the arrays are all parts in the order of the processes.
    """
    place = NamedSharding(mesh, PartitionSpec(AXIS))

    def split(leaf: np.ndarray) -> jax.Array:
        if count is not None and count > len(leaf):
            leaf = np.pad(leaf, [(0, count - len(leaf)), *[(0, 0)] * (leaf.ndim - 1)])
        return jax.make_array_from_process_local_data(place, leaf)

    return jax.tree.map(split, tree)


def own_rows(tree: T) -> T:
    """This process's part of arrays with the rows of all processes."""
    here, processes = jax.process_index(), jax.process_count()

    def part(leaf: np.ndarray) -> np.ndarray:
        rows = len(leaf) // processes
        return leaf[here * rows : (here + 1) * rows]

    return jax.tree.map(part, tree)


def copied(tree: T, mesh: Mesh) -> T:
    """Arrays, the same in all processes, with a copy on every device of a mesh."""
    if jax.process_count() > 1:  # from the host: not every backend can copy to a device of another process
        tree = jax.tree.map(np.asarray, tree)
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def one_copy(tree: T) -> T:
    """Of arrays with copies on many devices that of this process's first one."""
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)


def start_distributed(coordinator: str, processes: int | None = None, process: int | None = None) -> None:
    """Make this process one of several that train together; before JAX is used for anything else.

    `coordinator` is the address, HOST:PORT, at which process 0 waits for the others; `process` counts from 0. With
    `auto` JAX asks Slurm, Open MPI or Kubernetes for all three. Raises ConfigError.
    """
    if coordinator == "auto":
        if processes is not None or process is not None:
            raise ConfigError(
                "with coordinator auto the number of processes is not given; leave it out, or give HOST:PORT"
            )
        known = {}
    else:
        host, _, port = coordinator.rpartition(":")
        if not host or not port.isdecimal():
            raise ConfigError(f"coordinator {coordinator!r} is not HOST:PORT; give the address of process 0, or auto")
        if processes is None or process is None:
            raise ConfigError(f"coordinator {coordinator} needs the number of processes and which of them this is")
        if not 0 <= process < processes:
            raise ConfigError(f"process {process} of {processes} cannot be: they count from 0 to {processes - 1}")
        known = {"coordinator_address": coordinator, "num_processes": processes, "process_id": process}
    try:
        jax.distributed.initialize(**known)
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ConfigError(f"coordinator {coordinator} does not bring the processes together ({reason})") from error


def is_first() -> bool:
    """Whether this is the process that writes files and reports."""
    return jax.process_index() == 0


def agreed(tree: T) -> T:
    """What process 0 has, in every process: clocks and folders may differ."""
    if jax.process_count() == 1:
        return tree
    from jax.experimental.multihost_utils import broadcast_one_to_all

    return broadcast_one_to_all(tree)
