"""The command as a user calls it, in this process, and small inputs: 40 residues of adenylate kinase at 5 Å."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from deepmm_jax.density.mrc import write_map
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.networks.checkpoints import save_checkpoint
from deepmm_jax.networks.whole_map import WholeMapConfig, initial_parameters
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.write import write_pdb
from deepmm_jax_cli.console import Progress
from deepmm_jax_cli.main import run
from reference.known_atoms import use_known_atoms


EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LENGTH = 40


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Call `deepmm-jax` with arguments; the exit code and what it printed."""

    def call(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["deepmm-jax", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            run()
        code = stop.value.code
        assert code is None or isinstance(code, int)
        return Outcome(code or 0, *capsys.readouterr())

    return call


@pytest.fixture(autouse=True)
def _process_as_it_was() -> Iterator[None]:
    """The command sets variables and listens to the library's log, as the one command of a process may."""
    logger, orbax = logging.getLogger("deepmm_jax"), logging.getLogger("absl")
    environment, state = dict(os.environ), (list(logger.handlers), logger.level, logger.propagate)
    orbax_level = orbax.level
    yield
    assert not any(isinstance(handler, Progress) for handler in logger.handlers), "a run listens beyond its end"
    orbax.setLevel(orbax_level)
    os.environ.clear()
    os.environ.update(environment)
    logger.handlers, logger.level, logger.propagate = state


@pytest.fixture(scope="session")
def piece() -> Chain:
    """The first residues of the example."""
    (chain,) = read_chains(EXAMPLES / "1ake_A.pdb.gz")
    kept = [a for a, residue in enumerate(chain.residue_of_atom) if residue < LENGTH]
    return replace(
        chain,
        sequence=chain.sequence[:LENGTH],
        numbers=chain.numbers[:LENGTH],
        positions=chain.positions[kept],
        atom_names=tuple(chain.atom_names[a] for a in kept),
        elements=tuple(chain.elements[a] for a in kept),
        residue_of_atom=chain.residue_of_atom[kept],
        b_factors=chain.b_factors[kept],
        full_sequence=None,
        register=None,
    )


@pytest.fixture(scope="session")
def inputs(piece: Chain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with map.mrc, piece.fasta, piece.pdb and `network`, a small whole-map network that was never trained."""
    folder = tmp_path_factory.mktemp("inputs")
    write_map(folder / "map.mrc", simulate_map(piece.positions, piece.atomic_numbers, 5.0, 1.2))
    (folder / "piece.fasta").write_text(f">piece of adenylate kinase\n{piece.sequence}\n")
    write_pdb(folder / "piece.pdb", [[piece]])
    sizes = WholeMapConfig(width=8, coarse_width=8, fine_blocks=1, coarse_blocks=1, head_width=8)
    save_checkpoint(folder / "network", initial_parameters(sizes), {"kind": "whole-map", "network": sizes.as_dict()})
    return folder


@pytest.fixture
def known_atoms(monkeypatch: pytest.MonkeyPatch, piece: Chain) -> None:
    """Stand-ins for the stages that place atoms, which take minutes to compile: they know where those of `piece` are.

    The minimisation moves everything by 0.01 Å.
    """
    use_known_atoms(monkeypatch, piece)


@pytest.fixture
def arguments(inputs: Path, tmp_path: Path) -> list[str | Path]:
    """`build` of the small inputs into `tmp_path / "out"`."""
    return [
        *("build", inputs / "map.mrc", "--sequence", inputs / "piece.fasta", "--output", tmp_path / "out"),
        *("--checkpoint", inputs / "network", "--secondary-structure", "none"),
    ]
