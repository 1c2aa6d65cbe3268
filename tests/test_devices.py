"""Devices: how work is shared, and the same results on one, two and eight of them, in one process and in two."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax import devices as module
from deepmm_jax.devices import (
    agreed,
    batch_mesh,
    check_batch_memory,
    copied,
    describe,
    device_memory,
    device_mesh,
    is_first,
    items_a_device,
    machine_memory,
    one_copy,
    own_rows,
    plan_batches,
    spread,
    start_distributed,
)
from deepmm_jax.errors import ConfigError
from deepmm_jax.networks.densenet import moments, norm_weights, normalise
from deepmm_jax.networks.inference import FLOOR
from reference import many_devices


SMALL_GPU = SimpleNamespace(platform="gpu", memory_stats=lambda: {"bytes_limit": 1000})
QUICK = {"XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"}
"""Most of the time goes into compilers."""
COUNTS = (1, 2, 8)
"""Devices for each work."""
WEIGHT_TOLERANCE = 1e-4
"""Of weights after one step of Muon and Adam, which bring small gradients to the size of large ones."""


def test_a_cpu_takes_the_least_and_only_as_many_devices_as_there_is_work_for():
    for count, size, used in ((1, 64, 1), (64, 64, 1), (65, 128, 2), (1000, 128, 2)):
        mesh, batch = plan_batches(count, 10**12, least=64, most=4096)
        assert (batch, mesh.size) == (size, used)
    mesh, batch = plan_batches(5, 1, devices=jax.devices()[1:])
    assert (batch, list(mesh.devices)) == (1, jax.devices()[1:])


def test_other_devices_take_what_half_their_memory_holds_between_bounds():
    assert [items_a_device(SMALL_GPU, size, 2, 16) for size in (1, 100, 1000)] == [16, 5, 2]
    assert device_memory(SMALL_GPU) == 1000


def test_host_devices_share_the_memory_of_the_machine():
    assert device_memory(jax.devices()[0]) == machine_memory() // 2
    assert describe(jax.devices()) == f"2 × cpu, {machine_memory() / 2e9:.1f} GB of memory each"
    assert describe(jax.devices()[:1]) == f"cpu, {machine_memory() / 2e9:.1f} GB of memory"


def test_a_batch_that_no_device_can_hold_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "device_memory", lambda device: 1000)
    mesh = device_mesh()
    check_batch_memory(mesh, 20, 100, "boxes")
    with pytest.raises(
        ConfigError, match="a step of 22 boxes needs .* on each of 2 devices, .* --batch-size 20 or less"
    ):
        check_batch_memory(mesh, 22, 100, "boxes")


def test_rows_are_spread_and_filled_up():
    rows = np.arange(6.0).reshape(3, 2)
    whole = spread(rows, device_mesh(), 4)
    np.testing.assert_array_equal(whole, [*rows, [0, 0]])
    assert [shard.data.shape for shard in whole.addressable_shards] == [(2, 2), (2, 2)]


def test_copies_are_whole_on_every_device():
    tree = {"a": np.arange(3), "b": np.ones((2, 2))}
    there = copied(tree, device_mesh())
    assert [shard.data.shape for shard in there["b"].addressable_shards] == [(2, 2), (2, 2)]
    here = one_copy(there)
    assert here["a"].devices() == {jax.devices()[0]}
    np.testing.assert_array_equal(here["a"], tree["a"])


def test_a_process_alone_takes_all_rows_and_is_first():
    rows = np.arange(3)
    np.testing.assert_array_equal(own_rows(rows), rows)
    assert is_first() and agreed(rows) is rows


def test_several_processes_take_their_rows_and_devices_that_share_them_evenly(monkeypatch: pytest.MonkeyPatch):
    assert [batch_mesh(size).size for size in (1, 2, 3, 4)] == [1, 2, 1, 2]
    monkeypatch.setattr(module.jax, "process_count", lambda: 2)
    monkeypatch.setattr(module.jax, "process_index", lambda: 1)
    np.testing.assert_array_equal(own_rows(np.arange(6)), [3, 4, 5])
    assert batch_mesh(6).size == 2 and not is_first()
    with pytest.raises(ConfigError, match="a batch of 3 cannot be shared evenly by the 2 devices of 2 processes; give"):
        batch_mesh(3)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("10.0.0.1", 2, 0), "coordinator '10.0.0.1' is not HOST:PORT; give"),
        (("node:port", 2, 0), "coordinator 'node:port' is not HOST:PORT; give"),
        (("node:1234", 2, None), "coordinator node:1234 needs the number of processes and which of them this is"),
        (("node:1234", 2, 2), "process 2 of 2 cannot be: they count from 0 to 1"),
        (("auto", 2, None), "with coordinator auto the number of processes is not given; leave it out"),
    ],
)
def test_processes_that_cannot_meet_are_refused(given: tuple, sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        start_distributed(*given)


def test_a_coordinator_that_jax_does_not_take_is_named(monkeypatch: pytest.MonkeyPatch):
    def initialize(**_: object) -> None:
        raise RuntimeError("no cluster here\nmore")

    monkeypatch.setattr(module.jax.distributed, "initialize", initialize)
    with pytest.raises(
        ConfigError, match=r"coordinator auto does not bring the processes together \(no cluster here\)"
    ):
        start_distributed("auto")


def test_batchnorm_has_the_moments_of_the_whole_batch(rng: np.random.Generator):
    """The halves differ, so that moments of a half would show."""
    batch = np.concatenate([rng.normal(size=(2, 3, 3, 3, 4)), rng.normal(2.0, 3.0, (2, 3, 3, 3, 4))])
    batch = batch.astype(np.float32)

    @jax.jit
    def objective(x: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        used = moments(x)
        return jax.grad(lambda weights: jnp.sum(normalise(weights, used, x) ** 2))(norm_weights(4)), used

    alone, both = (objective(spread(batch, device_mesh(jax.devices()[:n]))) for n in (1, 2))
    for one, two in zip(jax.tree.leaves(alone), jax.tree.leaves(both), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a process with eight devices makes of the same work on some of them."""
    folder = tmp_path_factory.mktemp("devices")
    process = start(folder, *(f"{work}-{count}" for work in many_devices.WORK for count in COUNTS))
    assert process.wait(timeout=600) == 0
    return folder


