"""Chains with the secondary structure that DSSP found: the table, its batches and the score Q3."""

import csv
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from deepmm_jax.constants import SECONDARY_STRUCTURES
from deepmm_jax.errors import SequenceError
from deepmm_jax.networks.secondary_structure import EIGHT_STATES, PADDING
from deepmm_jax.sequence.profile import encode_letters


CROPS = (112, 160, 208, 256, 320, 400, 512, 704)
"""Padded lengths of training batches; of a longer chain a random window of the last size is taken."""

UNLABELLED = -1


@dataclass(frozen=True, kw_only=True)
class LabelledChain:
    """A sequence with the states that DSSP found; -1 where a residue was not observed or the state is not published."""

    name: str
    split: str
    letters: str
    three: Int[np.ndarray, "n"]
    eight: Int[np.ndarray, "n"]
    scored: Bool[np.ndarray, "n"]


def read_labelled_chains(path: Path) -> list[LabelledChain]:
    """Read the table id, source, split, sequence, ss3, ss8, scored (`.csv` or `.csv.gz`).

    Raises SequenceError where it is missing, or a row's columns do not fit each other.
    """
    if not path.is_file():
        raise SequenceError(f"{path} does not exist; check --data")
    three = {state: i for i, state in enumerate(SECONDARY_STRUCTURES)}
    eight = {state: i for i, state in enumerate(EIGHT_STATES)}
    chains = []
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        for row in csv.DictReader(file):
            letters, ss3 = row["sequence"], row["ss3"]
            ss8 = row["ss8"] or "-" * len(letters)
            if not len(letters) == len(ss3) == len(ss8):
                raise SequenceError(
                    f"{path}: {row['id']} has {len(letters)} letters, {len(ss3)} and {len(ss8)} states; mend the row"
                )
            scored = np.full(len(letters), not row["scored"])
            for span in filter(None, row["scored"].split(";")):
                first, last = map(int, span.split("-"))
                scored[first - 1 : last] = True
            chains.append(
                LabelledChain(
                    name=row["id"],
                    split=row["split"],
                    letters=letters,
                    three=np.array([three.get(s, UNLABELLED) for s in ss3], dtype=np.int32),
                    eight=np.array([eight.get(s, UNLABELLED) for s in ss8], dtype=np.int32),
                    scored=scored,
                )
            )
    return chains


def q3(chains: Sequence[LabelledChain], probabilities: Sequence[Float[np.ndarray, "_ 3"]]) -> float:
    """Share of scored, observed residues whose most probable state is DSSP's; all chains counted together."""
    right = total = 0
    for chain, p in zip(chains, probabilities, strict=True):
        counts = chain.scored & (chain.three != UNLABELLED)
        right += int(np.sum(p.argmax(axis=1)[counts] == chain.three[counts]))
        total += int(counts.sum())
    return right / total


def epoch_batches(
    chains: Sequence[LabelledChain], batch_residues: int, rng: np.random.Generator
) -> Iterator[Int[np.ndarray, "3 rows length"]]:
    """Padded letters, three states and eight states of one pass over `chains`, in random order.

    Chains of one padded length share a batch; its number of rows is fixed, so every length compiles once.
    """
    sizes = np.array([next((c for c in CROPS if len(chain.letters) <= c), CROPS[-1]) for chain in chains])
    plan = []
    for size in CROPS:
        members = rng.permutation(np.flatnonzero(sizes == size))
        rows = max(1, batch_residues // size)
        plan += [(size, rows, members[i : i + rows]) for i in range(0, len(members), rows)]
    for i in rng.permutation(len(plan)):
        size, rows, members = plan[i]
        batch = np.full((3, rows, size), UNLABELLED, np.int32)
        batch[0] = PADDING
        for row, member in enumerate(members):
            chain = chains[member]
            start = int(rng.integers(0, max(0, len(chain.letters) - size) + 1))
            columns = np.stack([encode_letters(chain.letters), chain.three, chain.eight])[:, start : start + size]
            batch[:, row, : columns.shape[1]] = columns
        yield batch
