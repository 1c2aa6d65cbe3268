"""Small inputs of the curation."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.write import write_pdb
from reference.curation_inputs import (
    BASE,
    LIGAND,
    UBIQUITIN,
    WATER,
    SmallArchive,
    part,
    pdb_lines,
    serving,
    write_lines,
)


@pytest.fixture(scope="session")
def ubiquitin() -> Chain:
    (chain,) = read_chains(UBIQUITIN)
    return chain


@pytest.fixture
def structures(tmp_path: Path, kinase: Chain) -> Path:
    """A folder with one structure of every kind."""
    folder = tmp_path / "given"
    folder.mkdir()
    lines = pdb_lines(UBIQUITIN)
    write_lines(folder / "good.pdb", *lines, WATER)
    write_lines(folder / "dna.pdb", *lines, BASE)
    write_lines(folder / "ligand.pdb", *lines, LIGAND)
    write_lines(folder / "models.pdb", "MODEL        1", *lines, "ENDMDL", "MODEL        2", *lines, "ENDMDL")
    write_lines(folder / "unknown.pdb", *(line.replace("GLY A  47", "UNK A  47") for line in lines))
    write_lines(folder / "cut.pdb", *(line for line in lines if line[12:16] + line[22:26] != " NZ   48"))
    write_lines(folder / "open.pdb", *(line for line in lines if line[12:16] + line[22:26] != " O    20"))
    write_lines(folder / "short.pdb", *(line for line in lines if int(line[22:26]) <= 49))
    write_lines(folder / "broken.pdb", "ATOM      1  N   MET A   1      here    there   nowhere")
    write_pdb(folder / "two.pdb", [[part(kinase, 0, 120), part(kinase, 130, 200, "B")]])
    return folder


@pytest.fixture
def archive() -> Iterator[SmallArchive]:
    with serving() as small:
        yield small
