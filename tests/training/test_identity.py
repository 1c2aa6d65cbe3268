"""Sequence identity: Smith–Waterman against its oracle, and no relatives of test proteins in the training split."""

import csv
import gzip
import hashlib
from pathlib import Path

import gemmi
import numpy as np
import pytest

from deepmm_jax.constants import AMINO_ACIDS, THREE_TO_ONE
from deepmm_jax.sequence.fasta import read_fasta
from deepmm_jax.sequence.profile import encode_letters
from deepmm_jax.training import chains
from deepmm_jax.training.chains import split_names, training_names
from deepmm_jax.training.identity import BLOSUM62, GAP_EXTEND, GAP_OPEN, local_alignment, related
from deepmm_jax.training.real_maps import NOT_LEARNT_FROM, listed_maps
from reference.identity_oracle import best_alignments


EXAMPLES = Path(__file__).parents[2] / "examples"
HELD_OUT_MAPS = (
    "emd6272_3j9s_A",
    "emd1461_vp6_trimer",
    "vp6_unmasked",
    "emd5185_3j06_A",
    "emd5185_3j06_deepmm",
    "emd4413_6i5a_A",
    "emd2566_3j6b_9",
    "emd2513_frh_ABC",
    "emd3240_5fn5_ABCD",
)


def random_letters(length: int, rng: np.random.Generator, alphabet: str = AMINO_ACIDS) -> str:
    return "".join(rng.choice(list(alphabet), length))


def mutate(letters: str, identity: float, rng: np.random.Generator) -> str:
    """A copy in which about `identity` of the residues stay, with a loop left out."""
    changed = [a if rng.uniform() < identity else str(rng.choice(list(AMINO_ACIDS))) for a in letters]
    cut = len(letters) // 2
    return "".join(changed[:cut] + changed[cut + 3 :])


@pytest.fixture(scope="module")
def kinase() -> str:
    return read_fasta(EXAMPLES / "1ake_A.fasta")[0].letters


def test_matrix_is_blosum62():
    scoring = gemmi.AlignmentScoring("b")
    scoring.gapo = scoring.gape = scoring.good_gapo = -1000
    for i, a in enumerate(AMINO_ACIDS):
        for j, b in enumerate(AMINO_ACIDS):
            one = gemmi.expand_one_letter_sequence(a, gemmi.ResidueKind.AA)
            other = gemmi.expand_one_letter_sequence(b, gemmi.ResidueKind.AA)
            assert gemmi.align_string_sequences(one, other, [], scoring).score == BLOSUM62[i, j], a + b
    assert (BLOSUM62[20] == -1).all() and (BLOSUM62[:, 20] == -1).all()


@pytest.mark.parametrize("alphabet", ["AWC", "LIVMF", AMINO_ACIDS + "X"])
def test_local_alignment_is_a_best_one(alphabet: str, rng: np.random.Generator):
    for _ in range(25):
        first, second = (encode_letters(random_letters(int(n), rng, alphabet)) for n in rng.integers(1, 11, 2))
        score, same, columns = local_alignment(first, second)
        best, alignments = best_alignments(first, second, BLOSUM62, GAP_OPEN, GAP_EXTEND)
        assert score == best
        assert (same, columns) in alignments


def test_gap_is_bridged_where_it_pays():
    first, second = encode_letters("WWWWWWCCCCCC"), encode_letters("WWWWWWAAACCCCCC")
    assert local_alignment(first, second) == (6 * 11 + 6 * 9 - GAP_OPEN - 3 * GAP_EXTEND, 12, 15)
    assert local_alignment(second, first) == local_alignment(first, second)


def test_mutated_copies_are_related_and_strangers_are_not(kinase: str, rng: np.random.Generator):
    assert related(kinase, kinase)
    assert related(kinase, mutate(kinase, 0.5, rng)) and related(mutate(kinase, 0.5, rng), kinase)
    # A domain inside a longer chain counts as well.
    assert related(kinase, random_letters(150, rng) + mutate(kinase[40:140], 0.6, rng) + random_letters(90, rng))
    for _ in range(30):
        shuffled = "".join(rng.permutation(list(kinase)))
        assert not related(kinase, shuffled) and not related(kinase, random_letters(300, rng))


