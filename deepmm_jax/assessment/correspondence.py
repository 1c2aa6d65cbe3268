"""Which residue of a model is which residue of a reference: by sequence alignment, never by number (section 3.1)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from deepmm_jax.constants import AMINO_ACIDS
from deepmm_jax.structure.chain import Chain


MATCH, MISMATCH = 1.0, -0.1
"""Scores of two equal letters and of two different ones; a letter against X is 0."""
GAP_OPEN, GAP_OPEN_AT_BREAK, GAP_EXTEND = 4.0, 0.5, 0.05
"""Costs of a gap. At the ends of a sequence opening is free, where its chain is broken it is cheap."""
BREAK_DISTANCE = 4.5
"""Successive Cα further apart than this are a break in the chain, Å."""
LEAST_IDENTITY = 0.3
"""Chains whose paired residues are less identical than this are different proteins."""
NEAR = 10.0
"""Paired Cα closer than this, Å, speak for two chains being copies at the same place."""


@dataclass(frozen=True, kw_only=True)
class Correspondence:
    """Paired residues: number of the chain and of the residue in it, on either side; every residue at most once."""

    model_chain: Int[np.ndarray, "n_pairs"]
    model_residue: Int[np.ndarray, "n_pairs"]
    reference_chain: Int[np.ndarray, "n_pairs"]
    reference_residue: Int[np.ndarray, "n_pairs"]

    def __len__(self) -> int:
        return len(self.model_chain)


def pair_residues(model: Sequence[Chain], reference: Sequence[Chain]) -> Correspondence:
    """Pair the residues of two lists of chains.

    Every two chains are aligned; the pair of chains with most identical residues, and among copies the one with most
    of them in place (closer than 10 Å), is taken first, and so on. A reference chain may take several
    model chains, as long as they are fragments: at least half of what they pair must be new.
    """
    candidates = []
    for m, model_chain in enumerate(model):
        for r, reference_chain in enumerate(reference):
            pairs = align_chains(model_chain, reference_chain)
            same = [model_chain.sequence[i] == reference_chain.sequence[j] for i, j in pairs.tolist()]
            if len(pairs) and np.mean(same) >= LEAST_IDENTITY:
                apart = model_chain.calpha[pairs[:, 0]] - reference_chain.calpha[pairs[:, 1]]
                in_place = np.linalg.norm(apart, axis=1) < NEAR
                candidates.append((m, r, pairs, np.array(same, np.int64) + in_place))
    taken = [np.zeros(len(chain), bool) for chain in reference]
    found: list[np.ndarray] = []
    while candidates:
        fresh = [~taken[r][pairs[:, 1]] for _, r, pairs, _ in candidates]
        best = int(np.argmax([(worth * new).sum() for (*_, worth), new in zip(candidates, fresh, strict=True)]))
        (m, r, pairs, _), new = candidates.pop(best), fresh[best]
        if 2 * new.sum() < len(pairs) or not new.any():
            continue
        taken[r][pairs[new, 1]] = True
        found.append(np.column_stack([np.full(new.sum(), m), pairs[new, 0], np.full(new.sum(), r), pairs[new, 1]]))
        candidates = [candidate for candidate in candidates if candidate[0] != m]
    rows = np.concatenate(found) if found else np.empty((0, 4), np.int64)
    return Correspondence(
        model_chain=rows[:, 0], model_residue=rows[:, 1], reference_chain=rows[:, 2], reference_residue=rows[:, 3]
    )


def align_chains(model: Chain, reference: Chain) -> Int[np.ndarray, "n_pairs 2"]:
    """Residues (of the model, of the reference) that correspond, both with a Cα.

    Where a file says the whole sequence of a chain, that is aligned, so that unbuilt residues keep their place;
    elsewhere the residues that are there, with gaps made cheap where the chain is broken.
    """
    letters_a, index_a, open_a = _alignable(model)
    letters_b, index_b, open_b = _alignable(reference)
    columns = align_sequences(letters_a, letters_b, open_a, open_b)
    pairs = np.column_stack([index_a[columns[:, 0]], index_b[columns[:, 1]]])
    built = np.isfinite(model.calpha[pairs[:, 0]]).all(1) & np.isfinite(reference.calpha[pairs[:, 1]]).all(1)
    return pairs[(pairs >= 0).all(1) & built]


def align_sequences(
    a: str, b: str, open_a: Float[np.ndarray, "_"] | None = None, open_b: Float[np.ndarray, "_"] | None = None
) -> Int[np.ndarray, "n_pairs 2"]:
    """Best global alignment of two sequences with affine gaps (Gotoh 1982): the index pairs of aligned letters.

    `open_a[i]` is the cost of opening a gap in a before its letter i (i = m: after the last), `open_b` likewise.
    """
    open_a = _gap_costs(len(a)) if open_a is None else open_a
    open_b = _gap_costs(len(b)) if open_b is None else open_b
    scores = _letter_scores(a, b)
    m, n = scores.shape
    # Best score of a[:i] with b[:j] that ends in a pair, in a letter of a alone, in a letter of b alone.
    pair, only_a, only_b = np.full((3, m + 1, n + 1), -np.inf)
    pair[0, 0] = 0.0
    along = GAP_EXTEND * np.arange(n + 1)
    for i in range(m + 1):
        if i:
            above = np.maximum(np.maximum(pair[i - 1], only_a[i - 1]), only_b[i - 1])
            pair[i, 1:] = above[:-1] + scores[i - 1]
            only_a[i] = np.maximum(above - open_b, only_a[i - 1]) - GAP_EXTEND
        # A gap in a that was opened at the best column so far and extended up to this one.
        opened = np.maximum(pair[i], only_a[i]) - open_a[i] + along
        only_b[i, 1:] = np.maximum.accumulate(opened)[:-1] - along[1:]
    return _trace_back(pair, only_a, only_b, open_a, open_b)


def _trace_back(
    pair: np.ndarray, only_a: np.ndarray, only_b: np.ndarray, open_a: np.ndarray, open_b: np.ndarray
) -> Int[np.ndarray, "n_pairs 2"]:
    """Walk from the end of the alignment to its start and collect the aligned pairs; a tie goes to the pair."""
    states = np.stack([pair, only_a, only_b])
    i, j = pair.shape[0] - 1, pair.shape[1] - 1
    state = int(states[:, i, j].argmax())
    pairs = []
    while i or j:
        if state == 0:
            i, j = i - 1, j - 1
            pairs.append((i, j))
            state = int(states[:, i, j].argmax())
        elif state == 1:
            i -= 1
            opened = states[:, i, j].max() - open_b[j]
            state = int(states[:, i, j].argmax()) if opened >= only_a[i, j] else 1
        else:
            j -= 1
            opened = states[:2, i, j].max() - open_a[i]
            state = int(states[:2, i, j].argmax()) if opened >= only_b[i, j] else 2
    return np.array(pairs[::-1], np.int64).reshape(-1, 2)


def _letter_scores(a: str, b: str) -> Float[np.ndarray, "m n"]:
    """Score of every letter of a against every letter of b."""
    rows, columns = np.array(list(a), "U1")[:, None], np.array(list(b), "U1")[None]
    known = np.isin(rows, list(AMINO_ACIDS)) & np.isin(columns, list(AMINO_ACIDS))
    return np.where(known, np.where(rows == columns, MATCH, MISMATCH), 0.0)


def _gap_costs(length: int) -> Float[np.ndarray, "_"]:
    """Cost of opening a gap at every place in an unbroken sequence: free at the ends."""
    costs = np.full(length + 1, GAP_OPEN)
    costs[[0, -1]] = 0.0
    return costs


def _alignable(chain: Chain) -> tuple[str, Int[np.ndarray, "m"], Float[np.ndarray, "_"]]:
    """The letters to align, the residue of the chain each belongs to (-1: unbuilt), and what opening a gap costs."""
    if chain.full_sequence is not None and chain.register is not None:
        index = np.full(len(chain.full_sequence), -1, np.int64)
        index[chain.register] = np.arange(len(chain))
        return chain.full_sequence, index, _gap_costs(len(index))
    costs = _gap_costs(len(chain))
    steps = np.linalg.norm(np.diff(chain.calpha, axis=0), axis=1)
    costs[1:-1][~(steps <= BREAK_DISTANCE)] = GAP_OPEN_AT_BREAK
    return chain.sequence, np.arange(len(chain)), costs
