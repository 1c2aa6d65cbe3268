"""The output folder of `build` and `refine`: who may write into it, what stays there when a run stops, its log."""

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

from deepmm_jax.density.map import DensityMap
from deepmm_jax.errors import CheckpointError, ConfigError, DeepMMError
from deepmm_jax.files import remove_partial


RESULTS = (
    "model.cif",
    "model.pdb",
    "models/model_*.cif",
    "calpha.cif",
    "confidence.csv",
    "view.cxc",
    "report.html",
    "summary.json",
    "maps/mainchain.mrc",
    "maps/calpha.mrc",
)
FOLDERS = ("maps", "models", "stages")
LOG = "log.txt"


def check_folder(output: Path) -> None:
    """Raise ConfigError where no folder can be made; nothing is made."""
    try:
        output.exists()
    except OSError as error:  # a name that is too long
        raise ConfigError(f"--output {str(output)[:40]}… cannot be a folder ({error.strerror})") from error
    if output.exists() and not output.is_dir():
        raise ConfigError(f"--output {output} is a file; give a folder")
    there = next(folder for folder in (output.absolute(), *output.absolute().parents) if folder.exists())
    if not there.is_dir():
        raise ConfigError(f"--output {output} cannot be written ({there} is a file); give another folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"--output {output} cannot be written ({there} is not writable); give another folder")


def check_directory(output: Path, *, resume: bool, overwrite: bool) -> None:
    """Raise ConfigError for a folder that cannot be one, that another run uses, or that holds files without a flag.

    Resuming takes a folder in which a run has been, as it removes what looks like that run's results.
    """
    check_folder(output)
    if output.is_dir() and any(output.iterdir()) and not overwrite:
        if not resume:
            raise ConfigError(f"--output {output} is not empty; add --overwrite or --resume, or give another folder")
        if not holds_run(output):
            raise ConfigError(
                f"--output {output} holds files but no earlier run that --resume could go on with; give another "
                "folder, or --overwrite"
            )
    if (output / LOG).is_file():
        with (output / LOG).open("ab", buffering=0) as log:
            _lock(log, output)


def holds_run(output: Path) -> bool:
    """Whether a run has been in the folder, finished or not."""
    return (output / LOG).exists() and (output / "stages").is_dir()


def check_inputs_survive(output: Path, inputs: Sequence[Path | None]) -> None:
    """Raise ConfigError for an input file that bears the name of a result in the output folder."""
    results = {file.resolve() for pattern in RESULTS for file in output.glob(pattern)}
    for path in inputs:
        if path is not None and path.resolve() in results:
            raise ConfigError(f"{path} would be replaced by a result of this run; give another --output than {output}")


@contextmanager
def open_log(output: Path, *, resume: bool) -> Iterator[FileIO]:
    """The log file, appended to if the run resumes; the folder is made and belongs to this run until it ends.

    Raises ConfigError if another run has it.
    """
    output.mkdir(parents=True, exist_ok=True)
    with (output / LOG).open("ab", buffering=0) as log:  # no line waits in a buffer for a disk that is full
        _lock(log, output)
        if not resume:
            log.truncate(0)
        yield log


def prepare_directory(output: Path, *, resume: bool, folders: Sequence[str] = FOLDERS) -> None:
    """Make the inner folders and remove the results of an earlier run, lest they pass for those of this one."""
    for folder in folders:
        (output / folder).mkdir(exist_ok=True)
    for folder in ("", *FOLDERS):
        remove_partial(output / folder)
    for pattern in RESULTS if resume else (*RESULTS, "stages/*.pickle"):
        for old in output.glob(pattern):
            old.unlink()


def kept_stages(output: Path) -> str:
    """What a run that stopped has left, and what to do with it."""
    kept = sorted(path.name.split(".")[0].replace("-", " ") for path in output.glob("stages/*.pickle"))
    if not kept:
        return "no stage was finished; run the command again with --overwrite"
    return f"finished and kept: {', '.join(kept)}; run the command again with --resume to go on from there"


@contextmanager
def writing(output: Path) -> Iterator[None]:
    """What the file system refuses becomes a ConfigError that names the output folder and says what is there."""
    try:
        yield
    except (OSError, DeepMMError) as error:
        refusal = error.__cause__ if isinstance(error, DeepMMError) else error
        if not isinstance(refusal, OSError) or isinstance(error, CheckpointError):
            raise
        if refusal.errno in (errno.ENOSPC, errno.EDQUOT) and output.is_dir():
            advice = f"free some space; {kept_stages(output)}"
        else:
            advice = "mend that or give another folder"
        raise ConfigError(f"--output {output} cannot be written ({refusal}); {advice}") from error


def describe_input(path: Path, density: DensityMap | None = None) -> dict[str, Any]:
    """Path, digest and placement rule of an input file."""
    with path.open("rb") as stream:
        facts = {"path": str(path), "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
    if density is not None:
        facts["placement_rule"] = density.placement
    return facts


def _lock(log: FileIO, output: Path) -> None:
    """Hold the folder until the log is closed, or the process dies in whatever way."""
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(
            f"--output {output} is in use by another run of deepmm-jax; wait for its end or give another folder"
        ) from None
    except OSError:  # a file system without locks
        pass
