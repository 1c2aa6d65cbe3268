"""Models that lack atoms: what is found missing, and that a chain comes back as it was given."""

from dataclasses import replace

import numpy as np

from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.allatom.completion import (
    CA,
    as_given,
    calpha_only,
    complete_residues,
    given_atoms,
    lacks_atoms,
    lacks_backbone,
    with_residues,
)
from deepmm_jax.allatom.values import ATOMS, CB
from deepmm_jax.structure.chain import Chain


def part(chain: Chain, residues: list[int]) -> Chain:
    """Some residues of a chain."""
    kept = [a for a, r in enumerate(chain.residue_of_atom) if r in residues]
    return replace(
        chain,
        sequence="".join(chain.sequence[r] for r in residues),
        numbers=chain.numbers[residues],
        positions=chain.positions[kept],
        atom_names=tuple(chain.atom_names[a] for a in kept),
        elements=tuple(chain.elements[a] for a in kept),
        residue_of_atom=np.searchsorted(residues, chain.residue_of_atom[kept]).astype(np.int32),
        b_factors=chain.b_factors[kept],
        full_sequence=chain.sequence,
        register=np.array(residues, np.int32),
    )


def test_chain_comes_back_as_it_was_given(kinase: Chain):
    given = part(kinase, [*range(5, 20), *range(24, 40)])
    given = replace(given, name="xy", numbers=np.array([*range(-3, 6), *[6] * 3, *range(60, 79)], np.int32))
    model = given_atoms(given)
    assert model.letters == given.sequence[:15] + "X" + given.sequence[15:], "one unknown residue for a gap of four"
    assert not model.mask[15].any() and complete_residues(model).sum() == 31
    again = as_given(model, given)
    for name in ("name", "sequence", "atom_names", "elements", "full_sequence"):
        assert getattr(again, name) == getattr(given, name), name
    for name in ("numbers", "register", "positions", "residue_of_atom"):
        np.testing.assert_array_equal(getattr(again, name), getattr(given, name), err_msg=name)
    calpha = given.b_factors[[a for a, name in enumerate(given.atom_names) if name == "CA"]]
    np.testing.assert_array_equal(again.b_factors, calpha[given.residue_of_atom])


def test_gaps_are_told_by_numbers_where_the_whole_sequence_is_unknown(kinase: Chain):
    given = replace(part(kinase, list(range(6))), register=None, full_sequence=None)
    for numbers, letters in (
        ([1, 2, 3, 4, 5, 6], "MRIILL"),
        ([1, 2, 2, 2, 3, 9], "MRIIL" + "X" + "L"),
        ([8, 9, 3, 4, 5, 6], "MR" + "X" + "IILL"),
    ):
        assert given_atoms(replace(given, numbers=np.array(numbers, np.int32))).letters == letters


def test_foreign_atoms_and_the_terminal_oxygen_are_left_out(kinase: Chain):
    given = part(kinase, list(range(4)))
    names = ("OXT", *given.atom_names[1:-1], "P")
    model = given_atoms(replace(given, atom_names=names))
    assert model.mask.sum() == len(names) - 2
    assert lacks_backbone(model).tolist() == [True, False, False, False]
    assert lacks_atoms(model).tolist() == [True, False, False, True]


def test_what_is_missing_is_taken_from_what_was_placed(kinase: Chain):
    whole = given_atoms(part(kinase, list(range(8))))
    mask = whole.mask.copy()
    mask[2, CB + 1 :] = mask[5, [0, 2, 3]] = False
    positions = np.where(mask[..., None], whole.positions, np.float32(np.nan))
    lacking = replace(whole, positions=positions, mask=mask)
    assert np.flatnonzero(lacks_backbone(lacking)).tolist() == [5]
    assert np.flatnonzero(lacks_atoms(lacking)).tolist() == [2, 5]
    moved = replace(whole, positions=whole.positions + 1)
    mended = with_residues(lacking, moved, lacks_atoms(lacking))
    np.testing.assert_array_equal(mended.mask, whole.mask)
    np.testing.assert_array_equal(mended.positions[[2, 5]], moved.positions[[2, 5]])
    others = [0, 1, 3, 4, 6, 7]
    np.testing.assert_array_equal(mended.positions[others], whole.positions[others])


def test_calpha_models_have_calpha_alone():
    positions = np.arange(18, dtype=np.float32).reshape(2, 3, 3)
    built = np.array([[True, True, True], [False, True, True]])
    positions[~built] = np.nan
    zeros = np.zeros(2, np.float32)
    models = CalphaModels(positions=positions, built=built, scores=zeros, mscores=zeros, support=np.zeros((2, 3), "f4"))
    first, second = calpha_only(models, "AGW")
    np.testing.assert_array_equal(first.positions[:, CA], positions[0])
    assert first.mask.sum() == 3 and second.mask.sum() == 2 and not second.mask[0].any()
    assert not complete_residues(first).any() and lacks_backbone(second).tolist() == [False, True, True]
    assert complete_residues(given_atoms(first.chain("A"))).sum() == 0
    assert len(ATOMS["W"]) == 14
