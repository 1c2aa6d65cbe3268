"""`deepmm-jax build`: from a map and a sequence to ranked models."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from deepmm_jax_cli.options import ORIGIN_HELP, Device, Origin, Preset, select_device


def build(
    map_path: Annotated[Path, typer.Argument(metavar="MAP", help="Density map (.mrc, .map, .ccp4, or gzipped).")],
    sequence: Annotated[Path, typer.Option("--sequence", "-s", help="FASTA file, one record a chain.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")],
    resolution: Annotated[float | None, typer.Option("--resolution", "-r", help="Resolution of the map, Å.")] = None,
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
    until: Annotated[Literal["evidence", "calpha"], typer.Option(help="Stop after this stage.")] = "calpha",
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.")] = None,
    checkpoint: Annotated[str | None, typer.Option(help="Whole-map network: folder or shipped name.")] = None,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the search.")] = 0,
    origin: Annotated[Origin, typer.Option(help=ORIGIN_HELP)] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Use the stages that an earlier run finished.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write into a folder that holds files.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print details.")] = False,
) -> None:
    """Build ranked Cα models of the chains of a FASTA file into a density map."""
    select_device(device, threads)
    from deepmm_jax.config import build_config
    from deepmm_jax_cli.console import Progress, ending_at_signals
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
        models=models,
        full_length=full_length,
    )
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
        network=settings.network,
        verbose=verbose,
    )
    with writing(output), open_log(output, resume=resume) as log:
        prepare_directory(output, resume=resume)
        progress = Progress(log, quiet)
        try:
            with ending_at_signals(lambda: kept_stages(output), progress):
                build_into(output, inputs, settings, seed=seed, until=until, resume=resume, progress=progress)
        except Exception as error:
            progress.fail(error)
            raise


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inputs:
    """Everything that was read, and what was noticed in reading it."""

    density: Any
    profiles: list[Any]
    resolution: float | None
    description: dict[str, Any]
    warnings: list[str]


def read_inputs(
    map_path: Path,
    sequence: Path,
    secondary_structure: str,
    *,
    origin: Origin = "auto",
    contour: float | None = None,
    mask: Path | None = None,
    resolution: float | None = None,
    network: str | None = None,
    verbose: bool = False,
) -> Inputs:
    """Read and check the input before any long computation: first what is quickly read, last what needs JAX."""
    from deepmm_jax.density.mask import apply_mask, check_contour
    from deepmm_jax.density.mrc import read_map
    from deepmm_jax.errors import ConfigError
    from deepmm_jax.sequence.fasta import profiles_from_fasta
    from deepmm_jax_cli.console import listen
    from deepmm_jax_cli.folder import describe_input

    warnings = listen(verbose)
    if resolution is not None and not 1.0 <= resolution <= 20.0:
        raise ConfigError(
            f"--resolution {resolution:g} Å cannot be right; give the map's resolution, 2.5–5 Å as a rule"
        )
    if contour is not None and not contour > 0:
        raise ConfigError(f"--contour {contour:g} cannot be right; give a level above 0, in the units of the map")
    prediction = None if secondary_structure in ("predict", "none") else Path(secondary_structure)
    profiles, noticed = profiles_from_fasta(sequence, prediction)
    density = read_map(map_path, origin=origin)
    description = {"map": describe_input(map_path, density)}
    if mask is not None:
        density = apply_mask(density, read_map(mask, origin=origin), name=str(mask))
        description["mask"] = describe_input(mask)
    if contour is not None:
        check_contour(density, contour, name=str(map_path))
    warnings += [*noticed, *crowding(density, sum(map(len, profiles)), contour, name=str(map_path))]
    if network is not None:
        from deepmm_jax.networks.inference import load_network

        load_network(network)  # to hear of a bad one before anything is written
    if secondary_structure == "predict":
        from deepmm_jax.networks.secondary_structure import predict_secondary_structure

        profiles, _ = profiles_from_fasta(sequence, predict_secondary_structure)
    description["sequence"] = describe_input(sequence)
    if prediction is not None:
        description["secondary_structure"] = describe_input(prediction)
    if len(profiles) > 1:
        warnings.append(
            f"{sequence} has {len(profiles)} chains: they are built one after another, each in the density that the "
            "earlier ones left; an assignment that weighs all of them together is not made yet"
        )
    return Inputs(density=density, profiles=profiles, resolution=resolution, description=description, warnings=warnings)


def crowding(density: Any, n_residues: int, contour: float | None, name: str) -> list[str]:
    """A warning if the sequence needs three times the volume that the map's density fills, or a third of it."""
    from deepmm_jax.density.scaling import RESIDUE_VOLUME, default_threshold
    from deepmm_jax.errors import MapError

    try:
        threshold = default_threshold(density.data, contour)
    except MapError as error:
        raise MapError(f"{name}: {error}") from error
    volume = float((density.data > threshold).sum() * density.step.prod())
    needed = RESIDUE_VOLUME * n_residues
    if volume > 3 * needed:
        return [
            f"{volume:,.0f} Å³ of {name} lie above {threshold:.4g}, but {n_residues} residues fill only about "
            f"{needed:,.0f} Å³: the map holds more than the sequence; cut out one chain, or give --mask or --contour"
        ]
    if needed <= 3 * volume:
        return []
    return [
        f"{n_residues} residues fill about {needed:,.0f} Å³, but only {volume:,.0f} Å³ of {name} lie above "
        f"{threshold:.4g}: most of them cannot be built; check the sequence, the voxel size and the contour level"
    ]


