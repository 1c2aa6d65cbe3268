"""Relatives and groups the slow way: every pair is aligned in plain Python, with a full traceback."""

from collections.abc import Mapping, Sequence
from functools import cache

from deepmm_jax.sequence.profile import encode_letters
from deepmm_jax.training.identity import BLOSUM62, GAP_EXTEND, GAP_OPEN, LEAST_COLUMNS, SIGNIFICANT_SCORE


@cache
def align(first: str, second: str) -> tuple[int, int, int]:
    """Score, identical pairs and columns of a best local alignment (Gotoh's three matrices)."""
    a, b = encode_letters(first).tolist(), encode_letters(second).tolist()
    low = -(10**6)
    score = {(s, i, j): 0 if s == "m" else low for s in "mxy" for i in range(len(a) + 1) for j in range(len(b) + 1)}
    back: dict[tuple[str, int, int], tuple[str, int, int] | None] = {}
    best = ("m", 0, 0)
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            for state, before in (("x", (i - 1, j)), ("y", (i, j - 1))):
                ways = [(score["m", *before] - GAP_OPEN, ("m", *before)), (score[state, *before], (state, *before))]
                value, origin = max(ways, key=lambda way: way[0])
                score[state, i, j], back[state, i, j] = value - GAP_EXTEND, origin
            ways = [(score[s, i - 1, j - 1], (s, i - 1, j - 1)) for s in "mxy"]
            value, origin = max(ways, key=lambda way: way[0])
            value = max(value, 0) + int(BLOSUM62[a[i - 1], b[j - 1]])
            score["m", i, j] = max(value, 0)
            back["m", i, j] = None if value <= 0 else origin
            if score["m", i, j] > score[best]:
                best = ("m", i, j)
    same = columns = 0
    cell: tuple[str, int, int] | None = best
    while cell is not None and score[cell] > 0 and cell in back and back[cell] is not None:
        state, i, j = cell
        same += state == "m" and a[i - 1] == b[j - 1]
        columns += 1
        cell = back[cell]
    return score[best], same, columns


def closest(queries: Sequence[str], targets: Mapping[str, str], identity: float) -> dict[int, tuple[str, float]]:
    """Of every query its closest target with a significant alignment of `identity` or more."""
    out: dict[int, tuple[str, float]] = {}
    for q, query in enumerate(queries):
        for name, target in targets.items():
            score, same, columns = align(query, target)
            long_enough = columns >= min(LEAST_COLUMNS, min(len(query), len(target)) / 2)
            if score >= SIGNIFICANT_SCORE and long_enough and same / columns >= identity:
                if same / columns > out.get(q, ("", 0.0))[1]:
                    out[q] = (name, same / columns)
    return out


def groups(letters: Sequence[str], identity: float) -> list[int]:
    """Who stands for whom: the longest first, each joins the first that it is like."""
    out = list(range(len(letters)))
    standing: list[int] = []
    for i in sorted(out, key=lambda i: (-len(letters[i]), i)):
        for other in standing:
            if align(letters[i], letters[other])[1] >= identity * min(len(letters[i]), len(letters[other])):
                out[i] = other
                break
        else:
            standing.append(i)
    return out
