"""What `build` writes into its folder."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.confidence.mscore import predicted_cc_mask, predicted_tm_score
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc import write_map
from deepmm_jax.errors import ConfigError
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.structure.modelcif import ScoredModel, write_modelcif
from deepmm_jax.structure.write import calpha_chain


SCHEMA_VERSION = 1
CHAIN_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
CHAIN_NAMES = (*CHAIN_LETTERS, *map("".join, product(CHAIN_LETTERS, repeat=2)))
RESULTS = ("model.cif", "calpha.cif", "models/model_*.cif", "maps/mainchain.mrc", "maps/calpha.mrc", "summary.json")
RECORDS = ("log.txt", "stages/*.pickle")
"""What a run leaves for the one that resumes it."""


def check_directory(output: Path, *, resume: bool, overwrite: bool) -> None:
    """Raise ConfigError for an output folder that is a file, or holds files of which neither flag speaks."""
    if output.exists() and not output.is_dir():
        raise ConfigError(f"--output {output} is a file; give a folder")
    if output.is_dir() and any(output.iterdir()) and not (resume or overwrite):
        raise ConfigError(f"--output {output} is not empty; add --overwrite or --resume, or give another folder")


def prepare_directory(output: Path, *, resume: bool) -> None:
    """Create the output folder and remove the results of an earlier run, lest they pass for those of this one."""
    for folder in ("maps", "models", "stages"):
        (output / folder).mkdir(parents=True, exist_ok=True)
    for pattern in RESULTS if resume else RESULTS + RECORDS:
        for old in output.glob(pattern):
            old.unlink()


@contextmanager
def writing(output: Path) -> Iterator[None]:
    """What the file system refuses becomes a ConfigError that names the output folder."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"--output {output} cannot be written ({error}); free some space or give another") from error


def write_evidence_maps(output: Path, evidence: Evidence) -> None:
    """`maps/mainchain.mrc` and `maps/calpha.mrc`, which overlay the input."""
    for name, volume in (("mainchain", evidence.main_chain), ("calpha", evidence.calpha)):
        density = DensityMap(data=volume, step=evidence.step, origin=evidence.origin)
        write_map(output / "maps" / f"{name}.mrc", density)


def write_models(
    output: Path, profiles: Sequence[SequenceProfile], models: Sequence[CalphaModels], map_name: str
) -> list[ScoredModel]:
    """`model.cif`, `models/model_NN.cif` and `calpha.cif`; returns the models, best first."""
    ranked = [_scored_model(profiles, models, rank) for rank in range(max(len(m) for m in models))]
    title = f"C-alpha models of {', '.join(p.name for p in profiles)}"  # the file is ASCII
    for rank, model in enumerate(ranked):
        write_modelcif(output / "models" / f"model_{rank + 1:02d}.cif", [model], title, map_name)
    write_modelcif(output / "calpha.cif", ranked, title, map_name)
    write_modelcif(output / "model.cif", ranked[:1], title, map_name)
    return ranked


def _scored_model(profiles: Sequence[SequenceProfile], models: Sequence[CalphaModels], rank: int) -> ScoredModel:
    """The model of one rank; a chain with fewer models shows its last."""
    chains, confidence = [], []
    for name, profile, ranked in zip(CHAIN_NAMES, profiles, models, strict=False):
        r = min(rank, len(ranked) - 1)
        chain = calpha_chain(name, profile.letters, ranked.positions[r], ranked.support[r])
        chains.append(chain)
        confidence.append(np.clip(chain.b_factors / 100.0, 0.0, 1.0))
    return ScoredModel(
        chains=tuple(chains),
        confidence=tuple(confidence),
        scores={"MScore": _mscore(profiles, models, rank)},
        name=f"rank {rank + 1}",
    )


def _mscore(profiles: Sequence[SequenceProfile], models: Sequence[CalphaModels], rank: int) -> float:
    """MScore of the models of one rank together: the mean over all residues of all chains (equation 4)."""
    scores = [ranked.mscores[min(rank, len(ranked) - 1)] for ranked in models]
    return float(np.average(scores, weights=[len(profile) for profile in profiles]))


def summarise(profiles: Sequence[SequenceProfile], models: Sequence[CalphaModels]) -> dict[str, Any]:
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
                "predicted_tm_score": predicted_tm_score(mscore),
                "predicted_cc_mask": predicted_cc_mask(mscore),
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
        "predicted_tm_score": predicted_tm_score(mscore),
        "predicted_cc_mask": predicted_cc_mask(mscore),
        "chains": chains,
        "models": [f"models/model_{rank + 1:02d}.cif" for rank in range(max(len(m) for m in models))],
    }


def describe_input(path: Path, density: DensityMap | None = None) -> dict[str, Any]:
    """Path, digest and placement rule of an input file."""
    with path.open("rb") as stream:
        facts = {"path": str(path), "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
    if density is not None:
        facts["placement_rule"] = density.placement
    return facts


def versions() -> dict[str, str]:
    """Versions of the program and of what its numbers depend on."""
    return {name: version(name) for name in ("deepmm-jax", "jax", "flax", "numpy", "scipy", "numba", "gemmi")}


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write JSON so that the file appears whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    os.replace(partial, path)
