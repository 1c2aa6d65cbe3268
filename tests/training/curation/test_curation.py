"""Whole runs: what is kept and why, the folder that comes of it, going on after a stop, and training on it."""

import csv
import gzip
import hashlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepmm_jax.density.mrc import read_map, write_map
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.errors import ConfigError, NothingBuiltError
from deepmm_jax.networks.boxes import BoxKind
from deepmm_jax.networks.secondary_structure import SecondaryStructureConfig
from deepmm_jax.networks.whole_map import WholeMapConfig
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.write import write_pdb
from deepmm_jax.training import whole_map
from deepmm_jax.training.boxes import BoxTraining, train_boxes
from deepmm_jax.training.chains import TrainingChain, split_names, training_names
from deepmm_jax.training.curation import curation
from deepmm_jax.training.curation.archive import Archive
from deepmm_jax.training.curation.candidates import Candidate
from deepmm_jax.training.curation.curation import Curator
from deepmm_jax.training.curation.settings import CurationSettings
from deepmm_jax.training.curation.sources import Source, read_list, read_pairs, read_structure_folder
from deepmm_jax.training.curation.training_set import reasons
from deepmm_jax.training.examples import Example, Sources, batches
from deepmm_jax.training.labelled_chains import epoch_batches, read_labelled_chains
from deepmm_jax.training.plan import TrainingConfig
from deepmm_jax.training.real_maps import RealMap, listed_maps
from deepmm_jax.training.secondary_structure import SecondaryStructureTraining, initial_state, train_step
from deepmm_jax.training.whole_map import train_whole_map
from reference.box_networks import TINY as TINY_BOXES
from reference.curation_inputs import KINASE, UBIQUITIN, SmallArchive, part


def curate(output: Path, sources: list[Source], *, archive: Archive | None = None, **given: object) -> list[Candidate]:
    outside = {name: given.pop(name, {}) for name in ("excluded", "folds")}
    curator = Curator(output=output, settings=CurationSettings(**given), archive=archive, **outside)  # type: ignore[arg-type]
    return curator(sources)


def verdicts(candidates: list[Candidate]) -> dict[str, str]:
    return {candidate.name: candidate.reason for candidate in candidates}


def rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def pair(tmp_path: Path, ubiquitin: Chain, kinase: Chain) -> Path:
    """A map of ubiquitin with a piece of the kinase beside it, its model, and a manifest."""
    folder = tmp_path / "pair"
    folder.mkdir()
    chains = [ubiquitin, part(kinase, 60, 120, "B", shift=60.0), part(kinase, 140, 200, "C", shift=-300.0)]
    write_pdb(folder / "model.pdb", [chains])
    positions = np.concatenate([chain.positions for chain in chains[:2]])
    numbers = np.concatenate([chain.atomic_numbers for chain in chains[:2]])
    write_map(folder / "map.mrc", simulate_map(positions, numbers, 4.0, 1.2))
    (folder / "pairs.csv").write_text("map,structure,resolution\nmap.mrc,model.pdb,4.0\n")
    return folder


def test_every_chain_has_a_verdict(structures: Path, tmp_path: Path, kinase: Chain):
    made = curate(tmp_path / "set", read_structure_folder(structures), excluded={"other": "A" * 60})
    assert len(made) == 11 and reasons(made) == {
        "unreadable": 1, "missing side-chain atoms": 1, "nucleic acid": 1, "HETATM residues": 1, "several models": 1,
        "missing main-chain atoms": 1, "too short": 1, "unknown residues": 1,
    }  # fmt: skip
    kept = {candidate.name: candidate.split for candidate in made if candidate.kept}
    assert kept.keys() == {"good", "two_A", "two_B"} and sorted(kept.values()) == ["train", "train", "val"]
    manifest = rows(tmp_path / "set" / "manifest.csv")
    assert {row["name"]: row["reason"] for row in manifest} == verdicts(made)
    assert {row["name"] for row in manifest if row["kept"] == "yes"} == kept.keys()

    folder = tmp_path / "set" / "structures"
    assert split_names(folder, "train") == [name for name, split in kept.items() if split == "train"]
    listed = dict(line.split() for line in (folder / "train.txt").read_text().splitlines())
    assert list(listed) == split_names(folder, "train")
    for name, digest in listed.items():
        assert hashlib.sha256((folder / f"{name}.pdb.gz").read_bytes()).hexdigest() == digest
    (chain,) = read_chains(folder / "two_A.pdb.gz")
    original = part(kinase, 0, 120)
    assert chain.sequence == original.sequence and chain.atom_names == original.atom_names
    np.testing.assert_allclose(chain.positions, original.positions, atol=1e-3)
    labelled = {
        chain.name: chain
        for chain in read_labelled_chains(tmp_path / "set/secondary_structure/secondary_structure.csv.gz")
    }
    assert labelled.keys() == kept.keys() and labelled["good"].letters.startswith("MQIFVKT")
    assert {chain.split for chain in labelled.values()} == {"train", "validation"}
    assert not (tmp_path / "set" / "maps").exists()


