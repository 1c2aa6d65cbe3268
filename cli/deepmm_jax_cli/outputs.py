"""What `build` and `refine` write into their folders."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.allatom.values import AllAtomModel
from deepmm_jax.assessment.geometry import geometry_figures
from deepmm_jax.assessment.map_correlation import MapCorrelation, correlate
from deepmm_jax.confidence.mscore import predicted_cc_mask, predicted_tm_score, refitted_tm_score
from deepmm_jax.confidence.residues import expected_right
from deepmm_jax.constants import ONE_TO_THREE
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc import write_map
from deepmm_jax.errors import MapError, StructureError
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.files import atomic_path
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.stages import DEPENDENCIES
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.modelcif import ScoredModel, write_modelcif
from deepmm_jax.structure.write import write_pdb
from deepmm_jax_cli.console import Progress, logger, peak_memory_mb


SCHEMA_VERSION = 1
CHAIN_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
CHAIN_NAMES = (*CHAIN_LETTERS, *map("".join, product(CHAIN_LETTERS, repeat=2)))


def write_evidence_maps(output: Path, evidence: Evidence) -> None:
    """`maps/mainchain.mrc` and `maps/calpha.mrc`, which overlay the input."""
    for name, volume in (("mainchain", evidence.main_chain), ("calpha", evidence.calpha)):
        density = DensityMap(data=volume, step=evidence.step, origin=evidence.origin)
        write_map(output / "maps" / f"{name}.mrc", density)


def rank_models(
    profiles: Sequence[SequenceProfile], models: Sequence[CalphaModels], atoms: Sequence[Sequence[AllAtomModel]]
) -> list[ScoredModel]:
    """The models of all chains by rank, best first, with the atoms that are given; B factors are confidence × 100.

    A chain with fewer models shows its last, and one that is not built is left out.
    """
    ranked = []
    for rank in range(max(len(m) for m in models)):
        chains, confidence = [], []
        for name, of_chain, placed in zip(CHAIN_NAMES, models, atoms, strict=False):
            if not of_chain.built[0].any():
                continue
            r = min(rank, len(of_chain) - 1)
            values = (of_chain.support if of_chain.confidence is None else of_chain.confidence)[r]
            chain = placed[r].chain(name, values)
            chains.append(chain)
            confidence.append(np.clip(values[chain.register], 0.0, 1.0))
        ranked.append(
            ScoredModel(
                chains=tuple(chains),
                confidence=tuple(confidence),
                scores={"MScore": _mscore(profiles, models, rank)},
                name=f"rank {rank + 1}",
            )
        )
    return ranked


def write_models(output: Path, ranked: Sequence[ScoredModel], title: str, map_name: str, openmm: str | None) -> None:
    """`models/model_NN.cif`, `model.cif` and `model.pdb`; OpenMM of this version minimised the first model."""
    for rank, model in enumerate(ranked):
        path = output / "models" / f"model_{rank + 1:02d}.cif"
        write_modelcif(path, [model], title, map_name, openmm=None if rank else openmm)
    write_modelcif(output / "model.cif", ranked[:1], title, map_name, openmm=openmm)
    write_pdb_if_it_fits(output / "model.pdb", ranked[0].chains, title)


def write_pdb_if_it_fits(path: Path, chains: Sequence[Chain], title: str) -> None:
    """A PDB file, or a warning that says why this format cannot hold the model."""
    try:
        write_pdb(path, [chains], title)
    except StructureError as error:
        if isinstance(error.__cause__, OSError):
            raise
        logger.warning("%s", error)


def write_confidence(path: Path, profiles: Sequence[SequenceProfile], best: ScoredModel) -> None:
    """A table of every residue of the sequences: chain, number, name, whether it is built, confidence from 0 to 1."""
    rows = [("chain", "number", "residue", "built", "confidence")]
    for name, profile, values in residue_confidences(profiles, best):
        for place, (letter, value) in enumerate(zip(profile.letters, values, strict=True)):
            there = not np.isnan(value)
            shown = f"{value:.3f}" if there else ""
            rows.append((name, str(place + 1), ONE_TO_THREE.get(letter, "UNK"), str(int(there)), shown))
    with atomic_path(path) as partial, partial.open("w", encoding="ascii", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


def residue_confidences(
    profiles: Sequence[SequenceProfile], best: ScoredModel
) -> Iterator[tuple[str, SequenceProfile, Float[np.ndarray, "n"]]]:
    """Name, profile and confidence of every residue of each chain; NaN where it is not built."""
    built = {chain.name: chain.register for chain in best.chains}
    known = dict(zip(built, best.confidence or (), strict=True))
    for name, profile in zip(CHAIN_NAMES, profiles, strict=False):
        values = np.full(len(profile), np.nan)
        if name in built:
            values[built[name]] = known[name]
        yield name, profile, values


def _mscore(profiles: Sequence[SequenceProfile], models: Sequence[CalphaModels], rank: int) -> float:
    """MScore of the models of one rank together: the mean over all residues of all chains (equation 4)."""
    scores = [ranked.mscores[min(rank, len(ranked) - 1)] for ranked in models]
    return float(np.average(scores, weights=[len(profile) for profile in profiles]))


def summarise(profiles: Sequence[SequenceProfile], models: Sequence[CalphaModels], best: ScoredModel) -> dict[str, Any]:
    """The part of summary.json that describes the models."""
    chains = []
    for name, profile, ranked in zip(CHAIN_NAMES, profiles, models, strict=False):
        mscore = float(ranked.mscores[0])
        chains.append(
            {
                "chain": name,
                "name": profile.name,
                "n_residues": len(profile),
                "n_built": int(ranked.built[0].sum()),
                "score": float(ranked.scores[0]),
                "mscore": mscore,
                "confidence": expected_right(ranked),
                "predicted_tm_score": predicted_tm_score(mscore) if ranked.built[0].any() else None,
                "refitted_tm_score": refitted_tm_score(mscore) if ranked.built[0].any() else None,
                "predicted_cc_mask": predicted_cc_mask(mscore) if ranked.built[0].any() else None,
                "models": [
                    {
                        "rank": rank + 1,
                        "score": float(ranked.scores[rank]),
                        "mscore": float(ranked.mscores[rank]),
                        "n_built": int(ranked.built[rank].sum()),
                    }
                    for rank in range(len(ranked))
                ],
            }
        )
    mscore = _mscore(profiles, models, 0)
    return {
        "n_residues": sum(chain["n_residues"] for chain in chains),
        "n_built": sum(chain["n_built"] for chain in chains),
        "score": sum(chain["score"] for chain in chains),
        "mscore": mscore,
        "confidence": float(
            np.average([chain["confidence"] for chain in chains], weights=[chain["n_residues"] for chain in chains])
        ),
        "predicted_tm_score": predicted_tm_score(mscore),
        "refitted_tm_score": refitted_tm_score(mscore),
        "predicted_cc_mask": predicted_cc_mask(mscore),
        "geometry": geometry_figures(best.chains),
        "chains": chains,
        "models": [f"models/model_{rank + 1:02d}.cif" for rank in range(max(len(m) for m in models))],
    }


def fit_to_map(
    density: DensityMap, chains: Sequence[Chain], resolution: float | None
) -> tuple[MapCorrelation | None, str | None]:
    """How well the model fits the map, with one fitted B; or None and the reason."""
    if resolution is None:
        return None, "no --resolution was given"
    if all({*chain.atom_names} == {"CA"} for chain in chains):
        return None, "the model is Cα only"
    try:
        return correlate(density, chains, resolution), None
    except MapError as error:
        return None, str(error)


def with_b_factor(model: ScoredModel, b: float) -> ScoredModel:
    """The model with one B factor (Å²) for all atoms."""
    chains = [replace(chain, b_factors=np.full_like(chain.b_factors, b)) for chain in model.chains]
    return replace(model, chains=tuple(chains))


def run_facts(progress: Progress, description: dict[str, Any], warnings: list[str]) -> dict[str, Any]:
    """The part of summary.json that describes the run."""
    return {
        "timings_seconds": progress.seconds,
        "peak_memory_mb": peak_memory_mb(),
        "device": device(),
        "versions": versions(),
        "input": description,
        "warnings": warnings,
    }


def minimiser(placed: Sequence[AllAtomModel], minimised: Sequence[AllAtomModel]) -> str | None:
    """The version of OpenMM, if it moved an atom."""
    pairs = zip(placed, minimised, strict=True)
    moved = any(not np.array_equal(a.positions, b.positions, equal_nan=True) for a, b in pairs)
    return version("openmm") if moved else None


def device() -> str:
    """What computes."""
    import jax

    from deepmm_jax.devices import device_names

    return device_names(jax.local_devices())


def device_plan(evidence: Literal["whole-map", "boxes"]) -> str:
    """Devices, their memory, and how much of a map each looks at together, for the first line of a run."""
    import jax

    from deepmm_jax.devices import describe, items_a_device
    from deepmm_jax.networks.box_inference import BATCH, BYTES_A_BOX, MOST_BOXES
    from deepmm_jax.networks.inference import MOST_TILES, NETWORK_BYTES_A_VOXEL, TILES

    devices = jax.local_devices()
    if evidence == "boxes":
        work = f"{items_a_device(devices[0], BYTES_A_BOX, BATCH, MOST_BOXES)} boxes"
    else:
        tiles = items_a_device(devices[0], NETWORK_BYTES_A_VOXEL * max(TILES) ** 3, 1, MOST_TILES)
        work = f"{tiles} tile{'s' if tiles > 1 else ''} of up to {max(TILES)}³ voxels"
    return f"{describe(devices)}; {work} at a time{' on each' if len(devices) > 1 else ''}"


def versions() -> dict[str, str]:
    """Versions of the program and of what its numbers depend on."""
    return {name: version(name) for name in ("deepmm-jax", "gemmi", *DEPENDENCIES)}


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write JSON, all or nothing."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")
