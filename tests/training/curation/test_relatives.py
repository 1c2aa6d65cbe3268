"""Relatives and groups against the slow oracle, by own words and by a stand-in for MMseqs2."""

import shutil
import stat
from pathlib import Path

import numpy as np
import pytest

from deepmm_jax.constants import AMINO_ACIDS
from deepmm_jax.training.curation import relatives
from deepmm_jax.training.curation.relatives import closest_relatives, proposed_pairs, representatives
from deepmm_jax.training.identity import pairs_with_words, share_of_shorter, shared_identity
from reference import relatives_oracle


STAND_IN = """#!{python}
import sys
kind, queries, targets, found, temporary, *options = sys.argv[1:]
assert kind == "easy-search" and options[-2:] == ["--format-output", "query,target"], sys.argv
{action}
names = [[line[1:].strip() for line in open(file) if line[0] == ">"] for file in (queries, targets)]
open(found, "w").write("".join(f"{{q}}\\t{{t}}\\n" for q in names[0] for t in reversed(names[1])))
"""


def random_letters(length: int, rng: np.random.Generator) -> str:
    return "".join(rng.choice(list(AMINO_ACIDS), length))


def mutated(letters: str, kept: float, rng: np.random.Generator) -> str:
    return "".join(a if rng.uniform() < kept else str(rng.choice(list(AMINO_ACIDS))) for a in letters)


@pytest.fixture
def family(rng: np.random.Generator) -> list[str]:
    """Two families with members ever further away, a domain inside a longer chain, and strangers."""
    heads = [random_letters(50, rng), random_letters(44, rng)]
    members = [mutated(head, kept, rng) for head in heads for kept in (0.95, 0.7, 0.5, 0.3)]
    inserted = heads[0][:25] + random_letters(6, rng) + heads[0][28:]
    inside = random_letters(15, rng) + mutated(heads[1], 0.8, rng) + random_letters(12, rng)
    return [*heads, *members, inserted, inside, random_letters(48, rng), "".join(rng.permutation(list(heads[0])))]


@pytest.fixture(params=["words", "mmseqs"])
def way(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Without MMseqs2 on the PATH, and with a program of that name that proposes every pair."""
    install(tmp_path, monkeypatch, "" if request.param == "mmseqs" else None)
    return request.param


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, action: str | None) -> None:
    monkeypatch.setenv("PATH", str(folder))
    if action is not None:
        program = folder / "mmseqs"
        program.write_text(STAND_IN.format(python=relatives.os.path.realpath("/proc/self/exe"), action=action))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize("identity", [0.3, 0.5])
def test_relatives_are_those_of_the_oracle(family: list[str], way: str, identity: float):
    queries, targets = family[1::2], {f"target {i}": letters for i, letters in enumerate(family[::2])}
    known = relatives_oracle.closest(queries, targets, identity)
    found = closest_relatives(queries, targets, identity)
    assert {q: shared for q, (_, shared) in found.items()} == {q: pytest.approx(s) for q, (_, s) in known.items()}
    assert {q: name for q, (name, _) in found.items()} == {q: name for q, (name, _) in known.items()}
    assert 2 < len(known) < len(queries)


def test_groups_are_those_of_the_oracle(family: list[str], way: str):
    known = relatives_oracle.groups(family, 0.5)
    assert representatives(family, 0.5) == known
    assert 3 < len(set(known)) < len(family) - 3
    assert [i for i, first in enumerate(known) if first == i] == sorted(set(known)), "who stands for others is kept"


def test_scores_are_those_of_the_oracle(family: list[str]):
    for first, second in zip(family[:-1], family[1:], strict=True):
        score, same, columns = relatives_oracle.align(first, second)
        if score > 60:  # below that alignments of one score abound
            assert share_of_shorter(first, second) == same / min(len(first), len(second))
        if shared_identity(first, second):
            assert shared_identity(first, second) == same / columns


def test_words_propose_relatives_and_spare_strangers(rng: np.random.Generator):
    head = random_letters(150, rng)
    near = [mutated(head, 0.4, rng) for _ in range(30)]
    strangers = [random_letters(150, rng) for _ in range(100)]
    proposed = {t for _, t in pairs_with_words([head], near + strangers)}
    assert len(proposed & set(range(30))) >= 29
    assert len(proposed) < 50
    assert pairs_with_words([], near) == pairs_with_words([head], []) == pairs_with_words(["AC"], ["AC"]) == []
    assert pairs_with_words(["WWWW"], ["AW", "GWWWA", "WWW"]) == [(0, 1), (0, 2)]


def test_words_propose_where_mmseqs_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    repeated = ["A" * 60]
    assert proposed_pairs(repeated, repeated) == [(0, 0)], "MMseqs2 itself, if installed, cannot look at this"
    install(tmp_path, monkeypatch, 'print("no space left"); sys.exit(1)')
    assert proposed_pairs(["ACDEFGHIKL"], ["ACDEFGHIKL"]) == [(0, 0)]
    assert "mmseqs failed (no space left); pairs are proposed without it" in caplog.text


def test_mmseqs_itself_proposes_the_relatives(family: list[str]):
    if shutil.which("mmseqs") is None:
        print("skipped: MMseqs2 is not installed")
        pytest.skip("MMseqs2 is not installed")
    targets = dict(enumerate(family[::2]))
    found = closest_relatives(family[1::2], {str(i): letters for i, letters in targets.items()}, 0.3)
    assert found.keys() >= relatives_oracle.closest(family[1::2], {str(i): t for i, t in targets.items()}, 0.4).keys()
