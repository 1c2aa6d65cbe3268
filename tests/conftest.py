"""Settings and fixtures of all tests: two host devices, a compilation cache per user, seeds, the data folder."""

import os
from importlib.util import find_spec
from pathlib import Path

import jax
import numpy as np
import pytest

from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains


REPOSITORY = Path(__file__).resolve().parent.parent

# The processor comes first, so that all tests mean the same everywhere; a GPU is there for those that compare both.
if "JAX_PLATFORMS" not in os.environ:
    gpu = Path("/dev/nvidiactl").exists() and any(find_spec(f"jax_cuda{version}_plugin") for version in (12, 13))
    os.environ["JAX_PLATFORMS"] = "cpu,cuda" if gpu else "cpu"
    jax.config.update("jax_platforms", os.environ["JAX_PLATFORMS"])
# Before the first use of a device: sharded functions run on two of them, even on a laptop.
jax.config.update("jax_num_cpu_devices", 2)
# Arrays of different rank meet by an explicit axis or not at all: (n,) + (n, n) is a slip as often as it is meant.
jax.config.update("jax_numpy_rank_promotion", "raise")
# Reruns skip XLA's compiler; the folder is the user's own, because cached programs are trusted code.
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "deepmm-jax" / "xla-tests"
jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


@pytest.fixture(scope="session")
def data_directory() -> Path:
    """The folder of structures and real maps: DEEPMM_JAX_DATA, else ../shared/data beside the repository."""
    folder = Path(os.environ.get("DEEPMM_JAX_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        reason = f"no data in {folder}; set DEEPMM_JAX_DATA"
        print(f"skipped: {reason}")
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def kinase() -> Chain:
    """The example: adenylate kinase, chain A of 1AKE."""
    (chain,) = read_chains(REPOSITORY / "examples" / "1ake_A.pdb.gz")
    return chain


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that starts the same in every test."""
    return np.random.default_rng(20220601)


@pytest.fixture
def key() -> jax.Array:
    """A JAX key that is the same in every test."""
    return jax.random.key(20220601)
