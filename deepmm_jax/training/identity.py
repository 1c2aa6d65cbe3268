"""Sequence identity by local alignment, to keep relatives of test proteins out of training sets (section 2.6.1)."""

from collections.abc import Sequence
from typing import no_type_check

import numba
import numpy as np

from deepmm_jax.sequence.profile import encode_letters


GAP_OPEN = 11
GAP_EXTEND = 1
SIGNIFICANT_SCORE = 85
"""BLOSUM62 score above which two chains of a few hundred residues are related (E about 1e-3 in a set of thousands)."""
LEAST_COLUMNS = 30

WORD = 3
"""Letters of the words that a screened pair has in common."""
SEGMENT_SCORE = 32
"""Score of a stretch without gaps on the diagonal of a word. Of 90,000 pairs of PDB chains 5 % have it, among them all
11 relatives of 30 % identity, and so have all 490 made-up relatives of 30 to 50 % with two gaps."""


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
    return shared_identity(first, second) >= identity


def shared_identity(first: str, second: str) -> float:
    """Identical share of the columns of the best local alignment; 0 where that is too short or not significant."""
    score, same, columns = local_alignment(encode_letters(first), encode_letters(second))
    long_enough = columns >= min(LEAST_COLUMNS, min(len(first), len(second)) / 2)
    return same / columns if score >= SIGNIFICANT_SCORE and long_enough else 0.0


def share_of_shorter(first: str, second: str) -> float:
    """Identical pairs of the best local alignment, over the length of the shorter sequence (as CD-HIT counts)."""
    _, same, _ = local_alignment(encode_letters(first), encode_letters(second))
    return same / min(len(first), len(second))


def local_alignment(first: np.ndarray, second: np.ndarray) -> tuple[int, int, int]:
    """Score, identical pairs and columns of the best local alignment (Smith–Waterman, BLOSUM62, gaps 11 + 1)."""
    score, same, columns = _smith_waterman(first, second, BLOSUM62)
    return int(score), int(same), int(columns)


def pairs_with_words(queries: Sequence[str], targets: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs (query, target) that may be related: a word of three letters in common, on a diagonal that scores.

    The screen, as that of BLAST, only saves alignments; `shared_identity` decides.
    """
    if not queries or not targets:
        return []
    encoded = [encode_letters(target) for target in targets]
    starts = np.cumsum([0, *map(len, encoded)])
    joined = np.concatenate(encoded)
    return [
        (q, int(t))
        for q, query in enumerate(queries)
        for t in np.flatnonzero(_share_segment(encode_letters(query), joined, starts, BLOSUM62))
    ]


@numba.njit(cache=True, nogil=True)
@no_type_check
def _share_segment(query, joined, starts, matrix):
    n = len(query)
    first = np.full(21**WORD, -1, np.int32)
    following = np.full(n, -1, np.int32)
    for i in range(n - WORD, -1, -1):
        word = (query[i] * 21 + query[i + 1]) * 21 + query[i + 2]
        following[i] = first[word]
        first[word] = i
    found = np.zeros(len(starts) - 1, np.bool_)
    tried = np.full(n + np.diff(starts).max(), -1, np.int32)
    for t in range(len(found)):
        target = joined[starts[t] : starts[t + 1]]
        for j in range(len(target) - WORD + 1):
            i = first[(target[j] * 21 + target[j + 1]) * 21 + target[j + 2]]
            while i >= 0 and not found[t]:
                diagonal = i - j
                if tried[diagonal + len(target)] != t:
                    tried[diagonal + len(target)] = t
                    score = 0
                    for x in range(max(0, diagonal), min(n, len(target) + diagonal)):
                        score = max(0, score + matrix[query[x], target[x - diagonal]])
                        if score >= SEGMENT_SCORE:
                            found[t] = True
                            break
                i = following[i]
            if found[t]:
                break
    return found


@numba.njit(cache=True, nogil=True)
@no_type_check
def _smith_waterman(first, second, matrix):
    # Identities and columns ride along with the scores, so no traceback is kept. Of states (score, identities, columns)
    # with equal scores a pair comes before a gap down, and that before a gap to the right.
    n = len(second)
    match_score, match_same, match_columns = (
        np.zeros(n + 1, np.int32),
        np.zeros(n + 1, np.int32),
        np.zeros(n + 1, np.int32),
    )
    down_score = np.full(n + 1, -10000, np.int32)
    down_same, down_columns = np.zeros(n + 1, np.int32), np.zeros(n + 1, np.int32)
    best_score, best_same, best_columns = 0, 0, 0
    for i in range(len(first)):
        row = matrix[first[i]]
        diagonal_score, diagonal_same, diagonal_columns = 0, 0, 0
        right_score, right_same, right_columns = -10000, 0, 0
        for j in range(1, n + 1):
            if match_score[j] - GAP_OPEN > down_score[j]:
                down_score[j] = match_score[j] - GAP_OPEN
                down_same[j], down_columns[j] = match_same[j], match_columns[j]
            down_score[j] -= GAP_EXTEND
            down_columns[j] += 1
            if match_score[j - 1] - GAP_OPEN > right_score:
                right_score = match_score[j - 1] - GAP_OPEN
                right_same, right_columns = match_same[j - 1], match_columns[j - 1]
            right_score -= GAP_EXTEND
            right_columns += 1
            score = diagonal_score + row[second[j - 1]]
            same = diagonal_same + (first[i] == second[j - 1])
            columns = diagonal_columns + 1
            diagonal_score, diagonal_same, diagonal_columns = match_score[j], match_same[j], match_columns[j]
            if score < down_score[j] or score < right_score:
                if down_score[j] >= right_score:
                    score, same, columns = down_score[j], down_same[j], down_columns[j]
                else:
                    score, same, columns = right_score, right_same, right_columns
            if score <= 0:
                score, same, columns = 0, 0, 0
            match_score[j], match_same[j], match_columns[j] = score, same, columns
            if score > best_score:
                best_score, best_same, best_columns = score, same, columns
    return best_score, best_same, best_columns