def test_relatives_folds_and_groups_are_left_out(tmp_path: Path, kinase: Chain, ubiquitin: Chain):
    folder = tmp_path / "given"
    folder.mkdir()
    write_pdb(folder / "a.pdb", [[kinase]])
    write_pdb(folder / "b.pdb", [[part(kinase, 0, 180)]])
    write_pdb(folder / "u.pdb", [[ubiquitin]])
    sources = read_structure_folder(folder)
    alone = verdicts(curate(tmp_path / "one", sources, validation=0.0))
    assert alone == {"a": "", "b": "in a group: that of a", "u": ""}
    related = verdicts(curate(tmp_path / "two", sources, validation=0.0, excluded={"k": kinase.sequence[20:140]}))
    assert related == {"a": "relative: 100 % identical to k", "b": "relative: 100 % identical to k", "u": ""}
    folds = {"turned": ubiquitin.calpha[:, [1, 2, 0]]}
    fold = verdicts(curate(tmp_path / "three", sources, validation=0.0, folds=folds))
    assert fold == {"a": "", "b": "in a group: that of a", "u": "same fold: TM-score 1.00 to turned"}


def test_given_splits_stay_and_relatives_of_theirs_go(tmp_path: Path, kinase: Chain, ubiquitin: Chain):
    folder = tmp_path / "given"
    folder.mkdir()
    write_pdb(folder / "a.pdb", [[kinase]])
    write_pdb(folder / "b.pdb", [[part(kinase, 0, 180)]])
    write_pdb(folder / "u.pdb", [[ubiquitin]])
    (folder / "MANIFEST.csv").write_text("name,split\na,train\nb,test\nu,train\n")
    made = curate(tmp_path / "set", read_structure_folder(folder))
    assert verdicts(made) == {"a": "relative: 100 % identical to b", "b": "", "u": ""}
    assert [candidate.split for candidate in made] == ["train", "test", "train"]


def test_chains_are_cut_out_of_their_map(pair: Path, tmp_path: Path, ubiquitin: Chain):
    made = curate(tmp_path / "set", read_pairs(pair / "pairs.csv"), excluded={})
    assert verdicts(made) == {
        "model_A": "", "model_B": "", "model_C": "no density: the chain lies outside the map"
    }  # fmt: skip
    maps = tmp_path / "set" / "maps"
    zoned = read_map(maps / "model_A.mrc.gz")
    assert 0.05 < (zoned.data > 0).mean() < 0.6
    (model,) = read_chains(maps / "model_A.pdb")
    assert model.sequence == ubiquitin.sequence
    lines = [line.split() for line in (maps / "real-maps.txt").read_text().splitlines()[1:]]
    assert sorted(line[:4] for line in lines) == [[n, n, "4.0", "deposited"] for n in ("model_A", "model_B")]
    table = [line.split(",") for line in (maps / "MANIFEST.csv").read_text().splitlines()]
    assert table[0] == ["name", "resolution", "split"] and [row[1] for row in table[1:]] == ["4", "4"]
    for name, *_, map_digest, model_digest in lines:
        assert hashlib.sha256((maps / f"{name}.mrc.gz").read_bytes()).hexdigest() == map_digest
        assert hashlib.sha256((maps / f"{name}.pdb").read_bytes()).hexdigest() == model_digest
    (held,) = (candidate.name for candidate in made if candidate.split == "val")
    assert f'unseen_groups = ["{held}"]' in (tmp_path / "set" / "train.toml").read_text()
    with pytest.raises(NothingBuiltError, match=r"no chain .* is left \(poor fit 2, no density 1\); .*manifest.csv"):
        curate(tmp_path / "strict", read_pairs(pair / "pairs.csv"), correlation=0.999)
    with pytest.raises(NothingBuiltError, match=r"\(resolution 1\)"):
        curate(tmp_path / "strict", read_pairs(pair / "pairs.csv"), worst_resolution=3.0)
    assert not list((tmp_path / "strict" / "maps").glob("*.mrc.gz"))


