"""Shell means by a loop over every coefficient of the full transform."""

import numpy as np


def _by_shell(shape, step):
    """Shell number (from 1) of every coefficient, the number of shells and their width."""
    steps = np.broadcast_to(step, 3)
    width = 1 / max(n * d for n, d in zip(shape, steps, strict=True))
    count = int(0.5 / max(steps) / width)
    shells = {}
    for ijk in np.ndindex(*shape):
        f = [(k if k <= n // 2 else k - n) / (n * d) for k, n, d in zip(ijk, shape, steps, strict=True)]
        shell = int(np.sqrt(np.dot(f, f)) / width + 0.5)
        if 1 <= shell <= count:
            shells.setdefault(shell, []).append(ijk)
    return [shells[k] for k in range(1, count + 1)], width


def mean_amplitude_by_shell(data, step):
    """Middle and mean |F| · voxel volume of every shell."""
    shells, width = _by_shell(data.shape, step)
    transform = np.fft.fftn(data) * np.prod(np.broadcast_to(step, 3))
    means = [np.mean([abs(transform[ijk]) for ijk in shell]) for shell in shells]
    return np.array([width * (k + 1) for k in range(len(shells))]), np.array(means)


def correlation_by_shell(a, b, step):
    """Correlation of the coefficients of two maps in every shell."""
    shells, _ = _by_shell(a.shape, step)
    fa, fb = np.fft.fftn(a), np.fft.fftn(b)
    out = []
    for shell in shells:
        x, y = (np.array([f[ijk] for ijk in shell]) for f in (fa, fb))
        out.append((x * y.conj()).sum().real / np.sqrt((abs(x) ** 2).sum() * (abs(y) ** 2).sum()))
    return np.array(out)
