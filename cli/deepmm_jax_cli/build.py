"""`deepmm-jax build`: from a map and a sequence to ranked all-atom models."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from deepmm_jax_cli.inputs import Inputs, read_inputs
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
    select_device,
)


def build(
    map_path: MapArgument,
    sequence: Annotated[Path, typer.Option("--sequence", "-s", help="FASTA file, one record a chain.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")],
    resolution: Resolution = None,
    contour: Annotated[
        float | None,
        typer.Option("--contour", "-c", help="Recommended contour level; density below half of it is dropped."),
    ] = None,
    mask: Annotated[
        Path | None, typer.Option("--mask", "-m", help="Map on the same grid; density where it is 0 is dropped.")
    ] = None,
    preset: Annotated[Preset, typer.Option(help="Which settings and network.")] = "experimental",
    secondary_structure: Annotated[
        str, typer.Option(help="Prediction file (.spd3, .ss2, …), `none`, or `predict`.")
    ] = "predict",
    rotations: Annotated[
        Literal[1, 4, 24] | None, typer.Option(help="Turns of the map over which the evidence is averaged.")
    ] = None,
    models: Annotated[int | None, typer.Option(min=1, max=100, help="Models kept.")] = None,
    full_length: Annotated[
        bool, typer.Option("--full-length", help="Build every residue, with or without density.")
    ] = False,
    until: Annotated[
        Literal["evidence", "calpha", "allatom"] | None,
        typer.Option(help="Stop after this stage."),
    ] = None,
    no_minimise: Annotated[
        bool, typer.Option("--no-minimise", help="Leave the atoms of the best model where they were placed.")
    ] = False,
    b_factor: Annotated[
        Literal["confidence", "fitted"],
        typer.Option(help="B column: confidence × 100, or the one B that fits the map best (needs --resolution)."),
    ] = "confidence",
    config: Config = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="Whole-map network: folder or shipped name; or a folder with box-a and box-b.")
    ] = None,
    device: DeviceOption = "auto",
    threads: Threads = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the search.")] = 0,
    origin: OriginOption = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Use the stages that an earlier run finished.")] = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Build ranked models of the chains of a FASTA file into a density map: Cα, then all heavy atoms."""
    select_device(device, threads)
    from deepmm_jax.config import build_config
    from deepmm_jax.errors import ConfigError
    from deepmm_jax_cli.console import ending_at_signals, following
    from deepmm_jax_cli.folder import (
        check_directory,
        check_inputs_survive,
        kept_stages,
        open_log,
        prepare_directory,
        writing,
    )

    settings = build_config(
        preset,
        file=config,
        network=checkpoint,
        contour=contour,
        rotations=rotations,
        until=until,
        models=models,
        full_length=full_length,
        minimise=False if no_minimise else None,
    )
    if b_factor == "fitted" and (resolution is None or settings.until != "allatom"):
        raise ConfigError("--b-factor fitted needs --resolution and all atoms; give both, or --b-factor confidence")
    with writing(output):
        check_directory(output, resume=resume, overwrite=overwrite)
        check_inputs_survive(output, [map_path, sequence, mask, Path(secondary_structure)])
    inputs = read_inputs(
        map_path,
        sequence,
        secondary_structure,
        origin=origin,
        contour=settings.contour,
        mask=mask,
        resolution=resolution,
        settings=settings,
        verbose=verbose,
    )
    with writing(output), open_log(output, resume=resume) as log:
        prepare_directory(output, resume=resume)
        with following(log, quiet) as progress, ending_at_signals(lambda: kept_stages(output), progress):
            build_into(output, inputs, settings, seed=seed, resume=resume, b_factor=b_factor, progress=progress)


