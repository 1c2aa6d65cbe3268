"""ModelCIF: read back by two other libraries, with the whole sequence, the confidence and the scores."""

import time
from dataclasses import replace
from pathlib import Path

import biotite.structure.io.pdbx as pdbx
import gemmi
import numpy as np
import pytest

import deepmm_jax
from deepmm_jax.errors import StructureError
from deepmm_jax.structure.modelcif import ScoredModel, write_modelcif
from deepmm_jax.structure.read import count_models, read_chains
from deepmm_jax.structure.write import calpha_chain


EXAMPLE = Path(__file__).parents[2] / "examples" / "1ake_A.pdb.gz"
SEQUENCE = "MSKGEXELFTG"


def trace(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32).cumsum(axis=0) * 3


def scored(name: str, seed: int, unbuilt: list[int]) -> ScoredModel:
    positions = trace(seed, len(SEQUENCE))
    positions[unbuilt] = np.nan
    confidence = np.linspace(0.0, 1.0, len(SEQUENCE))
    chain = calpha_chain("A", SEQUENCE, positions, confidence)
    assert chain.register is not None
    return ScoredModel(
        chains=(chain,), confidence=(confidence[chain.register],), scores={"MScore": 1.5 - seed}, name=name
    )


@pytest.fixture
def models() -> list[ScoredModel]:
    return [scored("rank 1", 0, [0, 1, 5]), scored("rank 2", 1, [1, 10])]


def table(block: gemmi.cif.Block, category: str) -> list[dict[str, str]]:
    data = block.get_mmcif_category(f"_{category}.")
    return [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)]


def test_models_come_back(tmp_path, models):
    path = tmp_path / "calpha.cif"
    write_modelcif(path, models, title="A title", map_name="emd_0001.map")
    assert count_models(path) == 2
    for m, model in enumerate(models):
        (chain,), (again,) = model.chains, read_chains(path, model=m)
        assert (again.sequence, again.full_sequence) == (chain.sequence, SEQUENCE)
        np.testing.assert_array_equal(again.register, chain.register)
        np.testing.assert_array_equal(again.numbers, chain.numbers)
        np.testing.assert_allclose(again.positions, chain.positions, atol=6e-4)
        np.testing.assert_allclose(again.b_factors, chain.b_factors, atol=6e-3)


def test_another_library_reads_the_same_models(tmp_path, models):
    path = tmp_path / "calpha.cif"
    write_modelcif(path, models, title="A title")
    file = pdbx.CIFFile.read(path)
    for number, model in enumerate(models, start=1):
        (chain,) = model.chains
        atoms = pdbx.get_structure(file, model=number, extra_fields=["b_factor"], use_author_fields=False)
        column = atoms.get_annotation
        assert set(column("chain_id")) == {"A"} and set(column("atom_name")) == {"CA"}
        np.testing.assert_array_equal(column("res_id"), chain.register + 1)  # label_seq_id: the place in the sequence
        np.testing.assert_allclose(np.asarray(atoms.coord), chain.positions, atol=6e-4)
        np.testing.assert_allclose(column("b_factor"), chain.b_factors, atol=6e-3)
    (sequence,) = pdbx.get_sequence(file).values()
    assert str(sequence) == SEQUENCE


def test_the_categories_hold_what_they_must(tmp_path, models):
    path = tmp_path / "calpha.cif"
    write_modelcif(path, models, title="A title", map_name="emd_0001.map")
    block = gemmi.cif.read(str(path)).sole_block()
    assert block.find_value("_struct.title") == "'A title'"
    names = [row["mon_id"] for row in table(block, "entity_poly_seq")]
    assert names == ["MET", "SER", "LYS", "GLY", "GLU", "UNK", "GLU", "LEU", "PHE", "THR", "GLY"]
    scheme = table(block, "pdbx_poly_seq_scheme")
    assert [row["seq_id"] for row in scheme] == [str(i) for i in range(1, 12)]
    assert [row["auth_seq_num"] is None for row in scheme] == [i == 1 for i in range(11)], "only Ser 2 is nowhere built"
    atoms = table(block, "atom_site")
    assert {row["type_symbol"] for row in atoms} == {"C"}
    assert {row["group_PDB"] for row in atoms} == {"ATOM"}
    assert all(row["label_seq_id"] == row["auth_seq_id"] for row in atoms)
    metrics = {row["name"]: row for row in table(block, "ma_qa_metric")}
    assert (metrics["confidence"]["mode"], metrics["confidence"]["type"]) == ("local", "normalized score")
    local = table(block, "ma_qa_metric_local")
    assert len(local) == sum(len(model.chains[0]) for model in models)
    (fourth,) = [row for row in local if row["label_seq_id"] == "4" and row["model_id"] == "1"]
    assert float(fourth["metric_value"]) == pytest.approx(0.3)
    assert [float(row["metric_value"]) for row in table(block, "ma_qa_metric_global")] == [1.5, 0.5]
    assert "emd_0001.map" in {row["name"] for row in table(block, "ma_data")}
    assert table(block, "software")[0]["name"] == "DeepMM-JAX"
    assert {row["model_type"] for row in table(block, "ma_model_list")} == {"Ab initio model"}


