"""`deepmm-jax train`: the networks, from the data folder to a checkpoint."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from deepmm_jax.files import data_directory
from deepmm_jax_cli.options import Device, DeviceOption, Threads, select_device


app = typer.Typer(
    help="Train a network; running the same command again goes on where it stopped.", no_args_is_help=True
)

Data = Annotated[
    Path, typer.Option("--data", help="Data folder; DEEPMM_JAX_DATA by default.", default_factory=data_directory)
]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder for the checkpoint and the state of the run.")]
Minutes = Annotated[float, typer.Option(min=0.01, help="Wall-clock budget of this run.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of weights and examples.")]
Coordinator = Annotated[
    str | None,
    typer.Option(help="HOST:PORT where process 0 of several waits for the others, or `auto` under Slurm or Open MPI."),
]
Processes = Annotated[int | None, typer.Option(min=1, help="How many processes train together.")]
Process = Annotated[int | None, typer.Option(min=0, help="Which of them this is, from 0.")]


def _check(data: Path, output: Path) -> None:
    """Raise ConfigError, before JAX is loaded, for a data folder that is not there or a place that takes no folder."""
    from deepmm_jax.errors import ConfigError
    from deepmm_jax_cli.folder import check_folder

    if not data.is_dir():
        raise ConfigError(f"--data {data} is not a folder; give the data folder, or set DEEPMM_JAX_DATA to it")
    check_folder(output)


def _begin(
    device: Device,
    threads: int | None,
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
) -> None:
    """Choose where to compute and join the other processes, before JAX is used.

    Raises ConfigError for a GPU that is not there and for options that do not belong together.
    """
    from deepmm_jax.errors import ConfigError

    select_device("auto" if device == "gpu" else device, threads)
    if coordinator is not None:
        from deepmm_jax.devices import start_distributed

        start_distributed(coordinator, processes, process)
    elif processes is not None or process is not None:
        raise ConfigError("--processes and --process need --coordinator, the address of process 0")
    if device == "gpu":  # JAX looks for it, which must not happen before the processes have met
        select_device(device, None)


def _tell(text: str) -> None:
    """A line from the first process alone."""
    from deepmm_jax.devices import is_first

    if is_first():
        typer.echo(text)


def _command() -> str:
    """The command as typed, without the path of the program."""
    return shlex.join(["deepmm-jax", *sys.argv[1:]])


@app.command("whole-map")
def whole_map(
    data: Data,
    output: Output,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="Wall-clock budget of this run (60).")] = None,
    tail_minutes: Annotated[
        float | None, typer.Option(min=0.0, help="Last minutes, in which the rate falls to 0 (0).")
    ] = None,
    simulated_share: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Share of plain 5 Å maps among simulated ones (0.5).")
    ] = None,
    real_share: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Share of crops of real maps among all (0).")
    ] = None,
    initial: Annotated[str | None, typer.Option(help="Checkpoint to start from.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Crops a step (2).")] = None,
    settings: Annotated[
        Path | None, typer.Option("--config", help="TOML file with tables network and training; options win over it.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Stop after so many steps instead.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of weights and examples (1).")] = None,
    device: DeviceOption = "auto",
    threads: Threads = None,
    coordinator: Coordinator = None,
    processes: Processes = None,
    process: Process = None,
) -> None:
    """Train the whole-map network on simulated maps of the training chains, and on real maps."""
    from deepmm_jax.config import read_toml, replace_fields

    _check(data, output)
    tables = {} if settings is None else read_toml(settings)
    _begin(device, threads, coordinator, processes, process)
    from deepmm_jax.training.plan import TrainingPlan
    from deepmm_jax.training.whole_map import train_whole_map
    from deepmm_jax_cli.console import ending_at_signals

    options = {
        "minutes": minutes,
        "tail_minutes": tail_minutes,
        "steps": steps,
        "batch_size": batch_size,
        "simulated_share": simulated_share,
        "real_share": real_share,
        "seed": seed,
    }
    given = {name: value for name, value in options.items() if value is not None}
    plan = replace_fields(TrainingPlan(), tables, str(settings))
    with ending_at_signals(lambda: "give the same command again to go on"):
        card = train_whole_map(
            data,
            output,
            network=plan.network if "network" in tables else None,
            config=replace(plan.training, **given),
            initial=initial,
            command=_command(),
            report=typer.echo,
        )
    _tell(f"{output}: {card['steps']} steps")


@app.command("secondary-structure")
def secondary_structure(
    data: Data,
    output: Output,
    minutes: Minutes = 12.0,
    steps: Annotated[int | None, typer.Option(min=1, help="Train so many steps instead.")] = None,
    seed: Seed = 0,
    device: DeviceOption = "auto",
    threads: Threads = None,
) -> None:
    """Train the predictor of secondary structure from sequence."""
    _check(data, output)
    _begin(device, threads)
    from deepmm_jax.training.secondary_structure import train_secondary_structure
    from deepmm_jax_cli.console import ending_at_signals

    with ending_at_signals(lambda: "give the same command again to go on"):
        card = train_secondary_structure(
            data / "secondary_structure" / "secondary_structure.csv.gz",
            output,
            steps=steps,
            minutes=None if steps is not None else minutes,
            seed=seed,
            command=_command(),
            log=typer.echo,
        )
    typer.echo(f"{output}: {card['figures']}")


BoxSchedule = Annotated[
    Literal["reduced", "paper-training"],
    typer.Option("--preset", help="The schedule: one for two processor cores, or the paper's."),
]
BoxMaps = Annotated[
    Literal["simulated", "real"],
    typer.Option("--maps", help="Maps simulated at 5 Å, or the real ones of the data folder."),
]
BoxCount = Annotated[int | None, typer.Option(min=1, help="Boxes of the whole schedule (60,000).")]
BoxMinutes = Annotated[float | None, typer.Option(min=0.01, help="Wall-clock budget of this run.")]
BoxBatchSize = Annotated[int | None, typer.Option(min=1, help="Boxes a step (16).")]
BoxInitial = Annotated[str | None, typer.Option("--initial", help="Checkpoint to start from.")]
BoxSteps = Annotated[int | None, typer.Option(min=1, help="Stop after so many steps of this run.")]
BoxSeed = Annotated[int | None, typer.Option(min=0, help="Seed of weights, chains and boxes (1).")]


def box_command(kind: Literal["box-a", "box-b"], what: str) -> None:
    """Add the command that trains a box network for `what`."""

    @app.command(kind, help=f"Train {what}, on maps simulated at 5 Å or on real maps.")
    def train_box(
        data: Data,
        output: Output,
        preset: BoxSchedule = "reduced",
        maps: BoxMaps = "simulated",
        initial: BoxInitial = None,
        boxes: BoxCount = None,
        minutes: BoxMinutes = None,
        batch_size: BoxBatchSize = None,
        steps: BoxSteps = None,
        seed: BoxSeed = None,
        device: DeviceOption = "auto",
        threads: Threads = None,
        coordinator: Coordinator = None,
        processes: Processes = None,
        process: Process = None,
    ) -> None:
        _check(data, output)
        _begin(device, threads, coordinator, processes, process)
        options = {
            "maps": maps,
            "boxes": boxes,
            "minutes": minutes,
            "batch_size": batch_size,
            "steps": steps,
            "seed": seed,
        }
        given = {name: value for name, value in options.items() if value is not None}
        _train_boxes(kind, data, output, preset, given, initial)


box_command("box-a", "DenseNet A, the paper's network for main-chain and Cα probability")
box_command("box-b", "DenseNet B, the paper's network for residue class and secondary structure")


def _train_boxes(
    kind: Literal["box-a", "box-b"],
    data: Path,
    output: Path,
    preset: str,
    given: dict[str, Any],
    initial: str | None,
) -> None:
    from deepmm_jax.training.boxes import PRESETS, train_boxes
    from deepmm_jax_cli.console import ending_at_signals

    if "boxes" in given:
        given = given | {"epochs": None}  # a count of boxes replaces one of epochs
    with ending_at_signals(lambda: "give the same command again to go on"):
        card = train_boxes(
            kind,
            data,
            output,
            config=replace(PRESETS[preset], **given),
            initial=initial,
            command=_command(),
            report=typer.echo,
        )
    _tell(f"{output}: {card.get('schedule')}")
