"""Options that several commands share."""

import os
from pathlib import Path
from typing import Literal


Origin = Literal["auto", "origin", "nstart", "zero"]
Device = Literal["auto", "cpu", "gpu"]
Preset = Literal["experimental", "simulated", "paper-experimental", "paper-simulated"]


def data_directory() -> Path:
    """Where the training and benchmark data lie: DEEPMM_JAX_DATA, or `../shared/data`."""
    return Path(os.environ.get("DEEPMM_JAX_DATA", "../shared/data"))


def select_device(device: Device, threads: int | None) -> None:
    """Choose the backend before JAX starts. Raises ConfigError for a GPU that is not there."""
    if threads is not None:
        os.environ["XLA_FLAGS"] = (
            os.environ.get("XLA_FLAGS", "") + f" --xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}"
            f" intra_op_parallelism_threads={threads}"
        )
        os.environ["NUMBA_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(threads)
    if device == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
    if device == "gpu":
        import jax

        from deepmm_jax.errors import ConfigError

        try:
            jax.devices("gpu")
        except RuntimeError as error:
            raise ConfigError(
                "--device gpu: JAX finds no GPU here; install deepmm-jax[cuda12] or [cuda13] on a machine "
                "with an NVIDIA GPU, or use --device cpu"
            ) from error