ATOM_SITE = set(
    "group_PDB id type_symbol label_atom_id label_alt_id label_comp_id label_seq_id auth_seq_id pdbx_PDB_ins_code "
    "label_asym_id Cartn_x Cartn_y Cartn_z occupancy label_entity_id auth_asym_id auth_comp_id B_iso_or_equiv "
    "pdbx_PDB_model_num".split()
)


def test_every_atom_has_what_other_readers_ask_for(tmp_path):
    """The columns that biotite, mdtraj and ChimeraX read are spelt out.

    Every reference from one category to another leads somewhere.
    """
    (chain,) = read_chains(EXAMPLE)
    confidence = np.linspace(0.2, 1.0, len(chain))
    chain = replace(chain, b_factors=(100 * confidence[chain.residue_of_atom]).astype(np.float32))
    path = tmp_path / "model.cif"
    scored = ScoredModel(chains=(chain,), confidence=(confidence,), scores={"MScore": 1.2})
    write_modelcif(path, [scored], "A title", "map.mrc", openmm="8.6.1")
    block = gemmi.cif.read(str(path)).sole_block()
    atoms = table(block, "atom_site")
    assert len(atoms) == len(chain.atom_names) and set(atoms[0]) == ATOM_SITE
    assert [row["id"] for row in atoms] == [str(i + 1) for i in range(len(atoms))]
    assert tuple(row["type_symbol"] for row in atoms) == chain.elements
    assert {float(row["occupancy"]) for row in atoms} == {1.0}
    positions = [[float(row[f"Cartn_{axis}"]) for axis in "xyz"] for row in atoms]
    np.testing.assert_allclose(positions, chain.positions, atol=6e-4)
    (entity,), (unit,) = table(block, "entity"), table(block, "struct_asym")
    assert entity["type"] == "polymer" and unit["entity_id"] == entity["id"]
    assert {row["label_asym_id"] for row in atoms} == {unit["id"]}
    assert {row["label_entity_id"] for row in atoms} == {entity["id"]}
    named = {row["num"]: row["mon_id"] for row in table(block, "entity_poly_seq")}
    assert all(named[row["label_seq_id"]] == row["label_comp_id"] for row in atoms)
    assert {row["mon_id"] for row in table(block, "entity_poly_seq")} <= {
        row["id"] for row in table(block, "chem_comp")
    }
    assert {row["symbol"] for row in table(block, "atom_type")} == set(chain.elements)

    metrics = {row["id"]: row for row in table(block, "ma_qa_metric")}
    assert {(row["name"], row["mode"]) for row in metrics.values()} == {("confidence", "local"), ("MScore", "global")}
    local, whole = table(block, "ma_qa_metric_local"), table(block, "ma_qa_metric_global")
    assert len(local) == len(chain) and len(whole) == 1
    assert metrics[local[0]["metric_id"]]["mode"] == "local" and metrics[whole[0]["metric_id"]]["mode"] == "global"
    for row in local:
        assert (row["label_asym_id"], row["label_comp_id"]) == (unit["id"], named[row["label_seq_id"]])
    b_factors = {row["label_seq_id"]: float(row["B_iso_or_equiv"]) for row in atoms}
    for row in local:
        assert 100 * float(row["metric_value"]) == pytest.approx(b_factors[row["label_seq_id"]], abs=0.06)


def test_the_protocol_names_every_step_and_its_software(tmp_path, models):
    (chain,) = read_chains(EXAMPLE)
    built = ScoredModel(chains=(chain,))
    path = tmp_path / "model.cif"

    def steps(model: ScoredModel, **made: str) -> list[tuple[str, str, str, str]]:
        write_modelcif(path, [model], "A title", "map.mrc", **made)
        block = gemmi.cif.read(str(path)).sole_block()
        software = {row["pdbx_ordinal"]: (row["name"], row["version"]) for row in table(block, "software")}
        groups = {row["group_id"]: software[row["software_id"]] for row in table(block, "ma_software_group")}
        data: dict[str, set[str]] = {}
        for row in table(block, "ma_data_group"):
            data.setdefault(row["group_id"], set()).add(row["data_id"])
        rows = table(block, "ma_protocol_step")
        for earlier, later in zip(rows, rows[1:]):
            made_there, used = (
                data[row[key]] for row, key in ((earlier, "output_data_group_id"), (later, "input_data_group_id"))
            )
            assert made_there < used, "each step takes what the one before it made"
        (final,) = {row["data_id"] for row in table(block, "ma_model_list")}
        assert final in data[rows[-1]["output_data_group_id"]]
        return [(row["method_type"], row["step_name"], *groups[row["software_group_id"]]) for row in rows]

    here = ("DeepMM-JAX", deepmm_jax.__version__)
    tracing = ("modeling", "De novo model building: C-alpha", *here)
    placing = ("modeling", "Backbone and side chains in the density", *here)
    minimising = ("model refinement", "Energy minimisation in the density", "OpenMM", "8.6.1")
    assert steps(models[0]) == [tracing]
    assert steps(built) == [tracing, placing]
    assert steps(built, openmm="8.6.1") == [tracing, placing, minimising]
    assert table(gemmi.cif.read(str(path)).sole_block(), "ma_model_list")[0]["model_type"] == "Ab initio model"
    assert steps(built, starting_model="mine.pdb", openmm="8.6.1") == [placing, minimising]
    block = gemmi.cif.read(str(path)).sole_block()
    (listed,) = table(block, "ma_model_list")
    assert (listed["model_type"], listed["model_type_other_details"]) == ("Other", "Refined from a given model")
    assert {row["name"] for row in table(block, "ma_data")} >= {"map.mrc", "mine.pdb"}


