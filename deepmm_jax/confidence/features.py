"""What tells a right residue from a wrong one: evidence at its place, its register, its geometry, the other models."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import uniform_filter1d

from deepmm_jax.alignment.values import CalphaModels, ModelRegister
from deepmm_jax.evidence.points import interpolate
from deepmm_jax.evidence.volumes import Evidence


NEAR, FAR = 9, 33
"""Residues of the windows over which evidence is averaged."""
ELSEWHERE = 2.0
"""A model that has a residue farther from its place than this contradicts it, Å."""
BOND = 3.8
"""Å between successive Cα."""
RIVALS = 10
"""So many of the best models are compared with each model."""
WIDEST_MARGIN = 3.0
"""Scores per residue by which the best contradicting model may be worse; more says no more."""
DENSEST = 3.0
"""Times the mean density of a model; more says no more."""
FEATURES = (
    *("type", "type near", "type far", "type of all"),
    *("posterior", "posterior near", "posterior of all", "entropy near", "entropy of all"),
    *("calpha", "calpha near", "calpha of all", "main chain near"),
    *("offset", "direction", "direction near", "bond"),
    *("density", "density near"),
    *("margin", "agreement", "agreement near", "agreement of all"),
    *("built near", "built of all", "size"),
)


def residue_features(evidence: Evidence, models: CalphaModels, register: ModelRegister) -> Float[np.ndarray, "k n f"]:
    """The features of every residue of every model, in the order of `FEATURES`; rows of unbuilt residues mean nothing.

    "near" and "far" are means over the built residues of windows, "of all" over those of the model. Positions and the
    origin of the evidence are in one frame, Å.
    """
    built = models.built
    values = at_residues(evidence, models)
    margin, agreement = against_others(models)
    calpha, main_chain, offset, direction, bond, density = values
    whole = np.repeat(built.mean(axis=1, keepdims=True), built.shape[1], axis=1)
    columns = (
        *(register.log_odds, *means(register.log_odds, built, NEAR, FAR, None)),
        *(register.posterior, *means(register.posterior, built, NEAR, None)),
        *means(register.entropy, built, NEAR, None),
        *(calpha, *means(calpha, built, NEAR, None), *means(main_chain, built, NEAR)),
        *(offset, direction, *means(direction, built, NEAR), bond),
        *(density, *means(density, built, NEAR)),
        *(margin, agreement, *means(agreement, built, NEAR, None)),
        uniform_filter1d(built.astype(float), NEAR, axis=1, mode="constant"),
        whole,
        np.full(built.shape, np.log(built.shape[1])),
    )
    return np.stack(columns, axis=-1).astype(np.float32)


def at_residues(evidence: Evidence, models: CalphaModels) -> Float[np.ndarray, "6 k n"]:
    """Cα and main-chain probability, length of the offset (Å), agreement of directions with bonds, error of bonds (Å).

    The agreement is the mean cosine between the vectors that the evidence shows to the previous and the next Cα and the
    bonds there. Where there is no such vector, or no bond, offset, cosine and error are 0. The sixth is the density,
    relative to its mean at the Cα of the model; 1 without density.
    """
    k, n = models.built.shape
    found = np.zeros((6, k, n))
    for row, (built, positions) in enumerate(zip(models.built, models.positions, strict=True)):
        here = np.flatnonzero(built)
        grid = ((positions[here] - evidence.origin) / evidence.step).astype(np.float32)
        found[0, row, here] = np.clip(interpolate(evidence.calpha, grid), 0, 1)
        found[1, row, here] = interpolate(evidence.main_chain, grid)
        if evidence.offset is not None:
            found[2, row, here] = np.linalg.norm(interpolate(evidence.offset, grid), axis=1)
        found[5, row, here] = relative_density(evidence.density, grid)
        steps = np.diff(positions[here], axis=0)
        length = np.linalg.norm(steps, axis=1)
        joined = np.diff(here) == 1
        error = np.where(joined, np.abs(length - BOND), 0.0)
        found[4, row, here[1:]] += error / 2
        found[4, row, here[:-1]] += error / 2
        if evidence.directions is not None:
            seen = interpolate(evidence.directions, grid).reshape(-1, 2, 3)
            along = np.where(joined, 1 / np.maximum(length, 1e-6), 0.0)[:, None] * steps
            found[3, row, here[:-1]] += (seen[:-1, 1] * along).sum(axis=1) / 2
            found[3, row, here[1:]] -= (seen[1:, 0] * along).sum(axis=1) / 2
    return found


def relative_density(
    density: Float[np.ndarray, "nx ny nz"] | None, grid: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n"]:
    """Density at places in voxels over its mean there, at most `DENSEST`; 1 without density, or where it has no mean.

    Only ratios count, since maps have no common scale: what lies far below the rest of a model may be outside of the
    molecule.
    """
    if density is None or not len(grid):
        return np.ones(len(grid))
    here = interpolate(density, grid)
    mean = here.mean()
    return np.clip(here / mean, -DENSEST, DENSEST) if mean > 0 else np.ones(len(grid))


def against_others(models: CalphaModels) -> tuple[Float[np.ndarray, "k n"], Float[np.ndarray, "k n"]]:
    """Margin to the best model that has a residue elsewhere, score per residue; share of the models that have it there.

    The best `RIVALS` models are looked at. Without one that has it elsewhere the margin is the widest. A model counts
    in the shares by its score: exp of the score per residue, relative to the best.
    """
    k, n = models.built.shape
    scores = models.scores.astype(float) / n
    rivals = scores[:RIVALS]
    weights = np.exp(np.maximum(rivals - scores.max(), -WIDEST_MARGIN))
    margin, agreement = np.full((k, n), WIDEST_MARGIN), np.zeros((k, n))
    with np.errstate(invalid="ignore"):
        apart = np.linalg.norm(models.positions[:, None] - models.positions[None, :RIVALS], axis=-1)
        there = apart < ELSEWHERE  # never for what is not built
    for row in range(k):
        best = np.where(there[row], -np.inf, rivals[:, None]).max(axis=0)
        margin[row] = np.clip(scores[row] - best, -WIDEST_MARGIN, WIDEST_MARGIN)
        agreement[row] = weights @ there[row] / weights.sum()
    return margin, agreement


def means(
    values: Float[np.ndarray, "k n"], built: Bool[np.ndarray, "k n"], *windows: int | None
) -> list[Float[np.ndarray, "k n"]]:
    """Means over the built residues of windows around each residue; None is the window that holds all."""
    found = []
    shown = np.where(built, values, 0.0).astype(float)
    for window in windows:
        if window is None:
            mean = shown.sum(axis=1) / np.maximum(built.sum(axis=1), 1)
            found.append(np.repeat(mean[:, None], built.shape[1], axis=1))
            continue
        total, count = (
            uniform_filter1d(part.astype(float), window, axis=1, mode="constant") for part in (shown, built)
        )
        found.append(total / np.maximum(count, 1 / window))
    return found
