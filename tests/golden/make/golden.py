"""Make the figures of other programs in tests/golden anew: `python golden.py ORACLE_PYTHON` (see `make golden`).

ORACLE_PYTHON is a Python with cctbx-base; TMscore (Debian: tm-align) and mkdssp (Debian: dssp) must be on the path.
The labels of `lists/val-20.txt` and the correlations of real maps come from the data folder and stay as they are
where it is absent.
"""

import csv
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np


GOLDEN = Path(__file__).parents[1]
ROOT = GOLDEN.parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from deepmm_jax.assessment.map_correlation import correlate  # noqa: E402
from deepmm_jax.density.map import DensityMap  # noqa: E402
from deepmm_jax.density.mrc import read_map  # noqa: E402
from deepmm_jax.structure.chain import Chain  # noqa: E402
from deepmm_jax.structure.read import read_chains  # noqa: E402
from deepmm_jax.structure.write import calpha_chain, write_pdb  # noqa: E402
from reference.golden_maps import golden_cases, map_fingerprint  # noqa: E402
from reference.golden_pairs import Pair, fingerprint, golden_pairs, kinase, ubiquitin  # noqa: E402
from reference.tm_score_oracle import decoys  # noqa: E402


DATA = Path(os.environ.get("DEEPMM_JAX_DATA") or ROOT.parent / "shared" / "data")
REAL_MAPS = ("emd8923_6dw1_A", "emd6187_3j8x_K", "6spe_r", "emd5778_3j5p_A", "emd5137_3los_A")
B_RATIOS = (0.5, 1.0, 2.0)
"""The oracle is asked at these multiples of our B, to see that it finds no better one elsewhere."""
HIGHEST_B = 999.0


def main() -> None:
    """Ask every program and write the files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pairs = golden_pairs()
        files = {pair.name: write_pair(folder, n, pair) for n, pair in enumerate(pairs)}
        requests, cases = correlation_requests(folder)
        (folder / "requests.json").write_text(
            json.dumps({"matches": [(n, *map(str, f)) for n, f in files.items()], "correlations": requests})
        )
        subprocess.run([sys.argv[1], str(Path(__file__).with_name("cctbx_figures.py")), name], check=True)
        answers = json.loads((folder / "answers.json").read_text())
        cctbx = answers["version"]
        write_golden(
            "matches.json",
            f"{cctbx}: mmtbx.validation.chain_comparison, 3 Å, the whole target",
            {p.name: pair_inputs(p) | answers["matches"][p.name] for p in pairs},
        )
        figures = {n: c | {"by_b": [answers["correlations"][f"{n} {k}"] for k in B_RATIOS]} for n, c in cases.items()}
        write_golden(
            "map_correlation.json",
            f"{cctbx}: mmtbx.maps.map_model_cc, electron table, all B at 0.5, 1 and 2 times `b`, which we fitted",
            figures,
        )
        write_golden(
            "tm_score.json", f"{tm_version()}: by the length of the reference", tm_scores(folder, pairs, files)
        )
        write_golden("secondary_structure.json", f"{dssp_version()}: eight states, - for none", labels(folder))


def pair_inputs(pair: Pair) -> dict[str, Any]:
    """What the figures of a pair belong to."""
    return {"model": fingerprint(pair.model), "reference": fingerprint(pair.reference)}


def write_pair(folder: Path, n: int, pair: Pair) -> tuple[Path, Path]:
    """Both sides of a pair as PDB files."""
    paths = folder / f"model{n}.pdb", folder / f"reference{n}.pdb"
    for path, chains in zip(paths, (pair.model, pair.reference)):
        write_pdb(path, [chains])
    return paths


def correlation_requests(folder: Path) -> tuple[list[tuple[str, str, str, list[float], float]], dict[str, Any]]:
    """Map and model files for map_model_cc, three B factors each, and what they belong to."""
    requests, inputs = [], {}
    for n, (name, density, chains, resolution, source) in enumerate((*synthetic_cases(), *real_cases())):
        b = round(correlate(density, chains, resolution).b, 2)
        inputs[name] = source | {"resolution": resolution, "b": b}
        np.save(folder / f"map{n}.npy", density.data)
        cell = [float(h * m) for h, m in zip(density.step, density.shape)]
        for ratio in B_RATIOS:
            path = folder / f"in_map{n}_{ratio}.pdb"
            write_pdb(path, [[in_box(chain, density, min(b * ratio, HIGHEST_B)) for chain in chains]])
            requests.append((f"{name} {ratio}", str(folder / f"map{n}.npy"), str(path), cell, resolution))
    return requests, inputs


def synthetic_cases() -> Iterable[tuple[str, DensityMap, list[Chain], float, dict[str, Any]]]:
    """Maps that are made from what the repository holds."""
    for case in golden_cases():
        source = {"model": fingerprint(case.model), "map": map_fingerprint(case.density)}
        yield case.name, case.density, case.model, case.resolution, source


def real_cases() -> Iterable[tuple[str, DensityMap, list[Chain], float, dict[str, Any]]]:
    """Some maps of the data folder with their models."""
    if not DATA.is_dir():
        print(f"no data in {DATA}: the figures of real maps stay as they are")
        return
    with (DATA / "maps" / "MANIFEST.csv").open() as stream:
        rows = {row["name"]: row for row in csv.DictReader(stream)}
    for name in REAL_MAPS:
        map_path, model_path = real_files(DATA, name)
        sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (map_path, model_path)]
        chains = [replace(chain, name=letter) for chain, letter in zip(read_chains(model_path), "ABCDEFGH")]
        source = {"map_sha256": sums[0], "model_sha256": sums[1]}
        yield name, read_map(map_path), chains, float(rows[name]["resolution"]), source


def real_files(data: Path, name: str) -> tuple[Path, Path]:
    """Map and model of an entry of the data folder."""
    return data / "maps" / f"{name}.mrc.gz", data / "maps" / f"{name}.pdb"


def in_box(chain: Chain, density: DensityMap, b: float) -> Chain:
    """The chain in the frame whose origin is the first voxel, all atoms with one B factor."""
    positions = (chain.positions - density.origin).astype(np.float32)
    return replace(chain, positions=positions, b_factors=np.full(len(positions), b, np.float32))


def tm_scores(folder: Path, pairs: list[Pair], files: dict[str, tuple[Path, Path]]) -> dict[str, Any]:
    """TM-scores of all pairs whose sequences correspond, and of decoys.

    TMscore pairs by number, so a model under other numbers is given those of its reference.
    """
    figures = {}
    for pair in pairs:
        if not pair.paired:
            continue
        model, reference = files[pair.name]
        if pair.name == "numbering changed":
            write_pdb(model, [[replace(pair.model[0], numbers=pair.reference[0].numbers)]])
        several = ("-c",) if len(pair.reference) > 1 else ()
        figures[pair.name] = pair_inputs(pair) | {"tm_score": tm_score(model, reference, *several)}
    for name, *points in decoys():
        paths = folder / "decoy.pdb", folder / "native.pdb"
        chains = [calpha_chain("A", "A" * len(p), p.astype(np.float32)) for p in points]
        for path, chain in zip(paths, chains):
            write_pdb(path, [[chain]])
        figures[name] = {"model": fingerprint(chains[:1]), "reference": fingerprint(chains[1:])}
        figures[name] |= {"tm_score": tm_score(*paths)}
    return figures


def tm_score(model: Path, reference: Path, *options: str) -> float:
    """What TMscore prints."""
    printed = run("TMscore", str(model), str(reference), *options)
    (value,) = re.findall(r"^TM-score\s*=\s*([\d.]+)", printed, re.MULTILINE)
    return float(value)


def labels(folder: Path) -> dict[str, Any]:
    """mkdssp's labels of the structures here, whole and damaged, and of the twenty chains of the data folder."""
    damaged = (
        "backbone only",
        "noise 0.5",
        "domain moved",
        "mirrored",
        "every third residue lost",
        "ubiquitin, noise 1",
    )
    chains = {"1ake_A": kinase(), "1ubi_A": ubiquitin()}
    chains |= {pair.name: pair.model[0] for pair in golden_pairs() if pair.name in damaged}
    if DATA.is_dir():
        names = (DATA / "lists" / "val-20.txt").read_text().split()
        chains |= {name: read_chains(DATA / "structures" / f"{name}.pdb.gz")[0] for name in names}
    return {name: {"model": fingerprint([chain]), "labels": dssp(folder, chain)} for name, chain in chains.items()}


