"""All atoms from true Cα: PULCHRA (PyPI) beside this program, without a map and in one simulated at 5 Å.

    python -m venv build/pulchra && build/pulchra/bin/pip install pulchra
    python benchmarks/pulchra.py build/pulchra/bin/pulchra --chains 10

Chains of data/lists/val-20.txt, the shortest first, from the Cα of the crystal. RMSDs (Å) are in place, seconds by the
clock: PULCHRA's with the start of its process, ours the second of two runs, in which nothing is compiled.
"""

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from deepmm_jax.allatom.backbone import place_backbone
from deepmm_jax.allatom.side_chains import place_side_chains
from deepmm_jax.allatom.values import AllAtomModel
from deepmm_jax.assessment.geometry import geometry_figures
from deepmm_jax.assessment.report import evaluate_model
from deepmm_jax.density.map import DensityMap
from deepmm_jax.density.simulate import simulate_map
from deepmm_jax.files import data_directory
from deepmm_jax.structure.chain import Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.write import calpha_chain, write_pdb


FIGURES = ("backbone_rmsd", "all_atom_rmsd", "ramachandran_outliers", "rotamer_outliers", "clashscore", "d_residues")


def main() -> None:
    """Measure, print and write benchmarks/results/pulchra.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path, help="the program `pulchra`")
    parser.add_argument("--chains", type=int, default=10)
    arguments = parser.parse_args()
    data = data_directory()
    names = (data / "lists" / "val-20.txt").read_text().split()
    chains = {name: read_chains(data / "structures" / f"{name}.pdb.gz")[0] for name in names}
    rows = {}
    for name in sorted(names, key=lambda name: len(chains[name]))[: arguments.chains]:
        chain = chains[name]
        density = simulate_map(chain.positions, chain.atomic_numbers, 5.0)
        rows[name] = {
            "residues": len(chain),
            "pulchra": pulchra(arguments.program, chain),
            "without a map": ours(chain, None),
            "5 Å": ours(chain, density),
        }
        print(name, json.dumps(rows[name]), flush=True)
    ways = ("pulchra", "without a map", "5 Å")
    result = {
        "command": f"python benchmarks/pulchra.py pulchra --chains {arguments.chains}",
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
        },
        "versions": {package: version(package) for package in ("deepmm-jax", "jax", "numpy")}
        | {"pulchra": pulchra_version(arguments.program)},
        "mean": {
            way: {
                key: round(float(np.mean([row[way][key] for row in rows.values()])), 4) for key in (*FIGURES, "seconds")
            }
            for way in ways
        },
        "chains": rows,
    }
    print(json.dumps(result["mean"], indent=1, ensure_ascii=False))
    (Path(__file__).parent / "results" / "pulchra.json").write_text(
        json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    )


def pulchra_version(program: Path) -> str:
    """That of its package; it cannot be asked itself."""
    ask = "from importlib.metadata import version; print(version('pulchra'))"
    return subprocess.check_output([program.parent / "python", "-c", ask], text=True).strip()


def pulchra(program: Path, chain: Chain) -> dict[str, float]:
    """What PULCHRA makes of the Cα of a chain."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "calpha.pdb", Path(folder) / "whole.pdb"
        write_pdb(given, [[calpha_chain("A", chain.sequence, chain.calpha)]])
        started = time.perf_counter()
        subprocess.run([program, given, "-O", made], check=True, capture_output=True)
        return figures(read_chains(made), chain, time.perf_counter() - started)


def ours(chain: Chain, density: DensityMap | None) -> dict[str, float]:
    """The same by the backbone and side chains of this program, without minimisation."""
    placed(chain, density)  # compiles
    started = time.perf_counter()
    model = placed(chain, density)
    return figures([model.chain("A")], chain, time.perf_counter() - started)


def placed(chain: Chain, density: DensityMap | None) -> AllAtomModel:
    built = np.ones((1, len(chain)), bool)
    backbones = place_backbone(chain.calpha[None], built, chain.sequence, None, density)
    return place_side_chains(backbones, density)[0]


def figures(model: list[Chain], chain: Chain, seconds: float) -> dict[str, float]:
    found = evaluate_model(model, [chain]) | geometry_figures(model)
    return {key: round(float(found[key] or 0.0), 4) for key in FIGURES} | {"seconds": round(seconds, 2)}


if __name__ == "__main__":
    main()
