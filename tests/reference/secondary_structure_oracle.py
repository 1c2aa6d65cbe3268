"""The secondary-structure network written out in NumPy, one residue and one tap at a time."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def normalise(x: np.ndarray, p: Mapping[str, Any]) -> np.ndarray:
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-6) * p["scale"] + p["bias"]


def gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def linear(x: np.ndarray, p: Mapping[str, Any]) -> np.ndarray:
    return x @ p["kernel"] + p["bias"]


def convolve(x: np.ndarray, p: Mapping[str, Any], dilation: int) -> np.ndarray:
    taps = len(p["kernel"])
    y = np.tile(p["bias"], (len(x), 1))
    for i in range(len(x)):
        for t in range(taps):
            j = i + (t - taps // 2) * dilation
            if 0 <= j < len(x):
                y[i] += x[j] @ p["kernel"][t]
    return y


def logits(parameters: Mapping[str, Any], letters: np.ndarray, dilations: Sequence[int]) -> tuple[np.ndarray, ...]:
    x = convolve(parameters["embedding"]["embedding"][letters], parameters["stem"], 1)
    for i, dilation in enumerate(dilations):
        block = parameters[f"block_{i}"]
        x = x + linear(gelu(convolve(normalise(x, block["norm"]), block["wide"], dilation)), block["point"])
    x = gelu(linear(normalise(x, parameters["norm"]), parameters["head"]))
    return linear(x, parameters["three"]), linear(x, parameters["eight"])
