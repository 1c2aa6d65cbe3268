"""`refine` from the command to its files, with stand-ins for the stages that place atoms; the real ones are slow."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest

from deepmm_jax import pipeline
from deepmm_jax.allatom.values import AllAtomModel
from deepmm_jax.assessment.report import evaluate_model
from deepmm_jax.config import MinimisationConfig
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.mrc import read_map, write_map
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.modelcif import ScoredModel, write_modelcif
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.write import calpha_chain, write_pdb
from reference.summary import read_refine_summary


FILES = {"model.cif", "model.pdb", "view.cxc", "summary.json", "log.txt"}


def without(chain: Chain, left_out: Callable[[str, int], bool]) -> Chain:
    """The chain without some atoms, by name and residue from 0."""
    kept = [a for a, r in enumerate(chain.residue_of_atom) if not left_out(chain.atom_names[a], int(r))]
    return replace(
        chain,
        positions=chain.positions[kept],
        atom_names=tuple(chain.atom_names[a] for a in kept),
        elements=tuple(chain.elements[a] for a in kept),
        residue_of_atom=chain.residue_of_atom[kept],
        b_factors=chain.b_factors[kept],
    )


@pytest.fixture
def trace(piece: Chain) -> Chain:
    """Cα alone, under another name and other numbers."""
    chain = calpha_chain("Q", piece.sequence, piece.calpha, np.linspace(0.1, 0.9, len(piece)))
    return replace(chain, numbers=chain.numbers + 100, full_sequence=None, register=None)


@pytest.mark.usefixtures("known_atoms")
@pytest.mark.parametrize("suffix", ["cif", "pdb"])
def test_trace_becomes_an_all_atom_model(
    command: Callable, inputs: Path, piece: Chain, trace: Chain, tmp_path: Path, suffix: str
):
    given, out = tmp_path / f"trace.{suffix}", tmp_path / "refined"
    if suffix == "cif":
        write_modelcif(given, [ScoredModel(chains=(trace,))], "A trace")
    else:
        write_pdb(given, [[trace]])
    outcome = command("refine", given, inputs / "map.mrc", "--output", out, "--resolution", "5")
    assert outcome.code == 0, outcome.err
    for name in ("model.cif", "model.pdb"):
        (refined,) = read_chains(out / name)
        assert (refined.name, refined.sequence, refined.atom_names) == ("Q", piece.sequence, piece.atom_names)
        np.testing.assert_array_equal(refined.numbers, trace.numbers)
        np.testing.assert_allclose(refined.positions, piece.positions + 0.01, atol=2e-3)
        np.testing.assert_allclose(refined.b_factors, trace.b_factors[refined.residue_of_atom], atol=6e-3)
    summary = read_refine_summary(out)
    assert (summary["n_residues"], summary["n_atoms_given"], summary["n_atoms"]) == (40, 40, len(piece.atom_names))
    assert list(summary["timings_seconds"]) == ["backbone", "side chains", "minimisation"]
    assert set(summary["geometry_given"].values()) == {None} and None not in summary["geometry"].values()
    assert summary["cc_mask"] > 0.7 and summary["cc_mask_given"] is None
    block = gemmi.cif.read(str(out / "model.cif")).sole_block()
    assert gemmi.cif.as_string(block.find_values("_ma_model_list.model_type")[0]) == "Other"
    assert {gemmi.cif.as_string(name) for name in block.find_values("_ma_data.name")} >= {given.name, "map.mrc"}
    opened = re.findall(r'^open "(.+)"$', (out / "view.cxc").read_text(), re.MULTILINE)
    assert [(out / name).resolve() for name in opened] == [inputs / "map.mrc", out / "model.cif"]


@pytest.mark.usefixtures("known_atoms")
def test_atoms_that_are_there_stay_without_minimisation(command: Callable, inputs: Path, piece: Chain, tmp_path: Path):
    """One of two chains is complete, the other lacks the ends of two side chains and the backbone of a residue."""
    lacking = without(piece, lambda name, r: (r, name) in ((3, "CD1"), (12, "NZ")) or (r == 20 and name != "CA"))
    moved = replace(lacking, positions=lacking.positions + np.float32(0.2))
    lone = replace(calpha_chain("C", "A", piece.calpha[:1]), full_sequence=None, register=None)
    write_pdb(tmp_path / "two.pdb", [[piece, replace(moved, name="B"), lone]])
    out = tmp_path / "refined"
    outcome = command("refine", tmp_path / "two.pdb", inputs / "map.mrc", "-o", out, "--no-minimise")
    assert outcome.code == 0, outcome.err
    first, second = read_chains(out / "model.cif")
    np.testing.assert_array_equal(first.positions, piece.positions)
    assert second.atom_names == piece.atom_names, "every residue is whole"
    placed = np.isin(second.residue_of_atom, (3, 12, 20))
    np.testing.assert_allclose(second.positions[placed], piece.positions[placed], atol=1e-3)
    np.testing.assert_allclose(second.positions[~placed], piece.positions[~placed] + 0.2, atol=1e-3)
    summary = read_refine_summary(out)
    assert list(summary["timings_seconds"]) == ["backbone 2", "side chains 2"]
    assert summary["warnings"] == [f"a single residue is no chain, left out: C of {tmp_path / 'two.pdb'}"]
    assert (summary["cc_mask"], summary["cc_mask_reason"]) == (None, "no --resolution was given")


@pytest.mark.usefixtures("known_atoms")
def test_side_chains_that_are_given_are_kept(
    command: Callable, inputs: Path, trace: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked, minimise = [], pipeline.minimise

    def heard(chains: Sequence[AllAtomModel], density: DensityMap, config: MinimisationConfig) -> list[AllAtomModel]:
        asked.append(config.repack)
        return minimise(chains, density, config)

    monkeypatch.setattr(pipeline, "minimise", heard)
    write_pdb(tmp_path / "trace.pdb", [[trace]])
    for number, model in enumerate((tmp_path / "trace.pdb", inputs / "piece.pdb")):
        outcome = command("refine", model, inputs / "map.mrc", "-o", tmp_path / str(number))
        assert outcome.code == 0, outcome.err
    assert asked == [True, False]


def test_settings_and_folder_are_checked(command: Callable, inputs: Path, tmp_path: Path):
    given = tmp_path / "model.cif"
    given.write_text("mine")
    outcome = command("refine", given, inputs / "map.mrc", "-o", tmp_path, "--overwrite")
    assert outcome.code == 2 and "would be replaced by a result of this run" in outcome.err
    outcome = command("refine", inputs / "piece.pdb", inputs / "map.mrc", "-o", tmp_path)
    assert outcome.code == 2 and "is not empty; add --overwrite" in outcome.err
    assert given.read_text() == "mine"


@pytest.fixture(scope="module")
def bad(inputs: Path, piece: Chain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models and maps that do not fit each other."""
    folder = tmp_path_factory.mktemp("bad")
    write_pdb(folder / "far.pdb", [[replace(piece, positions=piece.positions + np.float32(500.0))]])
    density = read_map(inputs / "map.mrc")
    write_map(folder / "elsewhere.mrc", _beside(density))
    dna = "ATOM      1  P    DA A   1       1.000   2.000   3.000  1.00 20.00           P\n"
    (folder / "dna.pdb").write_text(dna)
    write_pdb(folder / "lone.pdb", [[calpha_chain("A", "K", piece.calpha[:1])]])
    (folder / "words.pdb").write_text("no model at all\n")
    (folder / "empty.cif").write_text("")
    (folder / "zero.mrc").write_bytes((inputs / "map.mrc").read_bytes()[:1024] + bytes(4 * density.data.size))
    return folder


