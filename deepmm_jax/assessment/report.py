"""A model against a reference and both against a map: every figure of `deepmm-jax evaluate` (section 3)."""

from collections.abc import Sequence

import numpy as np

from deepmm_jax.assessment.click import structure_overlap
from deepmm_jax.assessment.correspondence import Correspondence, pair_residues
from deepmm_jax.assessment.deviation import all_atom_rmsd, backbone_rmsd
from deepmm_jax.assessment.map_correlation import correlate
from deepmm_jax.assessment.match import residue_match
from deepmm_jax.assessment.q_score import mean_q_score
from deepmm_jax.assessment.tm_score import tm_score
from deepmm_jax.density.map import DensityMap
from deepmm_jax.errors import StructureError
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.superposition import rmsd, superposed_rmsd


def evaluate_model(model: Sequence[Chain], reference: Sequence[Chain]) -> dict[str, float | int | None]:
    """Compare a model with a reference; the keys are those that `evaluate --json` prints.

    Fractions are in [0, 1], RMSDs in Å; what cannot be measured is None (no pair, no such atoms). `coverage` is the
    fraction of reference residues that the model has, wherever it put them; RMSDs are over those pairs, in place
    unless the key says superposed; `tm_score` is by the length of the reference; `residue_match` and `sequence_match`
    pair by place alone (3.0 Å). All others pair residues by sequence. Raises StructureError if either side has no Cα.
    """
    ours, our_letters = _all_calpha(model, "model")
    theirs, their_letters = _all_calpha(reference, "reference")
    pairs = pair_residues(model, reference)
    paired_model, paired_reference = paired_calpha(model, reference, pairs)
    score = tm_score(paired_model, paired_reference, len(theirs))
    matched, right_letter = residue_match(ours, our_letters, theirs, their_letters)
    overlap, overlap_rmsd = structure_overlap(ours, theirs, score.rotation, score.translation)
    return {
        "n_model": len(ours),
        "n_reference": len(theirs),
        "coverage": len(pairs) / len(theirs),
        "ca_rmsd": float(rmsd(paired_model, paired_reference)) if len(pairs) else None,
        "ca_rmsd_superposed": float(superposed_rmsd(paired_model, paired_reference)) if len(pairs) else None,
        "tm_score": score.value,
        "residue_match": matched,
        "sequence_match": right_letter,
        "click_rmsd": overlap_rmsd,
        "click_overlap": overlap,
        "backbone_rmsd": backbone_rmsd(model, reference, pairs),
        "all_atom_rmsd": all_atom_rmsd(model, reference, pairs),
    }


def evaluate_in_map(
    density: DensityMap,
    resolution: float,
    model: Sequence[Chain],
    reference: Sequence[Chain],
    names: tuple[str, str, str] = ("the model", "the reference", "the map"),
) -> dict[str, float]:
    """Fit of a model in a map at `resolution` (Å) and, for comparison, of the reference.

    `cc_mask`, `cc_box`, `cc_peaks`, `cc_volume` and the B factor (Å²) `fitted_b`, which the atoms of each were given
    whatever their file says, and mean `q_score`; those of the reference are called `reference_…`. Raises MapError as
    `correlate` does, with these `names` for the three.
    """
    figures: dict[str, float] = {}
    for prefix, chains, name in zip(("", "reference_"), (model, reference), names[:2]):
        found = correlate(density, chains, resolution, whose=name, where=names[2])
        figures |= {f"{prefix}cc_{where}": getattr(found, where) for where in ("mask", "box", "peaks", "volume")}
        figures[f"{prefix}fitted_b"] = found.b
        figures[f"{prefix}q_score"] = mean_q_score(density, chains)
    return figures


def paired_calpha(
    model: Sequence[Chain], reference: Sequence[Chain], pairs: Correspondence
) -> tuple[np.ndarray, np.ndarray]:
    """Cα positions of the paired residues in the model and in the reference, each (n_pairs, 3) in Å, float64."""

    def select(chains: Sequence[Chain], number: np.ndarray, residue: np.ndarray) -> np.ndarray:
        rows = [chains[c].calpha[i] for c, i in zip(number.tolist(), residue.tolist(), strict=True)]
        return np.array(rows, np.float64).reshape(-1, 3)

    return (
        select(model, pairs.model_chain, pairs.model_residue),
        select(reference, pairs.reference_chain, pairs.reference_residue),
    )


def _all_calpha(chains: Sequence[Chain], whose: str) -> tuple[np.ndarray, str]:
    """Cα positions of all chains, (n, 3) in Å, and their letters."""
    positions = [chain.calpha for chain in chains]
    letters = "".join(chain.sequence for chain in chains)
    stacked = np.concatenate([np.empty((0, 3)), *positions])
    built = np.isfinite(stacked).all(1)
    if not built.any():
        raise StructureError(f"The {whose} has no Cα to compare; give a protein model.")
    return stacked[built], "".join(letters[i] for i in np.flatnonzero(built))
