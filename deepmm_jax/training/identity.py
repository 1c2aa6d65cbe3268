"""Sequence identity by local alignment, to keep relatives of test proteins out of training sets."""

from typing import no_type_check

import numba
import numpy as np

from deepmm_jax.sequence.profile import encode_letters


GAP_OPEN = 11
GAP_EXTEND = 1
SIGNIFICANT_SCORE = 85
"""BLOSUM62 score above which two chains of a few hundred residues are related (E about 1e-3 in a set of thousands)."""
LEAST_COLUMNS = 30


_BLOSUM62_ORDER = "ARNDCQEGHILKMFPSTWYV"
_BLOSUM62_ROWS = """
 4
-1  5
-2  0  6
-2 -2  1  6
 0 -3 -3 -3  9
-1  1  0  0 -3  5
-1  0  0  2 -4  2  5
 0 -2  0 -1 -3 -2 -2  6
-2  0  1 -1 -3  0  0 -2  8
-1 -3 -3 -3 -1 -3 -3 -4 -3  4
-1 -2 -3 -4 -1 -2 -3 -4 -3  2  4
-1  2  0 -1 -3  1  1 -2 -1 -3 -2  5
-1 -1 -2 -3 -1  0 -2 -3 -2  1  2 -1  5
-2 -3 -3 -3 -2 -3 -3 -3 -1  0  0 -3  0  6
-1 -2 -2 -1 -3 -1 -1 -2 -2 -3 -3 -1 -2 -4  7
 1 -1  1  0 -1  0  0  0 -1 -2 -2  0 -1 -2 -1  4
 0 -1  0 -1 -1 -1 -1 -2 -2 -1 -1 -1 -1 -2 -1  1  5
-3 -3 -4 -4 -2 -2 -3 -2 -2 -3 -2 -3 -1  1 -4 -3 -2 11
-2 -2 -2 -3 -2 -1 -2 -3  2 -1 -1 -2 -1  3 -3 -2 -2  2  7
 0 -3 -3 -3 -1 -2 -2 -3 -3  3  1 -2  1 -1 -2 -2  0 -3 -1  4
"""
"""Lower triangle of BLOSUM62 (Henikoff & Henikoff, PNAS 89:10915, 1992)."""


def _blosum62() -> np.ndarray:
    order = encode_letters(_BLOSUM62_ORDER)
    out = np.full((21, 21), -1, np.int32)
    for i, row in enumerate(_BLOSUM62_ROWS.split("\n")[1:-1]):
        for j, value in enumerate(row.split()):
            out[order[i], order[j]] = out[order[j], order[i]] = int(value)
    return out


BLOSUM62 = _blosum62()


def related(first: str, second: str, identity: float = 0.30) -> bool:
    """Whether two sequences align locally with a significant score at `identity` or more.

    The alignment must span 30 columns or half of the shorter sequence.
    """
    score, same, columns = local_alignment(encode_letters(first), encode_letters(second))
    long_enough = columns >= min(LEAST_COLUMNS, min(len(first), len(second)) / 2)
    return score >= SIGNIFICANT_SCORE and long_enough and same >= identity * columns


def local_alignment(first: np.ndarray, second: np.ndarray) -> tuple[int, int, int]:
    """Score, identical pairs and columns of the best local alignment (Smith–Waterman, BLOSUM62, gaps 11 + 1)."""
    score, same, columns = _smith_waterman(first, second, BLOSUM62)
    return int(score), int(same), int(columns)


@numba.njit(cache=True, nogil=True)
@no_type_check
def _smith_waterman(first, second, matrix):
    # Identities and columns ride along with the scores, so no traceback is kept.
    n = len(second)
    match = np.zeros((n + 1, 3), np.int32)
    down = np.zeros((n + 1, 3), np.int32)
    down[:, 0] = -10000
    best = np.zeros(3, np.int32)
    for i in range(len(first)):
        diagonal = match[0].copy()
        right = np.array([-10000, 0, 0], np.int32)
        for j in range(1, n + 1):
            if match[j, 0] - GAP_OPEN > down[j, 0]:
                down[j] = match[j]
                down[j, 0] -= GAP_OPEN
            down[j, 0] -= GAP_EXTEND
            down[j, 2] += 1
            if match[j - 1, 0] - GAP_OPEN > right[0]:
                right[:] = match[j - 1]
                right[0] -= GAP_OPEN
            right[0] -= GAP_EXTEND
            right[2] += 1
            same = diagonal.copy()
            same[0] += matrix[first[i], second[j - 1]]
            same[1] += first[i] == second[j - 1]
            same[2] += 1
            diagonal = match[j].copy()
            if same[0] >= down[j, 0] and same[0] >= right[0]:
                match[j] = same
            elif down[j, 0] >= right[0]:
                match[j] = down[j]
            else:
                match[j] = right
            if match[j, 0] <= 0:
                match[j, :] = 0
            if match[j, 0] > best[0]:
                best[:] = match[j]
    return best[0], best[1], best[2]