def _beside(density: DensityMap) -> DensityMap:
    """A box as large as that of a map, with density in a corner alone."""
    data = np.zeros_like(density.data)
    data[:4, :4, :4] = 1.0
    return density.with_data(data)


CASES = [
    ("missing.pdb MAP", r"missing\.pdb cannot be read \(No such file"),
    ("FOLDER MAP", r" cannot be read \(Is a directory\)"),
    ("empty.cif MAP", r"empty\.cif is empty"),
    ("words.pdb MAP", r"words\.pdb holds no atoms"),
    ("MAP MAP", r"map\.mrc is a binary file"),
    ("dna.pdb MAP", r"dna\.pdb holds no protein residue with a Cα"),
    ("lone.pdb MAP", r"lone\.pdb has no chain of more than one residue"),
    ("MODEL missing.mrc", r"missing\.mrc: cannot be read"),
    ("MODEL MODEL", r"piece\.pdb: has no 'MAP' at byte 208"),
    ("MODEL zero.mrc", r"zero\.mrc: every voxel is 0"),
    ("far.pdb MAP", r"only 0 of the 40 residues of \S+far\.pdb lie in \S+map\.mrc; check .*\(--origin\)"),
    ("MODEL MAP --origin zero", r"only \d+ of the 40 residues of \S+piece\.pdb lie in \S+map\.mrc"),
    ("MODEL elsewhere.mrc", r"only \d of the 40 residues of \S+piece\.pdb have density in \S+elsewhere\.mrc"),
    ("MODEL MAP --resolution 0", r"--resolution 0 Å cannot be right"),
    ("MODEL MAP --resolution nan", r"--resolution nan Å cannot be right"),
    ("MODEL MAP --config missing.toml", r"missing\.toml cannot be read"),
    ("MODEL MAP --output MODEL", r"--output \S+piece\.pdb is a file"),
    ("MODEL", r"Missing argument 'MAP'"),
]


