"""`deepmm-jax evaluate`: a model against a reference, and both against a map."""

import json
from pathlib import Path
from typing import Annotated

import typer

from deepmm_jax_cli.options import (
    OriginOption,
    Resolution,
)


def evaluate(
    model: Annotated[Path, typer.Argument(help="Model (mmCIF or PDB).")],
    reference: Annotated[Path, typer.Argument(help="Reference structure (mmCIF or PDB).")],
    map_path: Annotated[Path | None, typer.Option("--map", help="Map (MRC or CCP4) that both should fit.")] = None,
    resolution: Resolution = None,
    origin: OriginOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare a model with a reference; residues correspond by sequence alignment, never by number.

    The stereochemistry of the model is judged too, if it has all atoms of its main chain.
    With a map, also the correlation of either with it; the B factors of the files are ignored, one is fitted to each.
    """
    from deepmm_jax.errors import ConfigError

    if map_path is not None and resolution is None:
        raise ConfigError(f"--map {map_path} needs --resolution: give that of the map in Å")
    if map_path is None and resolution is not None:
        raise ConfigError(f"--resolution {resolution:g} needs --map: give the map it belongs to")

    from deepmm_jax.assessment.geometry import geometry_figures
    from deepmm_jax.assessment.report import evaluate_in_map, evaluate_model
    from deepmm_jax.density.mrc import read_map
    from deepmm_jax.structure.read import read_chains

    chains, known = read_chains(model), read_chains(reference)
    figures: dict[str, float | int | None] = {}
    if map_path is not None and resolution is not None:
        density = read_map(map_path, origin=origin)
        names = (str(model), str(reference), f"the map {map_path}")
        figures |= evaluate_in_map(density, resolution, chains, known, names)
    figures = evaluate_model(chains, known) | geometry_figures(chains) | figures
    if as_json:
        typer.echo(json.dumps(figures, indent=2))
        return
    for name, value in figures.items():
        shown = "not measurable" if value is None else f"{value:.3f}" if isinstance(value, float) else value
        typer.echo(f"{name:<24} {shown}")
