"""Options that several commands share."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer


Origin = Literal["auto", "origin", "nstart", "zero"]
ORIGIN_HELP = (
    "What places the map: ORIGIN, the start indices (nstart), zero, or auto: ORIGIN if it is set, else the start "
    "indices, as in ChimeraX."
)
Device = Literal["auto", "cpu", "gpu"]
Preset = Literal["experimental", "simulated", "paper-simulated", "paper-experimental", "paper-emdb", "paper-restraints"]


MapArgument = Annotated[Path, typer.Argument(metavar="MAP", help="Density map (.mrc, .map, .ccp4, or gzipped).")]
Resolution = Annotated[float | None, typer.Option("--resolution", "-r", help="Resolution of the map, Å.")]
Config = Annotated[Path | None, typer.Option("--config", help="TOML file with settings.")]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where to compute.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")]
OriginOption = Annotated[Origin, typer.Option("--origin", help=ORIGIN_HELP)]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Write into a folder that holds files.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print details.")]


def check_resolution(resolution: float | None) -> None:
    """Raise ConfigError for a resolution (Å) that no map has."""
    from deepmm_jax.errors import ConfigError

    if resolution is not None and not 1.0 <= resolution <= 20.0:
        raise ConfigError(
            f"--resolution {resolution:g} Å cannot be right; give the map's resolution, 2.5–5 Å as a rule"
        )


def select_device(device: Device, threads: int | None) -> None:
    """Choose the backend and the number of CPU threads, before anything imports NumPy or JAX.

    Raises ConfigError for a GPU that is not there.
    """
    if threads is not None:
        # Read once, when XLA makes its pool, NumPy loads its BLAS, numba starts. Unlike an affinity to the first
        # cores, this lets two runs on one machine share it.
        for variable in ("PJRT_NPROC", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
            os.environ[variable] = str(threads)
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