@pytest.mark.parametrize(("line", "sentence"), CASES, ids=[line for line, _ in CASES])
def test_bad_input_is_named_in_one_sentence(
    command: Callable, inputs: Path, bad: Path, tmp_path: Path, line: str, sentence: str
):
    places = {"MODEL": inputs / "piece.pdb", "MAP": inputs / "map.mrc", "FOLDER": bad}
    words: Sequence[str | Path] = [places.get(w, bad / w if "." in w else w) for w in line.split()]
    before = sorted(bad.rglob("*"))
    outcome = command("refine", *words, *(() if "--output" in words else ("--output", tmp_path / "out")))
    assert outcome.code == 2, outcome.err
    assert re.search(sentence, outcome.err), outcome.err
    assert outcome.err.startswith("deepmm-jax: ") and outcome.err.count("\n") == 1, "one line"
    assert outcome.out == ""
    assert sorted(bad.rglob("*")) == before and not (tmp_path / "out").exists(), "nothing is written"


@pytest.mark.slow
def test_trace_is_refined_for_real(command: Callable, inputs: Path, piece: Chain, trace: Chain, tmp_path: Path):
    write_pdb(tmp_path / "trace.pdb", [[trace]])
    outcome = command("refine", tmp_path / "trace.pdb", inputs / "map.mrc", "-o", tmp_path / "out", "-r", "5")
    assert outcome.code == 0, outcome.err
    refined = read_chains(tmp_path / "out" / "model.cif")
    figures = evaluate_model(refined, [piece])
    assert refined[0].atom_names == piece.atom_names, "every residue is whole"
    assert figures["backbone_rmsd"] < 0.6 and figures["all_atom_rmsd"] < 1.6  # type: ignore[operator]
    summary = read_refine_summary(tmp_path / "out")
    assert summary["warnings"] == []
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert summary["geometry"]["d_residues"] == summary["geometry"]["twisted_peptides"] == 0
    assert summary["geometry"]["clashscore"] < 20