def dssp(folder: Path, chain: Chain) -> str:
    """mkdssp's label of every residue, - where it gives none."""
    # It numbers residues as the file does; ours may repeat, so they are counted anew. CRYST1 and HEADER must be there.
    counted = replace(chain, name="A", numbers=np.arange(1, len(chain) + 1, dtype=np.int32), full_sequence=None)
    write_pdb(folder / "bare.pdb", [[counted]])
    header = "HEADER    PROTEIN                                 01-JAN-00   1XXX              \n"
    cell = "CRYST1    1.000    1.000    1.000  90.00  90.00  90.00 P 1           1          \n"
    atoms = [
        line for line in (folder / "bare.pdb").read_text().splitlines(keepends=True) if line[:4] in ("ATOM", "TER ")
    ]
    (folder / "chain.pdb").write_text(header + cell + "".join(atoms) + "END\n")
    table = run("mkdssp", "--output-format", "dssp", str(folder / "chain.pdb"))
    found = ["-"] * len(chain)
    for line in table[table.index("  #  RESIDUE") :].splitlines()[1:]:
        if line[13] != "!":
            found[int(line[5:10]) - 1] = line[16].replace(" ", "-")
    return "".join(found)


def tm_version() -> str:
    """TMscore's release, as Debian names it."""
    return f"TMscore, Debian tm-align {run('dpkg-query', '-W', '-f', '${Version}', 'tm-align')}"


def dssp_version() -> str:
    """What mkdssp calls itself."""
    return run("mkdssp", "--version").splitlines()[0]


def run(*command: str) -> str:
    """What a program prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def write_golden(name: str, made_by: str, figures: dict[str, Any]) -> None:
    """One file: the program and its version, then the figures by name, one a line.

    Without the data folder the figures that need it stay as they are.
    """
    if not DATA.is_dir() and (GOLDEN / name).exists():
        figures = json.loads((GOLDEN / name).read_text())["figures"] | figures
    lines = [f"  {json.dumps(n, ensure_ascii=False)}: {json.dumps(f, ensure_ascii=False)}" for n, f in figures.items()]
    text = json.dumps(made_by, ensure_ascii=False)
    (GOLDEN / name).write_text(f'{{\n "made_by": {text},\n "figures": {{\n' + ",\n".join(lines) + "\n }\n}\n")
    print(f"{name}: {len(figures)} figures")


if __name__ == "__main__":
    main()
