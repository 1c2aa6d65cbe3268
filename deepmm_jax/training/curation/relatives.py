"""Chains that are related by sequence: groups at 50 %, exclusion at 30 % identity (section 2.6.1).

MMseqs2, where it is installed, or words of three letters propose pairs; the alignments of `training.identity` decide,
so that both ways give the same answer but for pairs that a proposal misses.
"""

import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from deepmm_jax.training.identity import pairs_with_words, share_of_shorter, shared_identity


log = logging.getLogger(__name__)

PROGRAM = "mmseqs"


class _SearchError(Exception):
    """MMseqs2 gave up; the message is its last word."""


def closest_relatives(
    queries: Sequence[str], targets: Mapping[str, str], identity: float
) -> dict[int, tuple[str, float]]:
    """Of every query that has a target with `identity` or more the number, the closest target and their identity."""
    names = list(targets)
    found: dict[int, tuple[str, float]] = {}
    for q, t in proposed_pairs(queries, list(targets.values())):
        shared = shared_identity(queries[q], targets[names[t]])
        if shared >= identity and shared > found.get(q, ("", 0.0))[1]:
            found[q] = (names[t], shared)
    return found


def representatives(letters: Sequence[str], identity: float) -> list[int]:
    """For every sequence the number of the one that stands for it; those that stand for themselves are kept.

    As CD-HIT does: the longest first, and each joins the first representative with which it shares `identity`, counted
    over the shorter of the two.
    """
    order = sorted(range(len(letters)), key=lambda i: (-len(letters[i]), i))
    rank = {i: place for place, i in enumerate(order)}
    before: dict[int, list[int]] = {i: [] for i in order}
    for a, b in proposed_pairs(letters, letters):
        if rank[a] < rank[b]:
            before[b].append(a)
    out = list(range(len(letters)))
    for i in order:
        for other in sorted(before[i], key=rank.__getitem__):
            if out[other] == other and share_of_shorter(letters[i], letters[other]) >= identity:
                out[i] = other
                break
    return out


def proposed_pairs(queries: Sequence[str], targets: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs (query, target) that may be related, sorted.

    By words too if MMseqs2 fails, as it does where all targets are of low complexity; the log says so.
    """
    program = shutil.which(PROGRAM)
    if program is not None and queries and targets:
        try:
            return _search(program, queries, targets)
        except _SearchError as reason:
            log.warning("%s failed (%s); pairs are proposed without it, which takes longer", program, reason)
    return pairs_with_words(queries, targets)


def _search(program: str, queries: Sequence[str], targets: Sequence[str]) -> list[tuple[int, int]]:
    """What MMseqs2 finds at its highest sensitivity. Raises _SearchError if it fails."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, sequences in (("queries", queries), ("targets", targets)):
            (folder / file).write_text("".join(f">{i}\n{letters}\n" for i, letters in enumerate(sequences)))
        files = [str(folder / part) for part in ("queries", "targets", "found", "temporary")]
        threads = str(len(os.sched_getaffinity(0)))
        options = ["-s", "7.5", "-e", "10", "--max-seqs", str(len(targets)), "--threads", threads, "-v", "1"]
        command = [program, "easy-search", *files, *options, "--format-output", "query,target"]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            said = (run.stderr or run.stdout).strip().splitlines()
            raise _SearchError(said[-1] if said else f"exit code {run.returncode}")
        lines = (folder / "found").read_text().splitlines()
    return sorted({(int(query), int(target)) for query, target in map(str.split, lines)})
