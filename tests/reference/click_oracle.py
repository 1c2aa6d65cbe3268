"""Structure overlap written out: the matching by cheapest augmenting paths, the superposition by Horn's quaternion."""

from collections import deque

import numpy as np


def overlap(
    model: np.ndarray, reference: np.ndarray, rotation: np.ndarray, translation: np.ndarray, cutoff: float = 3.5
) -> tuple[float, float | None]:
    """Matched share of the smaller structure and RMSD (Å) of the best matching met from this superposition on."""
    best, before = (0, 0.0), None
    for _ in range(20):
        pairs = matching(model @ rotation.T + translation, reference, cutoff)
        if not pairs or pairs == before:
            break
        rows, columns = map(list, zip(*pairs))
        rotation, translation = horn(model[rows], reference[columns])
        apart = [float(np.linalg.norm(rotation @ model[i] + translation - reference[j])) for i, j in pairs]
        kept = [d for d in apart if d <= cutoff]
        if kept:
            best = max(best, (len(kept), -((sum(d * d for d in kept) / len(kept)) ** 0.5)))
        before = pairs
    count, negative = best
    return (count / min(len(model), len(reference)), -negative) if count else (0.0, None)


def matching(a: np.ndarray, b: np.ndarray, cutoff: float) -> list[tuple[int, int]]:
    """Largest one-to-one matching within `cutoff`, of the least sum of distances: one cheapest path after the other."""
    near: list[dict[int, float]] = []
    for point in a:
        apart = np.sqrt(((b - point) ** 2).sum(axis=1))
        near.append({int(j): float(apart[j]) for j in np.flatnonzero(apart <= cutoff)})
    partner_of_b: dict[int, int] = {}
    partner_of_a: dict[int, int] = {}
    while True:
        # Cheapest way from any free point of a to each point of b: along new pairs, and back along those there are.
        cost: dict[int, float] = {}
        came_from: dict[int, int] = {}
        queue = deque((i, 0.0) for i in range(len(a)) if i not in partner_of_a)
        while queue:
            i, spent = queue.popleft()
            back = partner_of_a.get(i)
            if back is not None and cost.get(back, np.inf) - near[i][back] < spent - 1e-12:
                continue  # a cheaper way has been found since
            for j, distance in near[i].items():
                if j != back and spent + distance < cost.get(j, np.inf) - 1e-12:
                    cost[j], came_from[j] = spent + distance, i
                    if j in partner_of_b:
                        queue.append((partner_of_b[j], cost[j] - near[partner_of_b[j]][j]))
        free = [j for j in cost if j not in partner_of_b]
        if not free:
            return sorted(partner_of_a.items())
        j: int | None = min(free, key=lambda end: cost[end])
        while j is not None:
            i = came_from[j]
            following = partner_of_a.get(i)
            partner_of_a[i], partner_of_b[j] = j, i
            j = following


def horn(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and translation that bring x nearest to y: the largest eigenvector of Horn's matrix (1987)."""
    mx, my = x.mean(axis=0), y.mean(axis=0)
    s = sum(np.outer(p - mx, q - my) for p, q in zip(x, y))
    skew = [s[1, 2] - s[2, 1], s[2, 0] - s[0, 2], s[0, 1] - s[1, 0]]
    matrix = np.zeros((4, 4))
    matrix[0, 0] = np.trace(s)
    matrix[0, 1:] = matrix[1:, 0] = skew
    matrix[1:, 1:] = s + s.T - np.trace(s) * np.eye(3)
    w, a, b, c = np.linalg.eigh(matrix)[1][:, -1]
    rotation = np.array(
        [
            [w * w + a * a - b * b - c * c, 2 * (a * b - w * c), 2 * (a * c + w * b)],
            [2 * (a * b + w * c), w * w - a * a + b * b - c * c, 2 * (b * c - w * a)],
            [2 * (a * c - w * b), 2 * (b * c + w * a), w * w - a * a - b * b + c * c],
        ]
    )
    return rotation, my - rotation @ mx
