"""The program: one command a file, one rule for errors and exit codes."""

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from deepmm_jax_cli import build, demo, evaluate, info, simulate, train


app = typer.Typer(
    name="deepmm-jax",
    help="Protein models from cryo-EM density maps.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("build")(build.build)
app.command("info")(info.info)
app.command("simulate")(simulate.simulate)
app.command("evaluate")(evaluate.evaluate)
app.command("demo")(demo.demo)
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
    root = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(root / "deepmm-jax" / "xla"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")
    # XLA calls its own tuning flags (prefer-no-gather) missing from the CPU whenever it reads the cache, two kilobytes
    # a time; real failures come back as exceptions.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def run() -> None:
    """Entry point. Exit codes: 0 done, 2 bad input, 3 nothing could be built, 1 a bug (with its traceback)."""
    use_compilation_cache()
    try:
        app(prog_name="deepmm-jax")
    except Exception as error:
        from deepmm_jax.errors import DeepMMError, NothingBuiltError

        if not isinstance(error, DeepMMError):
            traceback.print_exc()
            sys.exit(1)
        print(f"deepmm-jax: {error}", file=sys.stderr)
        sys.exit(3 if isinstance(error, NothingBuiltError) else 2)