def test_a_run_that_broke_off_goes_on(pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Stopped at the second of three maps; the second run repeats nothing that was done."""
    fitted, fit, looked, examine = [], curation._fit, [], curation.examine

    def counted(file: Path, candidate: Candidate, target: str, settings: CurationSettings):
        fitted.append(candidate.name)
        if len(fitted) == 2:
            raise KeyboardInterrupt
        return fit(file, candidate, target, settings)

    def counted_look(*arguments):
        looked.append(arguments[1].name)
        return examine(*arguments)

    monkeypatch.setattr(curation, "_fit", counted)
    monkeypatch.setattr(curation, "examine", counted_look)
    for function, kept in ((counted, fit), (counted_look, examine)):
        function.__module__, function.__qualname__ = kept.__module__, kept.__qualname__
    sources = read_pairs(pair / "pairs.csv")
    with pytest.raises(KeyboardInterrupt):
        curate(tmp_path / "set", sources)
    assert not (tmp_path / "set" / "manifest.csv").exists()
    (tmp_path / "set" / "maps" / ".partial-1-x.mrc.gz").write_bytes(b"")
    broken = curate(tmp_path / "set", sources)
    assert fitted == ["model_A", "model_B", "model_B", "model_C"] and looked == ["model"]
    assert not list((tmp_path / "set" / "maps").glob(".partial*"))
    whole = curate(tmp_path / "other", sources)
    assert verdicts(broken) == verdicts(whole)
    # A map that was taken away since is made again.
    for folder in ("maps", "progress/maps"):
        (tmp_path / "set" / folder / "model_A.mrc.gz").unlink()
    curate(tmp_path / "set", sources)
    assert (tmp_path / "set" / "maps" / "model_A.mrc.gz").is_file()


def test_another_choice_in_the_same_folder_removes_the_earlier_one(structures: Path, tmp_path: Path):
    output = tmp_path / "set"
    curate(output, read_structure_folder(structures))
    curate(output, read_structure_folder(structures), shortest=80, validation=0.0)
    assert [path.name for path in (output / "structures").glob("*.pdb.gz")] == ["two_A.pdb.gz"]


def test_the_list_of_a_set_makes_it_again(structures: Path, tmp_path: Path):
    curate(tmp_path / "first", read_structure_folder(structures))
    again = curate(tmp_path / "second", read_list(tmp_path / "first" / "sources.csv"))
    assert all(candidate.kept for candidate in again)
    for name in ("train.txt", "MANIFEST.csv"):
        first, second = (tmp_path / run / "structures" / name for run in ("first", "second"))
        assert first.read_text() == second.read_text()
    changed = (structures / "good.pdb").read_text().replace("MET A   1", "LEU A   1")
    (structures / "good.pdb").write_text(changed)
    third = curate(tmp_path / "third", read_list(tmp_path / "first" / "sources.csv"))
    assert verdicts(third)["good"].startswith("another file than listed: ")


def test_a_list_is_fetched_from_the_archives(archive: SmallArchive, pair: Path, tmp_path: Path, ubiquitin: Chain):
    packed = gzip.compress((pair / "map.mrc").read_bytes())
    archive.files = {
        "/1ubi.cif.gz": UBIQUITIN.read_bytes(),
        "/1ake.cif.gz": KINASE.read_bytes(),
        "/2abc.cif.gz": gzip.compress((pair / "model.pdb").read_bytes()),
        "/emd_1234.map.gz": packed,
    }
    archive.cut = [300]
    letters = hashlib.sha256(ubiquitin.sequence.encode()).hexdigest()
    (tmp_path / "ids.csv").write_text(
        "structure,chain,map,resolution,structure_sha256,map_sha256,letters_sha256,name\n"
        f"1UBI,A,,,,,{letters},mine\n1ake,A,,,{'0' * 64},,,\n1ake,A,,,,,{letters},twice\n9xyz,A,,,,,,\n"
        f"2abc,B,EMD-1234,4.0,,{hashlib.sha256(packed).hexdigest()},,\n2abc,C,EMD-9999,4.0,,,,\n"
    )
    client = Archive(
        cache=tmp_path / "cache", structure_url=archive.url + "/{id}.cif.gz", map_url=archive.url + "/emd_{id}.map.gz",
        pause=0.0,
    )  # fmt: skip
    made = verdicts(curate(tmp_path / "set", read_list(tmp_path / "ids.csv"), archive=client))
    assert made["1ake_A"].startswith("not in the archive: ") and "0000 as listed" in made["1ake_A"]
    assert made["9xyz_A"].endswith("is not there (HTTP 404)") and made["2abc_C"].endswith("is not there (HTTP 404)")
    assert made["twice"] == "other letters than listed"
    assert [name for name, reason in made.items() if not reason] == ["mine", "2abc_B"]
    listed = read_list(tmp_path / "set" / "sources.csv")
    assert [(s.structure, s.map) for s in listed] == [("1UBI", ""), ("2abc", "EMD-1234")]
    assert listed[0].structure_sha256 == hashlib.sha256(UBIQUITIN.read_bytes()).hexdigest()
    with pytest.raises(ConfigError, match="1UBI is not a file, and no archive is given"):
        curate(tmp_path / "none", read_list(tmp_path / "ids.csv"))


TINY = WholeMapConfig(width=8, coarse_width=8, fine_blocks=1, coarse_blocks=1, head_width=8)


@pytest.fixture
def trained(pair: Path, structures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A set of chains and zoned maps, and the training code looking at its lists."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sources = [*read_structure_folder(structures), *read_pairs(pair / "pairs.csv")]
    curate(tmp_path / "set", sources, shortest=40, validation=0.2)
    return tmp_path / "set"


def one_batch(chains: list[TrainingChain], maps: list[RealMap]) -> dict[str, list[Example]]:
    return {"simulated": [next(batches(Sources(chains=chains, simulated_share=1.0), 1, seed=7, crop=16))]}


@pytest.mark.slow
def test_networks_learn_from_the_set(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two steps of each, the whole-map network on crops of simulated and of zoned maps."""
    monkeypatch.setattr(whole_map, "_held_out", one_batch)
    config = TrainingConfig(batch_size=2, steps=2, crop=16, real_share=0.5, unseen_groups=(), seed=3)
    card = train_whole_map(trained, tmp_path / "whole", network=TINY, config=config)
    assert card["steps"] == 2 and card["data"]["chains"] == len(training_names(trained / "structures")) > 1
    assert card["data"]["list"] == "train.txt of the data folder"
    assert card["runs"][0]["crops_of"] == [row.name for row in listed_maps(trained / "maps")]
    assert all(np.isfinite(value) for value in card["validation"]["simulated"].values())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["box-a", "box-b"])
