"""Progress: a line that lives on a terminal, plain lines elsewhere, everything in the log file."""

import logging
import sys
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console


class Progress:
    """The observer of a run: shows stages as they start and end, logs them and adds up their seconds."""

    def __init__(self, log: TextIO | None, quiet: bool):
        self.console = Console(stderr=True, quiet=quiet, highlight=False, emoji=False)
        self.log = log
        self.seconds: dict[str, float] = {}
        self._status: Any = None

    def say(self, text: str) -> None:
        """One line for the reader and the log."""
        self.console.print(text, markup=False, soft_wrap=True)
        self.write(text)

    def warn(self, text: str) -> None:
        """A warning for the reader and the log."""
        self.say(f"warning: {text}")

    def __call__(self, stage: str, value: Any, seconds: float, *, restored: bool = False) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
        if value is None:
            if self.console.is_terminal:
                self._status = self.console.status(f"{stage} …")
                self._status.start()
            else:
                self.write(f"{stage} …")
            return
        self.seconds[stage] = round(seconds, 3)
        self.say(f"{stage:<14} {'kept from an earlier run' if restored else f'{seconds:7.1f} s'}  {summary(value)}")

    def fail(self, error: BaseException) -> None:
        """End the living line; the log gets the traceback, whatever the reader will see."""
        if self._status is not None:
            self._status.stop()
        self.write("stopped\n" + "".join(traceback.format_exception(error)).rstrip())

    def write(self, text: str) -> None:
        """One line for the log alone."""
        if self.log is not None:
            self.log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
            self.log.flush()


def summary(value: Any) -> str:
    """What a stage made, in a few words."""
    from deepmm_jax.alignment.values import CalphaModels
    from deepmm_jax.density.map import DensityMap
    from deepmm_jax.evidence.volumes import Evidence
    from deepmm_jax.tracing.graph import PointGraph
    from deepmm_jax.tracing.values import MainChainPaths

    match value:
        case DensityMap():
            return f"{' × '.join(map(str, value.shape))} voxels of {value.step[0]:g} Å"
        case Evidence():
            return f"{int((value.main_chain > 0.5).sum())} voxels on the main chain"
        case PointGraph():
            return f"{len(value.vertices)} local dense points"
        case MainChainPaths():
            lengths = [len(path) for path in value.paths]
            return f"{len(lengths)} paths of {min(lengths)}–{max(lengths)} points"
        case CalphaModels():
            return f"{len(value)} models, best MScore {value.mscores[0]:.2f}"
        case _:
            return ""


def listen(verbose: bool) -> list[str]:
    """The list to which every warning of the library is added from now on; details are printed if `verbose`."""
    warnings: list[str] = []

    def heard(record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            warnings.append(record.getMessage())
        elif verbose:
            print(record.getMessage(), file=sys.stderr)

    ear = logging.Handler()
    ear.emit = heard
    logger = logging.getLogger("deepmm_jax")
    logger.handlers, logger.propagate = [ear], False
    logger.setLevel(logging.INFO if verbose else logging.WARNING)
    return warnings


def peak_memory_mb() -> float:
    """Largest memory this process has held, in MB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024**2 if sys.platform == "darwin" else 1024), 1)


def open_log(path: Path) -> TextIO:
    """The log file, appended to."""
    return path.open("a", encoding="utf-8")
