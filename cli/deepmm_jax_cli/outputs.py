"""What `build` writes into its folder."""

import json
from collections.abc import Sequence
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.confidence.mscore import predicted_cc_mask, predicted_tm_score
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc import write_map
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.files import atomic_path
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.structure.modelcif import ScoredModel, write_modelcif
from deepmm_jax.structure.write import calpha_chain


SCHEMA_VERSION = 1
CHAIN_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
CHAIN_NAMES = (*CHAIN_LETTERS, *map("".join, product(CHAIN_LETTERS, repeat=2)))


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
    """The model of one rank; a chain with fewer models shows its last, and one that is not built is left out."""
    chains, confidence = [], []
    for name, profile, ranked in zip(CHAIN_NAMES, profiles, models, strict=False):
        if not ranked.built[0].any():
            continue
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
                "predicted_tm_score": predicted_tm_score(mscore) if ranked.built[0].any() else None,
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
        "predicted_tm_score": predicted_tm_score(mscore),
        "predicted_cc_mask": predicted_cc_mask(mscore),
        "chains": chains,
        "models": [f"models/model_{rank + 1:02d}.cif" for rank in range(max(len(m) for m in models))],
    }


def versions() -> dict[str, str]:
    """Versions of the program and of what its numbers depend on."""
    return {name: version(name) for name in ("deepmm-jax", "jax", "flax", "numpy", "scipy", "numba", "gemmi")}


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write JSON, all or nothing."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")
