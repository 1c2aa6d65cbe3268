"""DenseNets A and B at inference in plain NumPy, double precision: voxels and offsets one by one, no code shared."""

from typing import Any

import numpy as np


def plain(tree: Any) -> Any:
    """Nested dicts of arrays as NumPy's, in double precision."""
    return {name: plain(part) for name, part in tree.items()} if isinstance(tree, dict) else np.asarray(tree, float)


def convolve(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Cross-correlation of one box (n, n, n, c) with an odd kernel (k, k, k, c, d), zeros outside the box."""
    n, k = len(x), len(kernel)
    padded = np.zeros((n + k - 1, n + k - 1, n + k - 1, x.shape[3]))
    padded[k // 2 : k // 2 + n, k // 2 : k // 2 + n, k // 2 : k // 2 + n] = x
    out = np.zeros((n, n, n, kernel.shape[4]))
    for i, j, l in np.ndindex(k, k, k):  # noqa: E741
        out += padded[i : i + n, j : j + n, l : l + n] @ kernel[i, j, l]
    return out


def activate(x: np.ndarray, norm: dict, moments: dict) -> np.ndarray:
    """BatchNorm in the textbook's form, and ReLU."""
    z = (x - moments["mean"]) / np.sqrt(moments["variance"] + 1e-5)
    return np.maximum(norm["scale"] * z + norm["bias"], 0)


def block(x: np.ndarray, weights: dict, moments: dict) -> np.ndarray:
    features = [x]
    for number in range(1, len(weights) + 1):
        layer, known = weights[f"layer_{number}"], moments[f"layer_{number}"]
        seen = activate(np.concatenate(features, axis=3), layer["norm_1"], known["norm_1"])
        narrow = activate(seen @ layer["reduce"], layer["norm_2"], known["norm_2"])
        features.append(convolve(narrow, layer["grow"]))
    return np.concatenate(features, axis=3)


def transition(x: np.ndarray, weights: dict, moments: dict) -> np.ndarray:
    return activate(x, weights["norm"], moments["norm"]) @ weights["reduce"]


def pool(x: np.ndarray) -> np.ndarray:
    half = len(x) // 2
    out = np.zeros((half, half, half, x.shape[3]))
    for i, j, k in np.ndindex(half, half, half):
        out[i, j, k] = x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2, 2 * k : 2 * k + 2].mean(axis=(0, 1, 2))
    return out


def forward(box: np.ndarray, weights: dict, moments: dict) -> tuple[dict[str, np.ndarray], list[tuple[int, ...]]]:
    """Outputs of every head for one box, and the shapes of what leaves each stage in turn (batch left out)."""
    x = convolve(box[..., None].astype(float), weights["stem"])
    shapes = [x.shape]
    for name in sorted(weights["shared"]):
        part, known = weights["shared"][name], moments["shared"][name]
        x = block(x, part["block"], known["block"])
        shapes.append(x.shape)
        x = transition(x, part["transition"], known["transition"])
        shapes.append(x.shape)
    outputs = {}
    for name, part in weights["heads"].items():
        known = moments["heads"][name]
        y = block(x, part["block"], known["block"])
        shapes.append(y.shape)
        y = pool(transition(y, part["transition"], known["transition"]))
        shapes.append(y.shape)
        y = block(y, part["last"], known["last"])
        shapes.append(y.shape)
        pooled = activate(y, part["end"]["norm"], known["end"]["norm"]).mean(axis=(0, 1, 2))
        outputs[name] = pooled @ part["end"]["kernel"] + part["end"]["bias"]
    return outputs, shapes
