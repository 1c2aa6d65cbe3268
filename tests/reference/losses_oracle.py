"""Losses of the whole-map network, voxel by voxel as their definitions read."""

import numpy as np


def losses(outputs: np.ndarray, example, weights_of_atoms: tuple[float, ...], radius: float) -> dict[str, float]:
    """Losses of one example (no leading axis) from raw outputs (x, y, z, 38)."""
    sums = dict.fromkeys(("atoms", "amino_acids", "secondary_structure", "offset", "directions"), 0.0)
    total = 0.0
    for voxel in np.ndindex(outputs.shape[:3]):
        raw = outputs[voxel].astype(float)
        p, label = 1 / (1 + np.exp(-raw[:6])), example.atoms[voxel].astype(float)
        entropy = -(label * np.log(p) + (1 - label) * np.log(1 - p))
        if example.known[voxel]:
            sums["atoms"] += float(entropy @ np.array(weights_of_atoms)) / sum(weights_of_atoms)
        row = int(example.nearest[voxel])
        if row < 0:
            continue
        offset = example.calpha[row].astype(float) - np.array(voxel)
        weight = np.exp(-(offset @ offset) / radius**2)
        total += weight
        sums["offset"] += weight * np.linalg.norm(raw[6:9] - offset)
        cosines = [
            raw[9 + a : 12 + a] @ example.directions[row, a : a + 3] / np.linalg.norm(raw[9 + a : 12 + a])
            for a in (0, 3)
        ]
        sums["directions"] += weight * (1 - np.mean(cosines))
        if example.amino_acids[row] < 20:
            sums["amino_acids"] += weight * _cross_entropy(raw[15:35], int(example.amino_acids[row]))
        sums["secondary_structure"] += weight * _cross_entropy(raw[35:38], int(example.states[row]))
    return {name: value / max(total, 1.0) for name, value in sums.items()}


def _cross_entropy(logits: np.ndarray, label: int) -> float:
    return float(np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[label])
