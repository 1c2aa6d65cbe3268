"""Pieces of chains: the longest without a break, and that its atoms stay together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.write import write_pdb
from deepmm_jax.training.curation.candidates import chain_of, examine
from deepmm_jax.training.curation.pieces import cut_out, longest_piece
from deepmm_jax.training.curation.settings import CurationSettings
from deepmm_jax.training.curation.sources import Source


def test_a_piece_has_its_own_atoms(kinase: Chain):
    piece = cut_out(kinase, 10, 60)
    assert piece.sequence == kinase.sequence[10:60] and len(piece) == 50
    for name in ("N", "CA", "CB", "OD1"):
        np.testing.assert_array_equal(piece.atom(name), kinase.atom(name)[10:60])
    assert cut_out(kinase, 0, len(kinase)) is kinase


def test_whole_chains_stay_and_broken_ones_lose_the_shorter_part(kinase: Chain):
    assert longest_piece(kinase) is kinase
    beyond = (kinase.residue_of_atom >= 80)[:, None] * np.array([3.0, 0.0, 0.0], np.float32)
    assert longest_piece(replace(kinase, positions=kinase.positions + beyond)).sequence == kinase.sequence[80:]
    kept = np.array([not (name == "C" and r == 150) for name, r in zip(kinase.atom_names, kinase.residue_of_atom)])
    without = replace(
        kinase,
        positions=kinase.positions[kept],
        atom_names=tuple(np.array(kinase.atom_names)[kept]),
        elements=tuple(np.array(kinase.elements)[kept]),
        residue_of_atom=kinase.residue_of_atom[kept],
        b_factors=kinase.b_factors[kept],
    )
    assert longest_piece(without).sequence == kinase.sequence[:151]


@pytest.mark.parametrize("unbroken", [False, True])
def test_the_set_takes_the_piece_if_it_is_asked_to(kinase: Chain, tmp_path: Path, unbroken: bool):
    parts = [cut_out(kinase, 0, 60), cut_out(kinase, 70, 214)]
    joined = replace(
        kinase,
        sequence=parts[0].sequence + parts[1].sequence,
        numbers=np.concatenate([part.numbers for part in parts]),
        positions=np.concatenate([part.positions for part in parts]),
        atom_names=parts[0].atom_names + parts[1].atom_names,
        elements=parts[0].elements + parts[1].elements,
        residue_of_atom=np.concatenate([parts[0].residue_of_atom, parts[1].residue_of_atom + 60]),
        b_factors=np.concatenate([part.b_factors for part in parts]),
        full_sequence=None,
        register=None,
    )
    write_pdb(tmp_path / "gap.pdb", [[joined]])
    settings = CurationSettings(unbroken=unbroken)
    source = Source(name="gap", structure=str(tmp_path / "gap.pdb"))
    (candidate,) = examine(tmp_path / "gap.pdb", source, settings)
    assert candidate.letters == (kinase.sequence[70:] if unbroken else joined.sequence)
    assert chain_of(candidate, settings).sequence == candidate.letters
