"""`deepmm-jax simulate`: the map that a structure would give."""

from pathlib import Path
from typing import Annotated

import typer


def simulate(
    structure: Annotated[Path, typer.Argument(help="Structure (mmCIF or PDB, or gzipped).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Map to write (.mrc or .mrc.gz).")],
    resolution: Annotated[float, typer.Option("--resolution", "-r", min=1.0, max=50.0, help="Å.")] = 5.0,
    step: Annotated[float, typer.Option(min=0.2, max=10.0, help="Voxel size, Å.")] = 1.0,
    chain: Annotated[str | None, typer.Option(help="One chain by name; all by default.")] = None,
) -> None:
    """Simulate a density map from a structure, in EMAN2's form."""
    import numpy as np

    from deepmm_jax.density.mrc import write_map
    from deepmm_jax.density.simulate import simulate_map
    from deepmm_jax.errors import ConfigError, StructureError
    from deepmm_jax.structure.read import read_chains

    if output.resolve() == structure.resolve():
        raise ConfigError(f"--output {output} is the structure itself; give another file for the map")
    chains = read_chains(structure)
    if chain is not None:
        names = [c.name for c in chains]
        if chain not in names:
            raise StructureError(f"{structure} has no chain {chain!r}; it has {', '.join(names)}")
        chains = [c for c in chains if c.name == chain]
    positions = np.concatenate([c.positions for c in chains])
    numbers = np.concatenate([c.atomic_numbers for c in chains])
    density = simulate_map(positions, numbers, resolution, step)
    write_map(output, density)
    nx, ny, nz = density.shape
    typer.echo(
        f"{output}: {nx} × {ny} × {nz} voxels of {step:g} Å, {sum(map(len, chains))} residues at {resolution:g} Å"
    )
