"""`deepmm-jax data`: a training set from structures, from pairs of map and model, or from the archives."""

import os
from pathlib import Path
from typing import Annotated

import typer


def data(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the training set.")],
    structures: Annotated[
        Path | None, typer.Option(help="Folder of structures (PDB or mmCIF, gzipped or not).")
    ] = None,
    maps: Annotated[
        Path | None,
        typer.Option(
            help="CSV file with the columns map, structure, resolution, or a folder with such a MANIFEST.csv."
        ),
    ] = None,
    listed: Annotated[
        Path | None, typer.Option("--list", help="CSV file of PDB and EMDB entries, fetched from the archives.")
    ] = None,
    exclude: Annotated[
        list[Path] | None,
        typer.Option(help="FASTA file, structure or folder of them whose relatives are left out; may be repeated."),
    ] = None,
    exclude_identity: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Sequence identity of a relative (0.3).")
    ] = None,
    exclude_folds: Annotated[
        Path | None, typer.Option(help="Folder of structures; chains with a TM-score above 0.5 to one are left out.")
    ] = None,
    cluster_identity: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Identity at which chains count once (0.5).")
    ] = None,
    shortest: Annotated[int | None, typer.Option(min=1, help="Least residues of a chain (50).")] = None,
    longest: Annotated[int | None, typer.Option(min=1, max=512, help="Most residues of a chain (300).")] = None,
    complete: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Least share of residues with a whole side chain (1).")
    ] = None,
    unbroken: Annotated[bool, typer.Option("--unbroken", help="Only the longest piece of a chain without a break.")] = (
        False
    ),
    allow: Annotated[
        list[str] | None,
        typer.Option(help="Filter to leave out: models, nucleic, hetero or unknown; may be repeated."),
    ] = None,
    best_resolution: Annotated[float | None, typer.Option(help="Best resolution of maps, Å (2).")] = None,
    worst_resolution: Annotated[float | None, typer.Option(help="Worst resolution of maps, Å (5).")] = None,
    zone: Annotated[float | None, typer.Option(help="Density further from the chain is removed, Å (4).")] = None,
    correlation: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Least correlation of a chain with its map (0.65).")
    ] = None,
    validation: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Share of chains that validates, unless splits are given (0.05)."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of that choice (0).")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder where fetched files are kept; the user's cache by default.")
    ] = None,
    structure_url: Annotated[
        str | None, typer.Option(help="Address of structures, with {id}; that of the RCSB by default.")
    ] = None,
    map_url: Annotated[
        str | None, typer.Option(help="Address of maps, with {id} for the number; that of the EMDB by default.")
    ] = None,
) -> None:
    """Make a training set: filter, exclude relatives, fit to maps, group, split; say why each chain was kept or not.

    The same command again goes on where it stopped. `train` reads the folder with --data.
    """
    from deepmm_jax.errors import ConfigError
    from deepmm_jax_cli.folder import check_folder

    if structures is None and maps is None and listed is None:
        raise ConfigError("nothing to choose from; give --structures, --maps or --list")
    check_folder(output)
    given = {
        "shortest": shortest, "longest": longest, "complete": complete, "best_resolution": best_resolution,
        "worst_resolution": worst_resolution, "zone": zone, "correlation": correlation, "validation": validation,
        "cluster_identity": cluster_identity, "excluded_identity": exclude_identity, "seed": seed,
    }  # fmt: skip

    from deepmm_jax.training.curation.archive import MAP_URL, STRUCTURE_URL, Archive
    from deepmm_jax.training.curation.curation import Curator
    from deepmm_jax.training.curation.exclusion import read_excluded, read_folds
    from deepmm_jax.training.curation.settings import CurationSettings
    from deepmm_jax.training.curation.sources import read_list, read_pairs, read_structure_folder
    from deepmm_jax.training.curation.training_set import PROGRESS, reasons
    from deepmm_jax_cli.console import ending_at_signals

    if output.is_dir() and any(output.iterdir()) and not (output / PROGRESS).is_dir():
        raise ConfigError(f"--output {output} holds files that this command did not make; give another folder")
    settings = CurationSettings(
        **{name: value for name, value in given.items() if value is not None},
        unbroken=unbroken,
        allow=tuple(allow or ()),
    )
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    archive = Archive(
        cache=cache or root / "deepmm-jax" / "archives",
        structure_url=structure_url or STRUCTURE_URL,
        map_url=map_url or MAP_URL,
    )
    sources = [
        *(read_structure_folder(structures) if structures else ()),
        *(read_pairs(maps) if maps else ()),
        *(read_list(listed) if listed else ()),
    ]
    curate = Curator(
        output=output,
        settings=settings,
        archive=archive,
        excluded=read_excluded(exclude or ()),
        folds=read_folds(exclude_folds) if exclude_folds else {},
        report=typer.echo,
    )
    with ending_at_signals(lambda: "give the same command again to go on"):
        try:
            chains = curate(sources)
        except OSError as error:
            raise ConfigError(
                f"--output {output} cannot be written ({error}); mend that and give the same command again to go on"
            ) from error
    for kind, count in reasons(chains).items():
        typer.echo(f"{count:>8} left out  {kind}")
    for split in ("train", "val", "test"):
        typer.echo(f"{sum(c.kept and c.split == split for c in chains):>8} kept      {split}")
    typer.echo(f"{output}: why each chain is in the set or not stands in {output / 'manifest.csv'}")
