"""`deepmm-jax evaluate`: a model against a reference."""

import json
from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    model: Annotated[Path, typer.Argument(help="Model (mmCIF or PDB).")],
    reference: Annotated[Path, typer.Argument(help="Reference structure (mmCIF or PDB).")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare a model with a reference; residues correspond by sequence alignment, never by number."""
    from deepmm_jax.assessment.report import evaluate_model
    from deepmm_jax.structure.read import read_chains

    figures = evaluate_model(read_chains(model), read_chains(reference))
    if as_json:
        typer.echo(json.dumps(figures, indent=2))
        return
    for name, value in figures.items():
        shown = "not measurable" if value is None else f"{value:.3f}" if isinstance(value, float) else value
        typer.echo(f"{name:<20} {shown}")
