"""ThreadCA vertex by vertex and residue by residue, in plain NumPy."""

import numpy as np

from deepmm_jax.alignment.thread_ca import RESIDUE_DENSITY
from reference.alignment_oracle import diameters


def z_scores(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()


def vertex_scores(voxels: np.ndarray, density: np.ndarray, path: np.ndarray) -> np.ndarray:
    weight = np.zeros(len(path))
    for voxel, value in zip(voxels, density):
        weight[np.argmin(np.linalg.norm(path - voxel, axis=1))] += value
    weight /= weight.max()
    spans = diameters(path, len(path))
    smooth = np.zeros(len(path))
    for j in range(len(path)):
        for k in range(len(path)):
            first, last = min(j, k), max(j, k)
            span = 0.0 if first == last else spans[last - first - 1, last]
            if span <= 6.0:
                smooth[j] += np.exp(-(span**2) / 2) * weight[k]
    return z_scores(smooth)


def residue_scores(letters: str, states: str, helix: float, sheet: float) -> np.ndarray:
    table = dict(zip("ACDEFGHIKLMNPQRSTVWY", RESIDUE_DENSITY, strict=True)) | {"X": RESIDUE_DENSITY.mean()}
    factor = {"H": helix, "E": sheet, "C": 1.0, "?": 1.0}
    return z_scores(np.array([table[a] * factor[s] for a, s in zip(letters, states, strict=True)], float))


def best_score(expected: np.ndarray, found: np.ndarray, path: np.ndarray) -> float:
    """Score of the greedy recurrence, cell by cell."""
    spans = diameters(path, len(path))
    n, m = len(expected), len(found)
    score = np.zeros((n + 1, m + 1))
    score[1:, 0] = -10000.0 * np.arange(1, n + 1)
    last = np.full((n + 1, m + 1), -1)
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            before = last[i - 1, j - 1]
            match = score[i - 1, j - 1] + 1 - abs(expected[i - 1] - found[j - 1])
            if before >= 0:
                match -= 0.9 * abs(spans[j - 1 - before - 1, j - 1] - 3.5)
            options = (match, score[i - 1, j] - 10000.0, score[i, j - 1])
            score[i, j] = max(options)
            last[i, j] = (j - 1, last[i - 1, j], last[i, j - 1])[int(np.argmax(options))]
    return score[n, m]