def start(*words: object) -> subprocess.Popen:
    """Start the program with the devices of a machine without a GPU."""
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, many_devices.__file__, *map(str, words)],
        env=os.environ | QUICK | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": paths},
    )


@pytest.mark.slow
@pytest.mark.parametrize("work", many_devices.WORK)
def test_one_two_and_eight_devices_agree(results: Path, work: str):
    one = np.load(results / f"{work}-1.npz")
    for key in one.files:
        assert one[key].ndim == 0 or np.nanstd(one[key].astype(float)) > 0.01
    for count in COUNTS[1:]:
        assert_same(one, np.load(results / f"{work}-{count}.npz"))


@pytest.mark.slow
def test_two_processes_make_the_training_steps_of_one(results: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [start(results, f"127.0.0.1:{port}/{number}") for number in range(2)]
    assert [process.wait(timeout=600) for process in processes] == [0, 0]
    for work in many_devices.STEPS:
        one = np.load(results / f"{work}-1.npz")
        for number in range(2):
            assert_same(one, np.load(results / f"{work}-process-{number}.npz"))


def test_half_precision_may_differ_by_its_last_digit_and_at_the_floor():
    """Which is all that a GPU's other order of sums does to volumes."""
    values = np.random.default_rng(5).uniform(size=1000)
    for one in (values.astype(np.float16), np.where(values < FLOOR, 0.0, values)):
        other = (np.where(one == 0, FLOOR, one) * (1 + 4e-4)).astype(one.dtype)
        alike(one, other, 1e-3)
        with pytest.raises(AssertionError):
            alike(one, np.where(one > 0.9, one * 1.01, one).astype(one.dtype), 1e-3)


def test_a_gpu_agrees_with_a_cpu():
    try:
        gpu = jax.devices("gpu")[:1]
    except RuntimeError:
        print("skipped: no GPU")
        pytest.skip("no GPU here; run on a machine with one")
    cpu = jax.devices("cpu")[:1]
    for name, work in many_devices.WORK.items():
        with jax.default_matmul_precision("highest"):
            on_gpu = work(gpu)
            with jax.default_device(cpu[0]):
                on_cpu = work(cpu)
        for key, one in on_cpu.items():
            alike(one, on_gpu[key], 1e-4 if one.dtype != np.float16 else 1e-3, f"{name} {key}")


def alike(one: np.ndarray, other: np.ndarray, tolerance: float, name: str = "") -> None:
    """The same but for rounding, and for probabilities next to FLOOR, which become 0 or do not."""
    at_floor = (np.minimum(one, other) == 0) & (np.abs(np.maximum(one, other) / FLOOR - 1) < tolerance)
    kept = np.where(at_floor, one, other)
    np.testing.assert_allclose(kept, one, rtol=tolerance, atol=tolerance, err_msg=name)


def assert_same(one, other, tolerance: float = 1e-5, name: str = "") -> None:
    for key in one:
        within = WEIGHT_TOLERANCE if key.startswith("leaf") else tolerance
        np.testing.assert_allclose(other[key], one[key], rtol=within, atol=within, err_msg=f"{name} {key}")