def test_networks_of_boxes_learn_from_the_set(kind: BoxKind, trained: Path, tmp_path: Path):
    config = BoxTraining(boxes=64, batch_size=16, steps=1)
    card = train_boxes(kind, trained, tmp_path / kind, network=TINY_BOXES, config=config)
    assert card["data"]["list"] == "train.txt of the data folder"
    assert sorted(card["data"]["chains"]) == sorted(training_names(trained / "structures"))
    assert all(np.isfinite(value) for value in card["validation"].values())


@pytest.mark.slow
def test_the_predictor_of_secondary_structure_learns_from_the_set(trained: Path):
    chains = read_labelled_chains(trained / "secondary_structure" / "secondary_structure.csv.gz")
    network = SecondaryStructureConfig(embedding=8, width=16, stem=3, kernel=3, dilations=(1,), head=8, dropout=0.1)
    training = SecondaryStructureTraining(batch_residues=1120)
    batch = next(epoch_batches(chains, training.batch_residues, np.random.default_rng(0)))
    state = initial_state(network, training, seed=0)
    losses = []
    for _ in range(8):
        state, loss = train_step(
            state, jnp.asarray(batch), jnp.float32(1e-2), jax.random.key(0), network=network, training=training
        )
        losses.append(float(loss))
    assert losses[-1] < losses[0]