def test_all_atoms_and_copies_of_a_chain(tmp_path):
    (chain,) = read_chains(EXAMPLE)
    copy = replace(chain, name="Bb", positions=chain.positions + 80.0)
    path = tmp_path / "model.cif"
    write_modelcif(path, [ScoredModel(chains=(chain, copy))], title="Two copies")
    first, second = read_chains(path)
    assert (first.name, second.name) == ("A", "Bb")
    for ours, theirs in ((first, chain), (second, copy)):
        assert (ours.atom_names, ours.elements, ours.sequence) == (theirs.atom_names, theirs.elements, theirs.sequence)
        np.testing.assert_allclose(ours.positions, theirs.positions, atol=6e-4)
    assert len(gemmi.read_structure(str(path)).entities) == 1


def test_more_chains_than_letters_are_written_and_read(tmp_path):
    names = [a + b for a in "ABCDEFG" for b in "abcdefghij"]
    chain = calpha_chain("A", SEQUENCE, trace(0, len(SEQUENCE)))
    chain = replace(chain, full_sequence=chain.sequence + "K", register=np.arange(len(chain), dtype=np.int32))
    path = tmp_path / "capsid.cif"
    write_modelcif(path, [ScoredModel(chains=tuple(replace(chain, name=name) for name in names))], title="A capsid")
    again = read_chains(path)
    assert [copy.name for copy in again] == names
    for copy in again:
        np.testing.assert_allclose(copy.positions, chain.positions, atol=6e-4)
        assert (copy.sequence, copy.full_sequence) == (chain.sequence, chain.full_sequence)
    structure = gemmi.read_structure(str(path))
    assert (structure[0].count_atom_sites(), len(structure.entities)) == (70 * len(SEQUENCE), 1)


def test_residues_keep_the_numbers_of_their_chain(tmp_path):
    chain = calpha_chain("A", SEQUENCE, trace(0, len(SEQUENCE)))
    chain = replace(chain, numbers=np.array([-3, -2, -1, 52, 52, 52, *range(60, 65)], np.int32))
    path = tmp_path / "model.cif"
    write_modelcif(path, [ScoredModel(chains=(chain,))], title="Numbers")
    atoms = table(gemmi.cif.read(str(path)).sole_block(), "atom_site")
    assert [row["label_seq_id"] for row in atoms] == [str(i) for i in range(1, 12)]
    assert [row["auth_seq_id"] for row in atoms] == [str(i) for i in chain.numbers]
    assert [row["pdbx_PDB_ins_code"] for row in atoms] == [*[None] * 4, "A", "B", *[None] * 5]


def test_ten_models_of_400_residues_take_less_than_two_seconds(tmp_path):
    sequence = "ACDEFGHIKLMNPQRSTVWY" * 20
    models = []
    for m in range(10):
        chain = calpha_chain("A", sequence, trace(m, 400), np.full(400, 0.5))
        models.append(ScoredModel(chains=(chain,), confidence=(np.full(400, 0.5),), name=f"rank {m + 1}"))
    begin = time.process_time()
    write_modelcif(tmp_path / "calpha.cif", models, title="Ten")
    assert time.process_time() - begin < 2.0


def test_models_that_disagree_are_refused_and_leave_no_file(tmp_path, models):
    path = tmp_path / "calpha.cif"
    (chain,) = models[0].chains
    with pytest.raises(StructureError, match="at least one"):
        write_modelcif(path, [], title="None")
    with pytest.raises(StructureError, match="Two chains are named A"):
        write_modelcif(path, [ScoredModel(chains=(chain, chain))], title="Twice A")
    with pytest.raises(StructureError, match="must agree"):
        write_modelcif(path, [models[0], ScoredModel(chains=(replace(chain, name="B"),))], title="A and B")
    other = calpha_chain("A", SEQUENCE + "K", trace(2, 12))
    with pytest.raises(StructureError, match="does not fit"):
        write_modelcif(path, [models[0], ScoredModel(chains=(other,))], title="Longer")
    with pytest.raises(StructureError, match="no number"):
        write_modelcif(path, [ScoredModel(chains=(replace(chain, positions=chain.positions * np.nan),))], title="NaN")
    assert list(tmp_path.iterdir()) == []
