"""Threads and devices, in processes of their own: both are settled when JAX starts."""

import re
import subprocess
import sys

import pytest

from deepmm_jax_cli.outputs import device_plan


COUNT = """
import os, sys
from deepmm_jax_cli.options import select_device
select_device("cpu", int(sys.argv[1]))
import jax, numba
jax.numpy.ones(8).block_until_ready()
names = [open(f"/proc/self/task/{t}/comm").read().strip() for t in os.listdir("/proc/self/task")]
print(names.count("tf_XLAEigen"), numba.config.NUMBA_NUM_THREADS, os.environ["OMP_NUM_THREADS"], jax.default_backend())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
@pytest.mark.parametrize("threads", ["1", "3"])
def test_threads_are_as_many_as_asked_for(threads: str):
    result = subprocess.run([sys.executable, "-c", COUNT, threads], capture_output=True, text=True, check=True)
    assert result.stdout.split() == [threads, threads, threads, "cpu"]


def test_first_line_of_a_run_names_devices_memory_and_batch():
    assert re.fullmatch(r"2 × cpu, [\d.]+ GB of memory each; 64 boxes at a time on each", device_plan("boxes"))
    assert device_plan("whole-map").endswith("; 1 tile of up to 128³ voxels at a time on each")
