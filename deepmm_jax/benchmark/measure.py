"""One target built and compared with its true structure: a row of figures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.assessment.correspondence import pair_residues
from deepmm_jax.assessment.evidence import evidence_figures
from deepmm_jax.assessment.geometry import geometry_figures
from deepmm_jax.assessment.map_correlation import correlate, residue_correlations
from deepmm_jax.assessment.q_score import mean_q_score
from deepmm_jax.assessment.reliability import right_residues
from deepmm_jax.assessment.report import evaluate_model
from deepmm_jax.benchmark.mainmast import mainmast_models
from deepmm_jax.benchmark.targets import Case, Target, read_target
from deepmm_jax.config import BuildConfig
from deepmm_jax.errors import MapError, NothingBuiltError
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.files import data_directory
from deepmm_jax.networks.checkpoints import find_checkpoint
from deepmm_jax.pipeline import build_atoms, build_chains, map_evidence, minimise_best
from deepmm_jax.rating import typing_of
from deepmm_jax.sequence.profile import SequenceProfile
from deepmm_jax.stages import StageRunner, digest, program_digest
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.write import calpha_chain


Row = dict[str, Any]
"""Figures of a target, as JSON has them: `model` is the best one, `best_…_of_ten` the best figures of the ten ranked;
`error` says why nothing could be built, `failure` what went wrong."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """How the targets of a suite are measured: with the settings of `build`, or with a program to compare with.

    `data` None: in the data folder of whoever measures.
    """

    config: BuildConfig
    baseline: Literal["mainmast"] | None = None
    data: Path | None = None

    def digests(self) -> dict[str, str]:
        """What figures depend on besides the target: digests of settings, weights and program."""
        nameless = replace(self.config, network="", box_a="", box_b="")
        return {
            "settings": digest((nameless, self.baseline)),
            "weights": digest([find_checkpoint(name) for name in self.config.networks]),
            "program": program_digest(),
        }

    def data_digest(self, target: Target) -> str:
        """That of the files of a target."""
        return digest(target.sources(self.data or data_directory()))


def measure(target: Target, work: Work) -> Row:
    """Read, build, compare: figures of the model, of the evidence, of both structures in the map; seconds by stage."""
    case = read_target(target, work.data or data_directory())
    timings: dict[str, float] = {}

    def watch(stage: str, value: Any, seconds: float, *, restored: bool = False) -> None:
        if value is not None:
            timings[stage] = round(seconds, 2)

    config, run = work.config, StageRunner(observer=watch)
    row: Row = {
        "resolution": round(case.resolution, 3),
        "in_map": {"reference": map_figures(case, case.reference)},
        "seconds": timings,
    }
    if work.baseline == "mainmast":
        try:
            models = mainmast_models(case, simulated=target.kind in ("simulated", "example"), run=run)
        except NothingBuiltError as error:
            return row | {"error": str(error)}
        row["seconds_total"] = round(sum(timings.values()), 1)
        figures = model_figures(case.profiles, models, case.reference)
        return row | {name: value for name, value in figures.items() if name != "mscore"}
    evidence = map_evidence(case.density, sum(map(len, case.profiles)), config, run=run)
    found = evidence_figures(evidence, case.reference, *typing_of(config))
    row["evidence"] = _rounded(found)
    if config.until == "evidence":
        return row
    try:
        models = build_chains(evidence, case.profiles, config, run=run)
    except NothingBuiltError as error:
        return row | {"error": str(error)}
    row |= model_figures(case.profiles, models, case.reference)
    row["residues"] = residue_figures(case.profiles, models, case.reference)
    if config.until == "allatom":
        row["atoms"], minimised = atom_figures(case, evidence, models, config, run)
        row["in_map"]["model"] = map_figures(case, minimised)
        if target.kind == "real":  # maps that are simulated differ less from place to place
            row["in_map"]["by_residue"] = correlations_by_residue(case, minimised, row["in_map"])
    row["seconds_total"] = round(sum(timings.values()), 1)
    return row


def map_figures(case: Case, chains: Sequence[Chain]) -> Row:
    """How well chains with all their atoms fit the map: `cc_mask` with its B factor (Å²), mean `q_score`.

    Empty for a map in which they cannot be judged.
    """
    try:
        fit = correlate(case.density, chains, case.resolution)
    except MapError:
        return {}
    q_score = mean_q_score(case.density, chains)
    return {"cc_mask": round(fit.mask, 4), "b": round(fit.b, 1), "q_score": round(q_score, 4)}


def correlations_by_residue(case: Case, model: Sequence[Chain], fits: Row) -> Row:
    """Correlation with the map of every residue of the `reference`, whose `numbers` come with it, and of that residue
    in the `model`; None outside the map, and where it is not built.

    `fits` are the `map_figures` of both; empty if one of them is.
    """
    columns = {}
    for whose, chains in (("reference", case.reference), ("model", model)):
        if not fits[whose]:
            return {}
        found = [residue_correlations(case.density, chain, case.resolution, fits[whose]["b"]) for chain in chains]
        residues = [np.full(len(chain), np.nan) for chain in case.reference]
        pairs = pair_residues(chains, case.reference)
        for pair in range(len(pairs)):
            value = found[pairs.model_chain[pair]][pairs.model_residue[pair]]
            residues[pairs.reference_chain[pair]][pairs.reference_residue[pair]] = value
        columns[whose] = [None if np.isnan(r) else round(float(r), 3) for r in np.concatenate(residues)]
    return {"numbers": np.concatenate([chain.numbers for chain in case.reference]).tolist(), **columns}


def model_figures(profiles: Sequence[SequenceProfile], models: Sequence[CalphaModels], reference: list[Chain]) -> Row:
    """Figures of ranked Cα models, those of every chain by rank; a chain with fewer models shows its last."""
    ranks = [
        evaluate_model(
            [
                calpha_chain(chr(65 + c), profile.letters, model.positions[min(rank, len(model) - 1)])
                for c, (profile, model) in enumerate(zip(profiles, models, strict=True))
            ],
            reference,
        )
        for rank in range(max(map(len, models)))
    ]
    rmsds = [rank["ca_rmsd"] for rank in ranks if rank["ca_rmsd"] is not None]
    return {
        "mscore": round(float(np.mean([model.mscores[0] for model in models])), 3),
        "model": _rounded(ranks[0]),
        "best_tm_score_of_ten": round(max(float(rank["tm_score"] or 0) for rank in ranks), 4),
        "best_ca_rmsd_of_ten": round(min(rmsds), 4) if rmsds else None,
    }


def residue_figures(
    profiles: Sequence[SequenceProfile], models: Sequence[CalphaModels], reference: list[Chain]
) -> dict[str, list[float]]:
    """Of the residues of the best models, chain after chain: `confidence`, and `right`, 1 for those that are."""
    calpha = np.concatenate([chain.calpha for chain in reference])
    letters = "".join(chain.sequence for chain in reference)
    confidence, right = [], []
    for profile, model in zip(profiles, models, strict=True):
        if model.confidence is None:
            continue
        built = model.built[0]
        confidence += np.round(model.confidence[0][built].astype(float), 4).tolist()
        right += right_residues(model.positions[0], profile.letters, calpha, letters)[built].astype(int).tolist()
    return {"confidence": confidence, "right": right}


def atom_figures(
    case: Case, evidence: Evidence, models: list[CalphaModels], config: BuildConfig, run: StageRunner
) -> tuple[Row, list[Chain]]:
    """RMSDs and stereochemistry of the best model with all its atoms, minimised, and before that; the former itself."""
    placed = build_atoms(case.density, evidence, case.profiles, models, config, run=run)
    whole = minimise_best(case.density, placed, config, run=run)
    figures: Row = {}
    chains: list[Chain] = []
    for when, atoms in (("placed", placed), ("minimised", whole)):
        chains = [ranked[0].chain(chr(65 + c)) for c, ranked in enumerate(atoms) if ranked[0].mask.any()]
        found = evaluate_model(chains, case.reference)
        rmsds = {key: found[key] for key in ("ca_rmsd", "backbone_rmsd", "all_atom_rmsd")}
        figures[when] = _rounded(rmsds | geometry_figures(chains))
    return figures, chains


def _rounded(figures: dict[str, Any]) -> Row:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items()}
