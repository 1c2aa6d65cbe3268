"""The program: one command a file, one rule for errors and exit codes."""

import errno
import os
import re
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from deepmm_jax_cli import benchmark, build, data, demo, evaluate, info, refine, simulate, train


LONGEST = 1000
"""Letters of an error message."""

app = typer.Typer(
    name="deepmm-jax",
    help="Protein models from cryo-EM density maps.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("build")(build.build)
app.command("refine")(refine.refine)
app.command("info")(info.info)
app.command("simulate")(simulate.simulate)
app.command("evaluate")(evaluate.evaluate)
app.command("demo")(demo.demo)
app.command("data")(data.data)
app.command("benchmark")(benchmark.benchmark)
app.add_typer(train.app, name="train")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"deepmm-jax {version('deepmm-jax')}")
        raise typer.Exit()


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = (
        False
    ),
) -> None:
    """Protein models from cryo-EM density maps."""


def use_compilation_cache() -> None:
    """Keep what JAX compiles in the user's cache directory, so that only the first run waits for it."""
    try:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home, as in some containers
        return
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(root / "deepmm-jax" / "xla"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")
    # XLA calls its own tuning flags (prefer-no-gather) missing from the CPU whenever it reads the cache, two kilobytes
    # a time; real failures come back as exceptions.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def run() -> None:
    """Entry point. Exit codes: 0 done, 2 bad input, 3 nothing could be built, 1 a bug (with its traceback).

    130 after Ctrl-C and 143 after SIGTERM, as shells count them.
    """
    use_compilation_cache()
    try:
        code = app(prog_name="deepmm-jax", standalone_mode=False)
    except TyperException as error:  # a slip of the command line
        if error.format_message():  # otherwise the help has been shown
            print(f"deepmm-jax: {_slip(error)}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EPIPE):
            raise
        sys.stdout = None  # there is nowhere to flush to
        print(f"deepmm-jax: the answer cannot be written to standard output ({error.strerror})", file=sys.stderr)
        sys.exit(2)
    except MemoryError as error:
        print(f"deepmm-jax: not enough memory ({error}); crop the map to the molecule", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        from deepmm_jax.errors import DeepMMError, NothingBuiltError

        if not isinstance(error, DeepMMError):
            traceback.print_exc()
            sys.exit(1)
        sentence = " ".join(str(error).split())  # names of files and records may hold anything
        print(f"deepmm-jax: {sentence[:LONGEST]}{'…' * (len(sentence) > LONGEST)}", file=sys.stderr)
        sys.exit(3 if isinstance(error, NothingBuiltError) else 2)
    sys.exit(code if isinstance(code, int) else 0)


def _slip(error: TyperException) -> str:
    """What is wrong with the arguments: the option, the value, and where to read on."""
    said = " ".join(error.format_message().split()).rstrip(".").replace("Value error, ", "")
    reasons = getattr(error.__cause__, "errors", list)()  # pydantic's, which know the value
    value = str(reasons[0].get("input", "")) if reasons else ""
    context = getattr(error, "ctx", None)
    command = "deepmm-jax" if context is None else context.command_path
    named = re.search(rf"(?<![\w.]){re.escape(value)}(?![\w.])", said)
    return f"{said}{'' if named else f', not {value}'} (see `{command} --help`)"