def test_short_and_distant_likeness_does_not_count(kinase: str, rng: np.random.Generator):
    # Twenty equal residues score above 85 but span fewer than 30 columns.
    piece = kinase[20:40]
    score, same, columns = local_alignment(encode_letters(kinase), encode_letters("W" * 200 + piece + "W" * 200))
    assert score >= 85 and same == columns == 20
    assert not related(kinase, "W" * 200 + piece + "W" * 200)
    assert related(kinase, piece)  # half of the shorter sequence
    assert not related(kinase, mutate(kinase, 0.5, rng), identity=0.95)


def observed_letters(path: Path) -> str:
    """Letters of the residues with a Cα in a `.pdb.gz` file."""
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    return "".join(THREE_TO_ONE[line[17:20]] for line in lines if line[:4] == "ATOM" and line[12:16] == " CA ")


def words(letters: str) -> set[str]:
    return {letters[i : i + 4] for i in range(len(letters) - 3)}


@pytest.mark.slow
def test_no_training_chain_is_related_to_a_held_out_map_or_the_example(data_directory: Path, kinase: str):
    held_out = {"1ake_A": kinase}
    for name in HELD_OUT_MAPS:
        records = read_fasta(data_directory / "maps" / f"{name}.fasta")
        held_out |= {f"{name} {i}": record.letters for i, record in enumerate(records)}
    structures = data_directory / "structures"
    names = training_names()
    training = {name: observed_letters(structures / f"{name}.pdb.gz") for name in names}
    assert len(training) > 1000

    # Alignments are slow, and chains 30 % identical over any length share words of four letters.
    targets = {letters: (name, words(letters)) for name, letters in held_out.items()}
    compared, relatives = 0, []
    for name, letters in training.items():
        own = words(letters)
        for target, (target_name, theirs) in targets.items():
            if len(own & theirs) >= 3:
                compared += 1
                if related(letters, target):
                    relatives.append((name, target_name))
    assert compared > 20
    assert not relatives


@pytest.mark.slow
def test_no_real_map_to_learn_from_is_related_to_what_is_reported_on(data_directory: Path, kinase: str):
    structures = data_directory / "structures"
    reported = {"1ake_A": kinase}
    reported |= {
        name: observed_letters(structures / f"{name}.pdb.gz")
        for split in ("val", "test")
        for name in split_names(structures, split)
    }
    folder = data_directory / "maps"
    for name in HELD_OUT_MAPS:
        reported |= {f"{name} {i}": r.letters for i, r in enumerate(read_fasta(folder / f"{name}.fasta"))}
    relatives = {
        (row.name, other)
        for row in listed_maps()
        for record in read_fasta(folder / f"{row.name}.fasta")
        for other, letters in reported.items()
        if len(words(record.letters) & words(letters)) >= 3 and related(record.letters, letters)
    }
    learnt_from = {row.name for row in listed_maps() if not row.notes & NOT_LEARNT_FROM}
    assert len(reported) > 200 and len(learnt_from) > 10
    assert ("emd8923_6dw1_A", "8sgo_C") in relatives, "noted in the list of real maps"
    assert not {name for name, _ in relatives} & learnt_from


def test_committed_list_is_the_training_split_and_names_its_files(data_directory: Path):
    structures = data_directory / "structures"
    with (structures / "MANIFEST.csv").open() as stream:
        split = {row["name"]: row["split"] for row in csv.DictReader(stream)}
    text = Path(chains.__file__).with_name("lists").joinpath("train.txt").read_text()
    digests = dict(line.split() for line in text.splitlines())
    assert list(digests) == training_names()
    assert all(split[name] == "train" for name in digests)
    for name in list(digests)[::25]:
        assert hashlib.sha256((structures / f"{name}.pdb.gz").read_bytes()).hexdigest() == digests[name]
