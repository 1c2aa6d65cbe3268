"""`deepmm-jax refine`: a model that is known, with all its atoms, in a density map."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from deepmm_jax_cli.options import (
    Config,
    DeviceOption,
    MapArgument,
    OriginOption,
    Overwrite,
    Preset,
    Quiet,
    Resolution,
    Threads,
    Verbose,
    check_resolution,
    select_device,
)


def refine(
    model: Annotated[Path, typer.Argument(help="Model, Cα alone or with other atoms (mmCIF or PDB, or gzipped).")],
    map_path: MapArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path("refined"),
    resolution: Resolution = None,
    preset: Annotated[Preset, typer.Option(help="Whose settings of the minimisation.")] = "experimental",
    no_minimise: Annotated[
        bool, typer.Option("--no-minimise", help="Add the missing atoms only, and leave the others where they are.")
    ] = False,
    config: Config = None,
    device: DeviceOption = "auto",
    threads: Threads = None,
    origin: OriginOption = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Give a model its missing atoms and minimise it in a density map; chain names and residue numbers stay."""
    select_device(device, threads)
    from deepmm_jax.config import build_config
    from deepmm_jax.density.mrc import read_map
    from deepmm_jax.structure.read import read_chains
    from deepmm_jax_cli.console import ending_at_signals, following, listen
    from deepmm_jax_cli.folder import (
        check_directory,
        check_inputs_survive,
        describe_input,
        open_log,
        prepare_directory,
        writing,
    )

    settings = build_config(preset, file=config, minimise=False if no_minimise else None)
    check_resolution(resolution)
    with writing(output):
        check_directory(output, resume=False, overwrite=overwrite)
        check_inputs_survive(output, [model, map_path])
    warnings = listen(verbose)
    chains = peptides(read_chains(model), str(model))
    density = read_map(map_path, origin=origin)
    check_place(chains, density, str(model), str(map_path))
    description = {"map": describe_input(map_path, density), "model": describe_input(model)}
    with writing(output), open_log(output, resume=False) as log:
        prepare_directory(output, resume=False, folders=())
        advice = "run the command again with --overwrite"
        with following(log, quiet) as progress, ending_at_signals(lambda: advice, progress):
            place = None if origin == "auto" else density.origin
            refine_into(output, chains, density, settings, resolution, description, warnings, progress, place)


def peptides(chains: Sequence[Any], name: str) -> list[Any]:
    """The chains of more than one residue, with a warning for the others; StructureError if there is none."""
    from deepmm_jax.errors import StructureError
    from deepmm_jax_cli.console import logger

    kept = [chain for chain in chains if len(chain) > 1]
    if not kept:
        raise StructureError(f"{name} has no chain of more than one residue; give a model of a protein")
    alone = [chain.name for chain in chains if len(chain) == 1]
    if alone:
        logger.warning("a single residue is no chain, left out: %s of %s", ", ".join(alone), name)
    return kept


def check_place(chains: Sequence[Any], density: Any, model: str, where: str) -> None:
    """Raise StructureError for a model of which most lies outside the map or where the map has no density."""
    import numpy as np

    from deepmm_jax.density.scaling import default_threshold
    from deepmm_jax.errors import MapError, StructureError

    try:
        threshold = default_threshold(density.data)
    except MapError as error:
        raise MapError(f"{where}: {error}") from error
    calpha = np.concatenate([chain.calpha for chain in chains])
    ijk = np.round(density.to_grid(calpha)).astype(int)
    inside = ((ijk >= 0) & (ijk < density.shape)).all(axis=1)
    for count, what in (
        (int(inside.sum()), "lie in"),
        (int((density.data[tuple(ijk[inside].T)] > threshold).sum()), "have density in"),
    ):
        if 2 * count < len(calpha):
            raise StructureError(
                f"only {count} of the {len(calpha)} residues of {model} {what} {where}; check that the two belong "
                "together, the placement of the map (--origin) and its voxel size (`deepmm-jax info`)"
            )


def refine_into(
    output: Path,
    chains: Sequence[Any],
    density: Any,
    settings: Any,
    resolution: float | None,
    description: dict[str, Any],
    warnings: list[str],
    progress: Any,
    place: Any,
) -> None:
    """Refine and write everything."""
    from deepmm_jax.allatom.completion import as_given, given_atoms, has_side_chains
    from deepmm_jax.assessment.geometry import geometry_figures
    from deepmm_jax.density.scaling import contour_level
    from deepmm_jax.pipeline import complete_atoms, minimise_best
    from deepmm_jax.stages import StageRunner
    from deepmm_jax.structure.modelcif import ScoredModel, write_modelcif
    from deepmm_jax_cli import outputs, view

    progress.say(f"deepmm-jax {outputs.versions()['deepmm-jax']} on {outputs.device()}")
    progress.tell(warnings)
    run = StageRunner(observer=progress)
    placed = complete_atoms(density, chains, run=run)
    if any(has_side_chains(given_atoms(chain)) for chain in chains):
        settings = replace(settings, minimisation=replace(settings.minimisation, repack=False))
    minimised = [model for (model,) in minimise_best(density, [[model] for model in placed], settings, run=run)]
    refined = [as_given(model, chain) for model, chain in zip(minimised, chains, strict=True)]
    map_path, model_path = (Path(description[name]["path"]) for name in ("map", "model"))
    title = f"{model_path.name} refined in {map_path.name}"
    write_modelcif(
        output / "model.cif",
        [ScoredModel(chains=tuple(refined))],
        title,
        map_path.name,
        starting_model=model_path.name,
        openmm=outputs.minimiser(placed, minimised),
    )
    outputs.write_pdb_if_it_fits(output / "model.pdb", refined, title)
    view.write_view(output, map_path, contour_level(density.data), view.B_FACTOR, place)
    before, _ = outputs.fit_to_map(density, chains, resolution)
    after, reason = outputs.fit_to_map(density, refined, resolution)
    progress.tell(warnings)
    summary = {
        "schema_version": outputs.SCHEMA_VERSION,
        "n_residues": sum(map(len, refined)),
        "n_atoms": sum(len(chain.atom_names) for chain in refined),
        "n_atoms_given": sum(len(chain.atom_names) for chain in chains),
        "geometry": geometry_figures(refined),
        "geometry_given": geometry_figures(chains),
        "cc_mask": None if after is None else after.mask,
        "cc_mask_given": None if before is None else before.mask,
        "cc_mask_reason": reason,
        "resolution": resolution,
        **outputs.run_facts(progress, description, warnings),
    }
    outputs.write_json(output / "summary.json", summary)
    progress.say(
        f"{summary['n_residues']} residues, {summary['n_atoms']} atoms ({summary['n_atoms_given']} given); "
        f"model: {output / 'model.cif'}"
    )
