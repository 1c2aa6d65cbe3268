"""`deepmm-jax benchmark`: a suite of targets whose structure is known, here or on a Dask cluster."""

import os
import shlex
import sys
import time
from collections.abc import Iterator, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from deepmm_jax.files import data_directory
from deepmm_jax_cli.options import Config, Preset, Quiet, Threads, select_device


def benchmark(
    suite: Annotated[
        str, typer.Argument(help="smoke, simulated-40, simulated-experimental, experimental …; docs/usage.md has all.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder; what it has is not computed again.")],
    data: Annotated[
        Path | None, typer.Option(help="Data folder; DEEPMM_JAX_DATA by default, here and at workers.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="These targets only; several with commas between them, or repeated.")
    ] = None,
    chains: Annotated[
        int | None, typer.Option(min=1, help="How many chains of the split a suite of such maps draws.")
    ] = None,
    until: Annotated[
        Literal["evidence", "calpha", "allatom"], typer.Option(help="The last stage that is measured.")
    ] = "calpha",
    preset: Annotated[Preset | None, typer.Option(help="Settings; by default those for the maps of the suite.")] = None,
    config: Config = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="Whole-map network: folder or shipped name; or a folder with box-a and box-b.")
    ] = None,
    baseline: Annotated[
        Literal["mainmast"] | None, typer.Option(help="Measure this program instead; it makes Cα models.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine, one target each at a time.")] = 1,
    threads: Threads = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a running Dask scheduler, instead of processes here.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Build models of targets whose structure is known and say how right they are; goes on where it stopped."""
    # Set before the workers start: they inherit it.
    select_device("auto", threads or max(1, (os.cpu_count() or 1) // workers))
    from deepmm_jax.benchmark.measure import Work
    from deepmm_jax.benchmark.results import keep_row, kept_rows
    from deepmm_jax.benchmark.schedule import measured
    from deepmm_jax.benchmark.suites import preset_of, suite_targets
    from deepmm_jax.config import build_config
    from deepmm_jax.errors import ConfigError, NothingBuiltError
    from deepmm_jax_cli.console import ending_at_signals, following
    from deepmm_jax_cli.folder import open_log, writing

    names = list(dict.fromkeys(name.strip() for part in only or [] for name in part.split(",") if name.strip()))
    if baseline is not None and until != "calpha":
        raise ConfigError(f"--baseline {baseline} makes Cα models alone; leave --until {until} out")
    chosen = preset or preset_of(suite)
    settings = build_config(chosen, file=config, network=checkpoint, until=until)
    targets = suite_targets(suite, data or data_directory(), names, chains)
    work = Work(config=with_places(settings), baseline=baseline, data=None if data is None else data.absolute())
    digests = work.digests()
    with writing(output):
        check_benchmark_folder(output)
        files = {target: work.data_digest(target) for target in targets}
        rows = kept_rows(output, files, digests)
    missing = {target: data for target, data in files.items() if target not in rows}
    kept, started = len(rows), time.monotonic()

    def advice() -> str:
        return f"{len(rows)} of {len(targets)} targets are kept; give the same command again for the rest"

    with ending_at_signals(advice), _cluster(missing, scheduler, workers) as client:
        with writing(output), open_log(output, resume=True) as log, following(log, quiet) as progress:
            (output / "targets").mkdir(exist_ok=True)
            if kept:
                progress.say(f"{kept} of {len(targets)} targets are kept from an earlier run")
            for target, row in measured(client, missing, work) if client else ():
                keep_row(output, target, digests, files[target], row)
                rows[target] = row
                progress.say(f"{len(rows):>4} of {len(targets)}  {target.name:<24} {in_short(row)}")
            cases = {target.name: rows[target] for target in targets}
            run = {"targets": len(missing), "seconds": round(time.monotonic() - started, 1)}
            report = write_results(output, suite, until, baseline or ", ".join(settings.networks), cases, run)
    print_table(suite, report, quiet)
    if not report["summary"].get("evidence" if until == "evidence" else "built"):
        why = next(row.get("error") or row["failure"] for row in cases.values())
        raise NothingBuiltError(f"none of the {len(cases)} targets of {suite} could be built; the first: {why}")


@contextmanager
def _cluster(targets: Sized, address: str | None, workers: int) -> Iterator[Any]:
    """Where the targets are measured; nothing is started for none."""
    if not targets:
        yield None
        return
    from deepmm_jax.benchmark import schedule

    with schedule.scheduler(address, min(workers, len(targets))) as client:
        yield client


def with_places(settings: Any) -> Any:
    """Settings with whole paths of the networks that are not shipped: a worker may run in another folder."""
    from dataclasses import replace

    from deepmm_jax.networks.checkpoints import find_checkpoint

    places = {}
    for field, name in zip(("network",) if settings.evidence == "whole-map" else ("box_a", "box_b"), settings.networks):
        found = find_checkpoint(name)
        places[field] = str(found) if Path(name).is_dir() and found == Path(name).resolve() else name
    return replace(settings, **places)


def check_benchmark_folder(output: Path) -> None:
    """Raise ConfigError for a folder that cannot be one, or that holds something else than a benchmark."""
    from deepmm_jax.errors import ConfigError
    from deepmm_jax_cli.folder import check_folder

    check_folder(output)
    if output.is_dir() and any(output.iterdir()) and not (output / "targets").is_dir():
        raise ConfigError(f"--output {output} holds files but no benchmark; give another folder")


def write_results(
    output: Path, suite: str, until: str, network: str, cases: dict[str, Any], run: dict[str, Any]
) -> dict[str, Any]:
    """`results.json`: what was measured how, the summary, and the rows of all targets; returned as well.

    `run` says how many of the targets this run measured, and the seconds that it took by the clock.
    """
    import platform
    from importlib.metadata import version

    from deepmm_jax.benchmark.results import write_json
    from deepmm_jax.benchmark.summary import by_map_quality, by_resolution, of_novel_folds, summarise
    from deepmm_jax.stages import DEPENDENCIES

    rows = list(cases.values())
    report: dict[str, Any] = {
        "command": shlex.join(["deepmm-jax", *sys.argv[1:]]),
        "suite": suite,
        "network": network,
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "versions": {name: version(name) for name in ("deepmm-jax", *DEPENDENCIES)},
        "run": run,
        "summary": summarise(rows, until),
    }
    if "built" in report["summary"]:
        tables = {
            "by_resolution": by_resolution(rows),
            "by_map_quality": by_map_quality(rows),
            "novel_folds": of_novel_folds(rows),
        }
        report |= {name: table for name, table in tables.items() if table}
    write_json(output / "results.json", report | {"cases": cases})
    return report | {"cases": cases}


def in_short(row: dict[str, Any]) -> str:
    """A row in a few words."""
    if "failure" in row:
        return f"failed: {row['failure']}"
    if "error" in row:
        return f"not built: {row['error']}"
    if "model" not in row:
        return f"Cα recall at 1 Å {row['evidence']['recall_1.0']:.1%}"
    return f"TM-score {_figure(row['model']['tm_score'], 3)}, Cα RMSD {_figure(row['model']['ca_rmsd'], 2)} Å"


COLUMNS = {
    "TM-score": ("tm_score", 3),
    "Cα RMSD, Å": ("ca_rmsd", 2),
    "coverage": ("coverage", 3),
    "residue match": ("residue_match", 3),
    "sequence match": ("sequence_match", 3),
}


def print_table(suite: str, report: dict[str, Any], quiet: bool) -> None:
    """The targets and their means, on standard output."""
    from rich.console import Console
    from rich.table import Table

    from deepmm_jax.benchmark.summary import MATCHES

    table = Table(title=suite)
    table.add_column("target")
    summary, cases = report["summary"], report["cases"]
    if "built" not in summary:
        columns = list(summary.get("evidence", {}))[:6]
        for name in columns:
            table.add_column(name, justify="right")
        for name, row in cases.items():
            table.add_row(name, *(_figure(row.get("evidence", {}).get(key), 3) for key in columns))
        table.add_section()
        table.add_row("mean", *(_figure(summary["evidence"][key], 3) for key in columns))
    else:
        for name in (*COLUMNS, "best of ten"):
            table.add_column(name, justify="right")
        for name, row in cases.items():
            figures = [_figure(row.get("model", {}).get(key), digits) for key, digits in COLUMNS.values()]
            table.add_row(name, *figures, _figure(row.get("best_tm_score_of_ten"), 3))
        table.add_section()
        means = [summary["tm_score_mean"], summary.get("ca_rmsd_mean")]
        means += [summary[key] for key in MATCHES]
        table.add_row("mean", *(_figure(value, digits) for value, (_, digits) in zip(means, COLUMNS.values())), "")
        for label, key in (("top 1", "top1"), ("top 10", "top10")):
            rates = summary[key]
            shares = [f"{rates['tm_score_above_0.5']:.0%}", f"{rates['ca_rmsd_below_10']:.0%}"]
            table.add_row(f"{label}: above 0.5, below 10 Å", *shares, "", "", "", "")
    console = Console(quiet=quiet, highlight=False, width=None if sys.stdout.isatty() else 120)
    console.print(table)
    for resolutions, row in report.get("by_resolution", {}).items():
        console.print(
            f"{resolutions} Å: TM-score above 0.5 {row['tm_score_above_0.5']} of {row['chains']} "
            f"({row['tm_score_above_0.5_of_ten']} by the best of ten), mean {row['tm_score']:.2f}"
        )
    for name, row in cases.items():
        if "failure" in row or "error" in row:
            console.print(f"{name}: {in_short(row)}", markup=False)


def _figure(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
