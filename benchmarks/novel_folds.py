"""Which targets of the benchmarks have a fold that no chain learnt from has: TM-score below 0.5 to every one.

    python benchmarks/novel_folds.py

Test chains and the chains of held-out real maps are compared with all training chains, those of real maps among them:
a first look at all, then the search of `deepmm-jax data --exclude-folds` with those that look most alike, until one
scores 0.5 or more. Writes deepmm_jax/benchmark/novel_folds.json, with the closest training chain that was met, and goes
on where it stopped. TM-scores are by the length of the shorter chain. Reads the data folder (DEEPMM_JAX_DATA).
"""

import json
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np

from deepmm_jax.assessment.held_out import protein_of
from deepmm_jax.benchmark.results import write_json
from deepmm_jax.benchmark.suites import held_out_maps, suite_targets
from deepmm_jax.files import data_directory
from deepmm_jax.structure.read import read_chains
from deepmm_jax.training.chains import training_names
from deepmm_jax.training.curation.folds import closest_fold, likely_folds
from deepmm_jax.training.real_maps import listed_maps


OUTPUT = Path(__file__).parents[1] / "deepmm_jax" / "benchmark" / "novel_folds.json"
LIMIT = 0.5
SEARCHED = 40
"""Training chains, of about 1,550, that are compared in full."""


def main() -> None:
    """Compare what is not yet compared."""
    data = data_directory()
    names = {
        target.protein for suite in ("simulated-40", "simulated-experimental") for target in suite_targets(suite, data)
    }
    paths = {name: data / "structures" / f"{name}.pdb.gz" for name in sorted(names)}
    paths |= {name: data / "maps" / f"{name}.pdb" for name in held_out_maps(data / "maps" / "MANIFEST.csv")}
    done = json.loads(OUTPUT.read_text())["targets"] if OUTPUT.is_file() else {}
    missing = [name for name in paths if name not in done]
    with ProcessPoolExecutor() as pool:
        for name, found in zip(missing, pool.map(closest, [paths[name] for name in missing])):
            done[name] = found
            write(done)
            print(name, *found, flush=True)


def write(done: dict[str, tuple[str, float]]) -> None:
    """A file that says what it is."""
    targets = {name: done[name] for name in sorted(done)}
    novel = sorted({protein_of(name) for name, (_, score) in targets.items() if score < LIMIT})
    head = {"command": "python benchmarks/novel_folds.py", "limit": LIMIT, "searched": SEARCHED, "novel": novel}
    write_json(OUTPUT, head | {"targets": targets})


def closest(path: Path) -> tuple[str, float]:
    """The closest training chain that was met, and its TM-score; for several chains, of the one that is most alike."""
    found = []
    for chain in read_chains(path):
        likely = likely_folds(chain.calpha, training_calpha(), SEARCHED)
        found.append(closest_fold(chain.calpha, likely, LIMIT))
    name, score = max(found, key=lambda pair: pair[1])
    return name, round(score, 3)


@cache
def training_calpha() -> dict[str, np.ndarray]:
    """Cα positions of every chain learnt from, Å."""
    data = data_directory()
    chains = {name: read_chains(data / "structures" / f"{name}.pdb.gz")[0] for name in training_names()}
    for real in listed_maps():
        chains |= {f"{real.name}:{chain.name}": chain for chain in read_chains(data / "maps" / f"{real.name}.pdb")}
    return {name: chain.calpha for name, chain in chains.items()}


if __name__ == "__main__":
    main()
