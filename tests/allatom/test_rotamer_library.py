"""The rotamer library as it is read: probabilities, what is known of helices and strands, what stays out."""

import numpy as np
import pytest

from deepmm_jax.allatom.rotamer_library import conformers, rotamer_library, rotamer_penalties
from deepmm_jax.constants import AMINO_ACIDS


HELIX, STRAND = np.radians([-63.0, -42.0]), np.radians([-120.0, 130.0])


def shares(letter: str, phi: float, psi: float) -> np.ndarray:
    penalties = rotamer_penalties(AMINO_ACIDS.index(letter), np.array([phi]), np.array([psi]))
    return np.exp(-penalties[:, 0])


@pytest.mark.parametrize("letter", "CDEFHIKLMNPQRSTVWY")
def test_rotamers_of_a_residue_share_one_probability(letter: str):
    for place in (HELIX, STRAND, np.array([np.nan, 1.0])):
        assert shares(letter, *place).sum() == pytest.approx(1, abs=0.05)


def test_valine_is_trans_and_serine_knows_where_it_is():
    library = rotamer_library()
    serine = np.abs(library["chi_mean"][AMINO_ACIDS.index("S"), :3, 0]) > 120
    assert shares("V", *HELIX).argmax() == 0
    assert abs(library["chi_mean"][AMINO_ACIDS.index("V"), 0, 0]) > 170
    assert shares("S", *HELIX)[serine].sum() < shares("S", *STRAND)[serine].sum()


def test_conformers_are_all_rotamers_of_their_residues():
    phi, psi = np.full(4, -1.1), np.full(4, -0.7)
    found = conformers("GLXS", phi, psi, 64)
    assert found.there.sum() == 11
    assert found.residue[:11].tolist() == [1] * 8 + [3] * 3
    assert found.number[:11].tolist() == [*range(8), *range(3)]
    library, leucine = rotamer_library(), AMINO_ACIDS.index("L")
    np.testing.assert_allclose(found.chi[:8], np.radians(library["chi_mean"][leucine, :8].astype(float)), atol=1e-6)
    np.testing.assert_allclose(np.exp(-found.penalty[:8]), shares("L", -1.1, -0.7), rtol=1e-5)


def test_the_rarest_stay_out():
    phi, psi = np.full(2, -1.1), np.full(2, -0.7)
    everything = conformers("RS", phi, psi, 64)
    few = conformers("RS", phi, psi, 20)
    assert few.there.all()
    kept = np.sort(everything.penalty[everything.there])[:20]
    np.testing.assert_allclose(np.sort(few.penalty), kept)
    assert (np.diff(few.residue) >= 0).all()


def test_nothing_to_choose_from():
    assert not conformers("GAX", np.full(3, -1.0), np.full(3, 1.0), 16).there.any()
