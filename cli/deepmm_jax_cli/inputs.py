"""What `build` and `demo` are given: read, checked and described before any long computation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepmm_jax_cli.options import Origin, check_resolution


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Everything that was read, and what was noticed in reading it."""

    density: Any
    profiles: list[Any]
    resolution: float | None
    origin: Origin
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
    settings: Any = None,
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
    check_resolution(resolution)
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
    if settings is not None:
        from deepmm_jax.networks.boxes import load_box_network
        from deepmm_jax.networks.checkpoints import read_card
        from deepmm_jax.networks.inference import load_network

        # To hear of a bad one before anything is written.
        if settings.evidence == "boxes":
            load_box_network(settings.box_a, "box-a")
            load_box_network(settings.box_b, "box-b")
            for name in settings.networks:
                if (card := read_card(name)).get("undertrained"):
                    warnings.append(
                        f"network {name} is undertrained ({card.get('schedule', 'see its card.json')}); models are "
                        f"better with the evidence of a whole-map network: --checkpoint {settings.network}"
                    )
        else:
            load_network(settings.network)
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
    return Inputs(
        density=density,
        profiles=profiles,
        resolution=resolution,
        origin=origin,
        description=description,
        warnings=warnings,
    )


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
