"""How often the warning of a wrong hand is right: validation chains in their maps, and in the mirror images of these.

    python benchmarks/wrong_hand.py --cache runs/confidence --longest 200

The cache is that of fit_confidence.py, which has the models in maps of the right hand; those in mirrored maps are
added to it. Writes benchmarks/results/wrong_hand.json. Reads the data folder (DEEPMM_JAX_DATA).
"""

import argparse
import pickle
from pathlib import Path
from typing import Any

from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.benchmark.results import write_json
from deepmm_jax.benchmark.targets import Target, read_target
from deepmm_jax.confidence.doubts import helix_hands, of_wrong_hand
from deepmm_jax.config import build_config
from deepmm_jax.density.map import DensityMap
from deepmm_jax.errors import NothingBuiltError
from deepmm_jax.files import data_directory
from deepmm_jax.pipeline import build_chains, map_evidence
from deepmm_jax.rating import rate_models, typing_of


RESULTS = Path(__file__).parent / "results" / "wrong_hand.json"


def main() -> None:
    """Build in mirrored maps what is missing, and count warnings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder of built models")
    parser.add_argument("--longest", type=int, default=200, help="residues of a chain at most")
    arguments = parser.parse_args()
    chains: dict[str, Any] = {}
    for kept in sorted(arguments.cache.glob("*.pkl")):
        name, evidence, profile, models, *_ = pickle.loads(kept.read_bytes())
        if len(profile) > arguments.longest:
            continue
        config = build_config("experimental")
        models = rate_models(evidence, models, profile, config.alignment, *typing_of(config))
        mirrored = kept.with_suffix(".mirrored")
        if not mirrored.exists():
            mirrored.write_bytes(pickle.dumps(built_in_mirror(name)))
        chains[name] = {"right": said_of(models), "mirrored": said_of(pickle.loads(mirrored.read_bytes()))}
        print(name, chains[name], flush=True)
        write(chains, arguments.longest)


def built_in_mirror(name: str) -> CalphaModels | None:
    """Models in the mirror image of the map of a target; None if nothing could be built."""
    case = read_target(Target(name=name, kind="as-measured"), data_directory())
    config = build_config("experimental", until="calpha")
    evidence = map_evidence(mirror_image(case.density), len(case.profiles[0]), config)
    try:
        return build_chains(evidence, case.profiles, config)[0]
    except NothingBuiltError:
        return None


def mirror_image(density: DensityMap) -> DensityMap:
    """The map with its first axis turned round."""
    return density.with_data(density.data[::-1].copy())


def said_of(models: CalphaModels | None) -> dict[str, Any]:
    """Turns of helices to the right and to the left in the best model, whether the hand is doubted, mean confidence."""
    if models is None:
        return {"turns": (0, 0), "warned": False, "confidence": None}
    turns = helix_hands(models.positions[0])
    confidence = None if models.confidence is None else float(models.confidence[0][models.built[0]].mean())
    return {"turns": turns, "warned": of_wrong_hand(*turns), "confidence": confidence and round(confidence, 3)}


def write(chains: dict[str, Any], longest: int) -> None:
    """Counts, and every chain."""
    warned = {hand: sum(row[hand]["warned"] for row in chains.values()) for hand in ("right", "mirrored")}
    # The precision is that of a user half of whose maps are mirrored.
    head = {
        "command": f"python benchmarks/wrong_hand.py --cache FOLDER --longest {longest}",
        "maps_of_each_hand": len(chains),
        "warned": warned,
        "precision": round(warned["mirrored"] / max(sum(warned.values()), 1), 3),
        "recall": round(warned["mirrored"] / len(chains), 3),
    }
    write_json(RESULTS, head | {"chains": chains})


if __name__ == "__main__":
    main()