def build_into(
    output: Path, inputs: Inputs, settings: Any, *, seed: int, until: str, resume: bool, progress: Any
) -> dict[str, Any]:
    """Run the pipeline and write everything; returns the summary. Shared with `demo`."""
    import jax

    from deepmm_jax.networks.checkpoints import find_checkpoint
    from deepmm_jax.pipeline import build_chains, map_evidence
    from deepmm_jax.stages import StageRunner, StageStore, digest
    from deepmm_jax_cli import outputs
    from deepmm_jax_cli.console import peak_memory_mb

    device = jax.devices()[0].device_kind
    progress.say(f"deepmm-jax {outputs.versions()['deepmm-jax']} on {device}")
    progress.tell(inputs.warnings)
    run = StageRunner(observer=progress, store=StageStore(output / "stages"), reuse=resume)
    n_residues = sum(len(profile) for profile in inputs.profiles)
    evidence = map_evidence(inputs.density, n_residues, settings, run=run)
    progress.tell(inputs.warnings)
    outputs.write_evidence_maps(output, evidence)
    summary: dict[str, Any] = {"schema_version": outputs.SCHEMA_VERSION, "n_residues": n_residues}
    if until != "evidence":
        models = build_chains(evidence, inputs.profiles, settings, seed=seed, run=run)
        progress.tell(inputs.warnings)
        outputs.write_models(output, inputs.profiles, models, Path(inputs.description["map"]["path"]).name)
        summary |= outputs.summarise(inputs.profiles, models)
    progress.tell(inputs.warnings)
    why = "the model is Cα only" if inputs.resolution is not None else "no --resolution was given"
    summary |= {
        "cc_mask": None,
        "cc_mask_reason": why,
        "resolution": inputs.resolution,
        "timings_seconds": progress.seconds,
        "peak_memory_mb": peak_memory_mb(),
        "device": device,
        "versions": outputs.versions(),
        "network": settings.network,
        "network_sha256": digest(find_checkpoint(settings.network)),
        "input": inputs.description,
        "seed": seed,
        "warnings": inputs.warnings,
    }
    outputs.write_json(output / "summary.json", summary)
    if until == "evidence":
        progress.say(f"evidence in {output / 'maps'}")
    else:
        progress.say(
            f"{summary['n_built']} of {n_residues} residues built, MScore {summary['mscore']:.2f} "
            f"(equation 5 of the paper: TM-score {summary['predicted_tm_score']:.2f}); "
            f"best model: {output / 'model.cif'}"
        )
    return summary