def build_into(
    output: Path,
    inputs: Inputs,
    settings: Any,
    *,
    seed: int,
    resume: bool,
    b_factor: str = "confidence",
    progress: Any,
) -> dict[str, Any]:
    """Run the pipeline and write everything; returns the summary. Shared with `demo`.

    What a stage has made is written before the next one starts.
    """
    from deepmm_jax.networks.checkpoints import find_checkpoint
    from deepmm_jax.pipeline import build_chains, map_evidence
    from deepmm_jax.stages import StageRunner, StageStore, digest
    from deepmm_jax_cli import outputs
    from deepmm_jax_cli.report import write_report

    progress.say(f"deepmm-jax {outputs.versions()['deepmm-jax']} on {outputs.device_plan(settings.evidence)}")
    progress.tell(inputs.warnings)
    run = StageRunner(observer=progress, store=StageStore(output / "stages"), reuse=resume)
    n_residues = sum(len(profile) for profile in inputs.profiles)
    weights = [find_checkpoint(name) for name in settings.networks]
    evidence = map_evidence(inputs.density, n_residues, settings, run=run)
    progress.tell(inputs.warnings)
    outputs.write_evidence_maps(output, evidence)
    best, fit, reason = None, None, "no model was built"
    summary: dict[str, Any] = {"schema_version": outputs.SCHEMA_VERSION, "n_residues": n_residues}
    if settings.until != "evidence":
        traced = build_chains(evidence, inputs.profiles, settings, seed=seed, run=run)
        progress.tell(inputs.warnings)
        best, fit, reason = build_atoms_into(output, inputs, evidence, traced, settings, b_factor, run)
        summary |= outputs.summarise(inputs.profiles, traced, best)
    progress.tell(inputs.warnings)
    summary |= {
        "cc_mask": None if fit is None else fit.mask,
        "cc_mask_reason": reason,
        "resolution": inputs.resolution,
        **outputs.run_facts(progress, inputs.description, inputs.warnings),
        "network": ", ".join(settings.networks),
        "network_sha256": digest(weights[0] if len(weights) == 1 else weights),
        "seed": seed,
    }
    write_report(output, summary, inputs.profiles, best)
    outputs.write_json(output / "summary.json", summary)
    if settings.until == "evidence":
        progress.say(f"evidence in {output / 'maps'}")
    else:
        progress.say(
            f"{summary['n_built']} of {n_residues} residues built, MScore {summary['mscore']:.2f} "
            f"(expected TM-score: {summary['refitted_tm_score']:.2f}); "
            f"best model: {output / 'model.cif'}"
        )
    return summary


def build_atoms_into(
    output: Path, inputs: Inputs, evidence: Any, traced: Any, settings: Any, b_factor: str, run: Any
) -> tuple[Any, Any, str | None]:
    """Place the other atoms of Cα models and write all models; the best, its fit to the map, or why it has none."""
    from deepmm_jax.allatom.completion import calpha_only
    from deepmm_jax.density.scaling import contour_level
    from deepmm_jax.pipeline import build_atoms, minimise_best
    from deepmm_jax.structure.modelcif import write_modelcif
    from deepmm_jax_cli import outputs, view
    from deepmm_jax_cli.console import logger

    profiles, map_path = inputs.profiles, Path(inputs.description["map"]["path"])
    names = ", ".join(profile.name for profile in profiles)
    alone = [calpha_only(models, profile.letters) for models, profile in zip(traced, profiles, strict=True)]
    calpha = outputs.rank_models(profiles, traced, alone)
    write_modelcif(output / "calpha.cif", calpha, f"C-alpha models of {names}", map_path.name)

    placed = build_atoms(inputs.density, evidence, profiles, traced, settings, run=run)
    atoms = minimise_best(inputs.density, placed, settings, run=run)
    ranked = outputs.rank_models(profiles, traced, atoms)
    fit, reason = outputs.fit_to_map(inputs.density, ranked[0].chains, inputs.resolution)
    colours = view.CONFIDENCE
    if b_factor == "fitted" and fit is not None:
        ranked, colours = [outputs.with_b_factor(model, fit.b) for model in ranked], view.BY_CHAIN
    elif b_factor == "fitted":
        logger.warning("no B factor can be fitted (%s): the B column holds the confidence", reason)
    openmm = outputs.minimiser(*([first for first, *_ in each] for each in (placed, atoms)))
    outputs.write_models(output, ranked, f"Models of {names}", map_path.name, openmm)
    outputs.write_confidence(output / "confidence.csv", profiles, ranked[0])
    level = contour_level(inputs.density.data) if settings.contour is None else settings.contour
    place = None if inputs.origin == "auto" else inputs.density.origin
    view.write_view(output, map_path, level, colours, place)
    return ranked[0], fit, reason
