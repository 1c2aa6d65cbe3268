"""TM-score by brute force: a general-purpose optimiser from many starting superpositions; and decoys to score."""

from collections.abc import Iterator

import numpy as np
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation


def brute_force_tm_score(model: np.ndarray, reference: np.ndarray, length: int, starts: int = 15) -> float:
    """Largest sum of 1 / (1 + d²/d0²) over rigid motions that a quasi-Newton search finds from random starts."""
    d0 = max(0.5, 1.24 * (length - 15) ** (1 / 3) - 1.8) if length > 15 else 0.5
    rng = np.random.default_rng(0)

    def loss(motion: np.ndarray, start: Rotation, fixed: int) -> float:
        moved = (Rotation.from_rotvec(motion[:3]) * start).apply(model - model[fixed]) + motion[3:] + reference[fixed]
        return -float(np.sum(1.0 / (1.0 + np.sum((moved - reference) ** 2, axis=1) / d0**2)))

    best = 0.0
    for _ in range(starts):
        # Start from the superposition of a random stretch, so that the search begins near some local optimum.
        begin = int(rng.integers(0, len(model) - 4))
        end = int(rng.integers(begin + 4, len(model) + 1))
        a, b = model[begin:end], reference[begin:end]
        start, _ = Rotation.align_vectors(b - b.mean(0), a - a.mean(0))
        fixed = (begin + end) // 2
        found = minimize(loss, np.zeros(6), args=(start, fixed), method="BFGS")
        best = max(best, -float(found.fun))
    return best / length


def decoys() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, model, reference: 30 to 350 residues with noise, a hinge, a wrong tail or drift, and out of place."""
    for seed, n in enumerate([30, 60, 120, 214, 350]):
        rng = np.random.default_rng(seed)
        reference = _walk(n, rng)
        turned = _walk(n, rng)
        hinge = int(n * 0.6)
        bend = Rotation.from_rotvec((1.0 + 0.3 * seed) * np.array([1.0, 2.0, 3.0]) / 14**0.5)
        bent = reference.copy()
        bent[hinge:] = bend.apply(reference[hinge:] - reference[hinge]) + reference[hinge]
        wrong_tail = np.concatenate([reference[: -(n // 3)], turned[-(n // 3) :]])
        shapes = {
            "noise": reference + rng.normal(size=(n, 3)) * (1 + seed),
            "hinge": bent + rng.normal(size=(n, 3)) * 0.5,
            "tail": wrong_tail + rng.normal(size=(n, 3)),
            "drift": reference + np.cumsum(rng.normal(size=(n, 3)) * 0.5, axis=0),
        }
        away = Rotation.from_rotvec([1.5, 0.5, 1.0])
        for kind, shape in shapes.items():
            yield f"{kind}-{n}", away.apply(shape) + [10.0, -20.0, 5.0], reference


def _walk(n: int, rng: np.random.Generator) -> np.ndarray:
    """A random walk with bonds of 3.8 Å that mostly goes on in its direction."""
    steps = np.zeros((n, 3))
    steps[0] = [1.0, 0.0, 0.0]
    for i in range(1, n):
        steps[i] = 0.5 * steps[i - 1] + 0.6 * rng.normal(size=3)
        steps[i] /= np.linalg.norm(steps[i])
    return 3.8 * steps.cumsum(axis=0)
