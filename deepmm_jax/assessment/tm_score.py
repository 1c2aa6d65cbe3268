"""TM-score of a model whose residues are paired with the reference (Zhang & Skolnick 2004; section 3.3)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from deepmm_jax.structure.superposition import best_rotation


SHORTEST_FRAGMENT = 4
SEEDS_PER_LENGTH = 256
"""Fragments of one length that are tried at most; they are spread evenly along the chain."""
ROUNDS = 20
POLISHING_ROUNDS = 50


@dataclass(frozen=True, kw_only=True)
class TMScore:
    """The score in (0, 1], and the superposition R x + t of the model that reaches it."""

    value: float
    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, "3"]


def tm_score(model: Float[np.ndarray, "n 3"], reference: Float[np.ndarray, "n 3"], reference_length: int) -> TMScore:
    """TM-score of paired Cα positions, Å, by the length of the reference: the largest value over superpositions found.

    Search as in the authors' program: superpositions on fragments of length n, n/2, n/4 … 4, each refined on the
    residues that come close. The best one is then polished by reweighted superposition, which never lowers the score,
    so that the value may lie a little above that of programs that stop before.
    """
    if len(model) == 0:
        return TMScore(value=0.0, rotation=np.eye(3), translation=np.zeros(3))
    centre_model, centre_reference = model.mean(0, dtype=np.float64), reference.mean(0, dtype=np.float64)
    pairs = _Pairs(model - centre_model, reference - centre_reference)
    d0 = tm_distance(reference_length)
    radius = np.clip(d0, 4.5, 8.0)
    chosen = _fragments(len(model))
    best_sum, best = -np.inf, np.eye(4)
    for round_ in range(ROUNDS + 1):
        motions = pairs.superpose(chosen.astype(np.float64))
        squared = pairs.squared_distances(motions)
        sums = (1.0 / (1.0 + squared / d0**2)).sum(1)
        if sums.max() > best_sum:
            best_sum, best = sums.max(), motions[sums.argmax()]
        # At least three residues stay, however far they are.
        third = np.partition(squared, min(2, len(model) - 1), axis=1)[:, min(2, len(model) - 1)]
        limit = radius - 1.0 if round_ == 0 else radius + 1.0
        closer = squared <= np.maximum(limit**2, third)[:, None]
        moving = (closer != chosen).any(1)
        if not moving.any():
            break
        chosen = np.unique(closer[moving], axis=0)
    # 1 / (1 + d²/d0²) is convex in d²: superposing with its slopes as weights can only raise the sum (majorisation).
    for _ in range(POLISHING_ROUNDS):
        weights = 1.0 / (1.0 + pairs.squared_distances(best[None]) / d0**2) ** 2
        motion = pairs.superpose(weights)[0]
        gain = (1.0 / (1.0 + pairs.squared_distances(motion[None]) / d0**2)).sum() - best_sum
        if gain <= 0.0:
            break
        best_sum, best = best_sum + gain, motion
    rotation = best[:3, :3]
    return TMScore(
        value=float(best_sum / reference_length),
        rotation=rotation,
        translation=centre_reference + best[:3, 3] - rotation @ centre_model,
    )


def tm_distance(length: int) -> float:
    """The scale d0 = 1.24 (L − 15)^⅓ − 1.8 in Å, at least 0.5."""
    return max(0.5, 1.24 * np.cbrt(max(length - 15, 0)) - 1.8)


def _fragments(n: int) -> Bool[np.ndarray, "s n"]:
    """Fragments to start from, as masks: lengths n, n/2, n/4 … 4, evenly spread."""
    length, masks = n, []
    while True:
        starts = n - length + 1
        step = max(1, length // 4, -(-starts // SEEDS_PER_LENGTH))
        begin = np.unique(np.append(np.arange(0, starts, step), starts - 1))[:, None]
        masks.append((np.arange(n) >= begin) & (np.arange(n) < begin + length))
        if length <= SHORTEST_FRAGMENT:
            return np.concatenate(masks)
        length = max(SHORTEST_FRAGMENT, length // 2)


class _Pairs:
    """Paired points x, y whose moments make superposing and measuring many subsets at once two matrix products."""

    def __init__(self, model: Float[np.ndarray, "n 3"], reference: Float[np.ndarray, "n 3"]):
        products = (reference[:, :, None] * model[:, None, :]).reshape(-1, 9)
        self.features = np.column_stack([np.ones(len(model)), model, reference, products])
        self.squares = (model**2).sum(1) + (reference**2).sum(1)

    def superpose(self, weights: Float[np.ndarray, "s n"]) -> Float[np.ndarray, "s 4 4"]:
        """Best motion x → R x + t of each weighting, as homogeneous matrices."""
        moments = weights @ self.features
        x, y, products = np.split(moments[:, 1:] / moments[:, :1], [3, 6], axis=1)
        rotation = best_rotation(products.reshape(-1, 3, 3) - y[:, :, None] * x[:, None, :])
        motions = np.tile(np.eye(4), (len(weights), 1, 1))
        motions[:, :3, :3] = rotation
        motions[:, :3, 3] = y - (rotation @ x[:, :, None])[..., 0]
        return motions

    def squared_distances(self, motions: Float[np.ndarray, "s 4 4"]) -> Float[np.ndarray, "s n"]:
        """|R x + t − y|² of every pair after every motion, multiplied out."""
        rotation, t = motions[:, :3, :3], motions[:, :3, 3]
        constant = (t**2).sum(1, keepdims=True)
        coefficients = [constant, 2.0 * (t[:, None] @ rotation)[:, 0], -2.0 * t, -2.0 * rotation.reshape(-1, 9)]
        return np.maximum(np.concatenate(coefficients, axis=1) @ self.features.T + self.squares, 0.0)
