"""Progress: a line that lives on a terminal, plain lines elsewhere, everything in the log file."""

import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from typing import Any

from rich.console import Console


logger = logging.getLogger("deepmm_jax")


class Progress(logging.Handler):
    """The observer of a run: shows stages as they start and end, logs them and adds up their seconds.

    It listens to the library for the tracebacks of what went wrong without ending the run; the log gets them.
    """

    def __init__(self, log: FileIO | None, quiet: bool):
        super().__init__()
        self.console = Console(stderr=True, quiet=quiet, highlight=False, emoji=False)
        self.log = log
        self.seconds: dict[str, float] = {}
        self._status: Any = None
        self._told: set[str] = set()

    def say(self, text: str) -> None:
        """One line for the reader and the log."""
        self.console.print(text, markup=False, soft_wrap=True)
        self.write(text)

    def tell(self, warnings: Sequence[str]) -> None:
        """Those of the warnings that were not told before, for the reader and the log."""
        for text in [text for text in warnings if text not in self._told]:
            self._told.add(text)
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

    def emit(self, record: logging.LogRecord) -> None:
        """The traceback of a warning, for the log alone."""
        if record.exc_info and record.exc_info[1] is not None:
            self.write(_traceback(record.exc_info[1]))

    def fail(self, error: BaseException) -> None:
        """End the living line; the log gets the traceback, whatever the reader will see."""
        if self._status is not None:
            self._status.stop()
        self.write("stopped\n" + _traceback(error))

    def write(self, text: str) -> None:
        """One line for the log alone. A log that cannot be written ends, with a warning; the run goes on."""
        if self.log is None:
            return
        try:
            self.log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n".encode())
        except OSError as error:
            self.log = None
            logger.warning("the log ends early: %s", error)


@contextmanager
def following(log: FileIO | None, quiet: bool) -> Iterator[Progress]:
    """The Progress of the run in the block: it listens to the library until the end, and logs what ends it."""
    progress = Progress(log, quiet)
    logger.addHandler(progress)
    try:
        yield progress
    except Exception as error:
        progress.fail(error)
        raise
    finally:
        logger.removeHandler(progress)


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).rstrip()


def summary(value: Any) -> str:
    """What a stage made, in a few words."""
    from deepmm_jax.alignment.values import CalphaModels
    from deepmm_jax.allatom.values import AllAtomModel
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
        case [AllAtomModel(), *_]:
            return f"{sum(int(model.mask.sum()) for model in value)} atoms"
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
    logger.handlers, logger.propagate = [ear], False
    logger.setLevel(logging.INFO if verbose else logging.WARNING)
    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax, of weights that an error then speaks of
    return warnings


@contextmanager
def ending_at_signals(advice: Callable[[], str], progress: Progress | None = None) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the process at once, with `advice`, while the block runs; `progress` logs it.

    No KeyboardInterrupt is raised: numba crashes when one comes up inside it, and compilers swallow it. As every file
    appears whole or not at all, there is nothing to tidy. Exit code: 128 and the signal's number, as shells count.
    """

    def end(number: int, _: object) -> None:
        if progress is not None:
            progress.fail(KeyboardInterrupt(signal.Signals(number).name))
        print(f"deepmm-jax: interrupted; {advice()}", file=sys.stderr, flush=True)
        os._exit(128 + number)

    heeded = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def peak_memory_mb() -> float:
    """Largest memory this process has held, in MB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024**2 if sys.platform == "darwin" else 1024), 1)
