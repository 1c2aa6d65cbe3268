"""`deepmm-jax info`: what a map file says of itself."""

import json
from typing import Annotated

import typer

from deepmm_jax_cli.options import (
    MapArgument,
    OriginOption,
)


def info(
    map_path: MapArgument,
    origin: OriginOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the header of a map, where it lies, its statistics, and what is odd about it."""
    from deepmm_jax.density.mrc import describe_map

    facts = describe_map(map_path, origin=origin)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    warnings = facts.pop("warnings")
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        shown = (
            ", ".join(f"{v:.6g}" if isinstance(v, float) else str(v) for v in value)
            if isinstance(value, list)
            else value
        )
        typer.echo(f"{name:<{width}}  {shown:.6g}" if isinstance(shown, float) else f"{name:<{width}}  {shown}")
    for warning in warnings:
        typer.echo(f"warning: {warning}")
