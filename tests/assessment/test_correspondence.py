"""Correspondence: sequences decide, whatever the residue numbers, the order of chains and the gaps."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from deepmm_jax.assessment.correspondence import (
    GAP_EXTEND,
    GAP_OPEN,
    align_chains,
    align_sequences,
    pair_residues,
)
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.write import calpha_chain


SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSG"


def line_of_calpha(n: int, offset: float = 0.0) -> np.ndarray:
    """A straight chain along x, displaced along y."""
    return np.stack([3.8 * np.arange(n), np.full(n, offset), np.zeros(n)], axis=1).astype(np.float32)


def observed(name: str, sequence: str, keep: np.ndarray, first_number: int = 1, offset: float = 0.0) -> Chain:
    """A chain that only knows what it built, as other programs' PDB files do."""
    positions = np.full((len(sequence), 3), np.nan, np.float32)
    positions[keep] = line_of_calpha(len(sequence), offset)[keep]
    chain = calpha_chain(name, sequence, positions)
    return replace(chain, full_sequence=None, register=None, numbers=chain.numbers + first_number - 1)


def best_score_by_enumeration(a: str, b: str) -> float:
    """Best alignment score over every path, gaps at the ends opened for free."""

    def gaps(path: tuple[str, ...], letter: str) -> float:
        total, i, runs = 0.0, 0, "".join(path)
        while i < len(runs):
            if runs[i] == letter:
                j = i
                while j < len(runs) and runs[j] == letter:
                    j += 1
                # Free if no letter of the gapped sequence lies before, or none behind.
                other = {"A": "B", "B": "A"}[letter]
                inside = any(c in ("P", other) for c in runs[:i]) and any(c in ("P", other) for c in runs[j:])
                total -= GAP_OPEN * inside + GAP_EXTEND * (j - i)
                i = j
            else:
                i += 1
        return total

    best = -np.inf
    for length in range(max(len(a), len(b)), len(a) + len(b) + 1):
        for path in product("PAB", repeat=length):
            pairs = path.count("P")
            if pairs + path.count("A") == len(a) and pairs + path.count("B") == len(b) and "BA" not in "".join(path):
                i = j = 0
                score = gaps(path, "A") + gaps(path, "B")
                for step in path:
                    if step == "P":
                        score += 1.0 if a[i] == b[j] else -0.1
                    i, j = i + (step != "B"), j + (step != "A")
                best = max(best, score)
    return best


def score_of(a: str, b: str, pairs: np.ndarray) -> float:
    """Score of an alignment given by its pairs."""
    total = sum(1.0 if a[i] == b[j] else -0.1 for i, j in pairs.tolist())
    corners = [(-1, -1), *pairs.tolist(), (len(a), len(b))]
    for (i, j), (k, m) in zip(corners, corners[1:]):
        for extra, at_end in ((k - i - 1, j == -1 or m == len(b)), (m - j - 1, i == -1 or k == len(a))):
            total -= (0.0 if at_end or extra == 0 else GAP_OPEN) + GAP_EXTEND * extra
    return total


@pytest.mark.parametrize(("a", "b"), [("ACD", "ACD"), ("ACDE", "AE"), ("ACDEF", "CDF"), ("AAC", "CAA"), ("A", "CDE")])
def test_the_alignment_is_the_best_of_all(a, b):
    assert score_of(a, b, align_sequences(a, b)) == pytest.approx(best_score_by_enumeration(a, b))


def test_the_alignment_is_the_same_from_either_side():
    model = SEQUENCE[:10] + SEQUENCE[18:40]
    one, other = align_sequences(model, SEQUENCE), align_sequences(SEQUENCE, model)
    np.testing.assert_array_equal(one, other[:, ::-1])
    assert [model[i] for i in one[:, 0]] == [SEQUENCE[j] for j in one[:, 1]]
    assert len(one) == len(model)


def test_numbers_mean_nothing():
    model = observed("A", SEQUENCE, np.arange(5, 45), first_number=501)
    reference = observed("X", SEQUENCE, np.arange(50))
    np.testing.assert_array_equal(align_chains(model, reference), np.stack([np.arange(40), np.arange(5, 45)], axis=1))


def test_a_break_in_the_chain_says_where_the_gap_is():
    """By letters alone the gap in AAAAAA could be anywhere."""
    sequence = "MKTAY" + "A" * 12 + "GDLWE"
    for first in (7, 9, 12):
        keep = np.r_[0:first, first + 3 : len(sequence)]
        pairs = align_chains(observed("A", sequence, keep), observed("A", sequence, np.arange(len(sequence))))
        np.testing.assert_array_equal(pairs[:, 1], keep)


def test_the_whole_sequence_gives_the_place_of_every_residue():
    """Nothing but the register tells which of the equal letters are built."""
    sequence, keep = "A" * 20, np.array([3, 9, 17])
    positions = np.full((20, 3), np.nan, np.float32)
    positions[keep] = line_of_calpha(20)[keep]
    pairs = align_chains(calpha_chain("A", sequence, positions), observed("A", sequence, np.arange(20)))
    np.testing.assert_array_equal(pairs, np.stack([np.arange(3), keep], axis=1))


def test_mutations_and_unknown_letters_are_paired():
    mutated = SEQUENCE[:20] + "W" + SEQUENCE[21:30] + "X" + SEQUENCE[31:]
    np.testing.assert_array_equal(align_sequences(mutated, SEQUENCE), np.repeat(np.arange(50)[:, None], 2, axis=1))


def test_copies_are_told_apart_by_place():
    every = np.arange(50)
    reference = [observed("A", SEQUENCE, every), observed("B", SEQUENCE, every, offset=30.0)]
    model = [observed("x", SEQUENCE, every, offset=31.0), observed("y", SEQUENCE, every, offset=1.0)]
    pairs = pair_residues(model, reference)
    assert len(pairs) == 100
    np.testing.assert_array_equal(pairs.reference_chain, 1 - pairs.model_chain)
    np.testing.assert_array_equal(pairs.reference_residue, pairs.model_residue)


def test_fragments_share_a_chain_but_a_second_copy_does_not():
    every = np.arange(50)
    reference = [observed("A", SEQUENCE, every)]
    fragments = [observed("x", SEQUENCE, np.arange(28, 50)), observed("y", SEQUENCE, np.arange(25))]
    pairs = pair_residues(fragments, reference)
    assert sorted(pairs.reference_residue.tolist()) == [*range(25), *range(28, 50)]
    copies = [observed("x", SEQUENCE, np.arange(45)), observed("y", SEQUENCE, every, offset=60.0)]
    pairs = pair_residues(copies, reference)
    assert set(pairs.model_chain.tolist()) == {0}


def test_another_protein_is_not_paired():
    (kinase,) = read_chains(Path(__file__).parents[2] / "examples" / "1ake_A.pdb.gz")
    assert len(pair_residues([observed("A", SEQUENCE, np.arange(50))], [kinase])) == 0
