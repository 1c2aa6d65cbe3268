"""Folds: the score of known pairs, whatever their sequence, and what is left out."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from deepmm_jax.assessment.tm_score import tm_score
from deepmm_jax.structure.chain import Chain
from deepmm_jax.training.curation.folds import align, closest_fold, fold_similarity, likely_folds


def brute_force(likeness: np.ndarray, gap: float) -> float:
    """The best sum over all order-preserving pairings, with a gap wherever two pairs are not neighbours in a chain."""
    n, m = likeness.shape
    best = 0.0

    def extend(total: float, i: int, j: int) -> None:
        nonlocal best
        best = max(best, total)
        for a in range(i + 1, n):
            for b in range(j + 1, m):
                gaps = 0 if i < 0 else (a > i + 1) + (b > j + 1)
                extend(total + likeness[a, b] - gap * gaps, a, b)

    extend(0.0, -1, -1)
    return best


@pytest.mark.parametrize("shape", [(4, 5), (6, 3), (1, 4), (5, 5)])
def test_alignment_is_a_best_one(shape: tuple[int, int], rng: np.random.Generator):
    for _ in range(10):
        likeness = rng.uniform(0, 1, shape)
        pairs = align(likeness, 0.3)
        assert (np.diff(pairs, axis=0) > 0).all()
        gaps = int((np.diff(pairs, axis=0) > 1).sum())
        total = float(likeness[pairs[:, 0], pairs[:, 1]].sum()) - 0.3 * gaps
        assert total == pytest.approx(brute_force(likeness, 0.3))


def test_a_turned_copy_with_a_loop_left_out_is_the_same_fold(kinase: Chain, rng: np.random.Generator):
    other = kinase.calpha @ Rotation.random(rng=rng).as_matrix().T + 30.0
    other = np.delete(other, slice(90, 98), axis=0) + rng.normal(scale=0.5, size=(206, 3))
    pairs = np.delete(np.arange(214), slice(90, 98))
    known = tm_score(other, kinase.calpha[pairs], 206).value
    found = fold_similarity(other, kinase.calpha)
    assert found == pytest.approx(known, abs=0.01) and found > 0.9
    assert fold_similarity(kinase.calpha, other) == found


def test_strangers_and_mirror_images_are_not(kinase: Chain, ubiquitin: Chain):
    assert fold_similarity(kinase.calpha, ubiquitin.calpha) < 0.45
    assert fold_similarity(ubiquitin.calpha, ubiquitin.calpha * [1, 1, -1]) < 0.45
    assert fold_similarity(ubiquitin.calpha, ubiquitin.calpha) == pytest.approx(1.0)
    assert 0 < fold_similarity(ubiquitin.calpha[:5], ubiquitin.calpha) <= 1


def test_the_first_fold_above_the_limit_ends_the_search(kinase: Chain, ubiquitin: Chain):
    references = {"kinase": kinase.calpha, "piece": ubiquitin.calpha[:60], "itself": ubiquitin.calpha}
    assert closest_fold(ubiquitin.calpha, references, 0.5)[0] == "piece"
    name, score = closest_fold(kinase.calpha, {"ubiquitin": ubiquitin.calpha}, 0.5)
    assert name == "ubiquitin" and score < 0.5
    assert closest_fold(kinase.calpha, {}, 0.5) == ("", 0.0)


def test_a_first_look_finds_relatives(kinase: Chain, ubiquitin: Chain, rng: np.random.Generator):
    """Pieces of the chain among strangers of the same lengths, however they are turned."""
    turned = kinase.calpha[20:150] @ Rotation.random(rng=rng).as_matrix().T - 12.0
    strangers = {f"walk {k}": np.cumsum(rng.normal(scale=2.2, size=(130, 3)), axis=0) for k in range(5)}
    references = {"ubiquitin": ubiquitin.calpha, **strangers, "piece": turned}
    found = likely_folds(kinase.calpha, references, 2)
    assert next(iter(found)) == "piece" and len(found) == 2
    assert closest_fold(kinase.calpha, found, 0.5)[0] == "piece"
