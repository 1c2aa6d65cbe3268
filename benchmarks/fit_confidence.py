"""Fit the confidence per residue on models of validation chains, and show how far it can be trusted.

    python benchmarks/fit_confidence.py --cache runs/confidence

Each chain is shown once by `simulated-experimental-v1`, at a resolution of its bin, and built to its Cα. The weights
go into deepmm_jax/confidence/weights.json; what the reliability diagram shows, into benchmarks/results/confidence.json,
is cross-validated: every chain is judged by weights that have not seen it. Reads the data folder (DEEPMM_JAX_DATA).
"""

import argparse
import json
import pickle
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.optimize import curve_fit

from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.assessment.reliability import reliability_figures, right_residues
from deepmm_jax.assessment.tm_score import tm_score
from deepmm_jax.benchmark.results import write_json
from deepmm_jax.benchmark.suites import shared_among_ranges
from deepmm_jax.benchmark.summary import warnings_of_wrong_models
from deepmm_jax.benchmark.targets import Target, read_target
from deepmm_jax.confidence.features import FEATURES, residue_features
from deepmm_jax.confidence.mscore import PAPER, equation_5
from deepmm_jax.confidence.residues import Weights, confidence_logits
from deepmm_jax.config import build_config
from deepmm_jax.errors import NothingBuiltError
from deepmm_jax.files import data_directory
from deepmm_jax.pipeline import build_chains, map_evidence
from deepmm_jax.rating import register_of, typing_of


RESULTS = Path(__file__).parent / "results" / "confidence.json"
WEIGHTS = Path(__file__).parents[1] / "deepmm_jax" / "confidence" / "weights.json"
HIDDEN = 6
DECAY = 1e-2
"""So many times the squares of the weights are added to the mean log loss."""
STEPS, RATE = 800, 2e-2
FOLDS = 8
SLIPPED = 2
"""Copies of the best model of a chain with a part slipped along the sequence: searches leave few such."""


class Rated(NamedTuple):
    """One built chain: features (k, n, f) of its models, which residues are built, and which are right.

    The last `SLIPPED` are slipped copies of the first.
    """

    name: str
    features: np.ndarray
    built: np.ndarray
    right: np.ndarray
    tm_score: float
    mscore: float


def main() -> None:
    """Build what is missing, fit, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--cache",
        type=Path,
        required=True,
        help="folder for the built models; other networks or another search need another",
    )
    parser.add_argument("--split", default="val")
    parser.add_argument("--only-cached", action="store_true", help="build nothing")
    arguments = parser.parse_args()
    data = data_directory()
    if json.loads(WEIGHTS.read_text())["features"] != list(FEATURES):
        write_weights({"features": list(FEATURES)}, blank_weights())  # without any nothing is built
    arguments.cache.mkdir(parents=True, exist_ok=True)
    rated = []
    for name in shared_among_ranges(data / "structures" / "MANIFEST.csv", arguments.split, 10_000):
        target = Target(name=name, kind="as-measured")
        kept = arguments.cache / f"{name.replace(' ', '_')}.pkl"
        if not kept.exists() and not arguments.only_cached:
            build(data, target, kept)
        if kept.exists():
            rated.append(rate(name, *pickle.loads(kept.read_bytes())[1:]))
            print(rated[-1].name, f"{rated[-1].right[0].mean():.2f} of the residues right", flush=True)
    said = cross_validated(rated)
    result = {
        "command": f"python benchmarks/fit_confidence.py --cache FOLDER --split {arguments.split}",
        "chains": len(rated),
        **judged(list(zip(rated, said, strict=True))),
        "by_resolution": {bin_: judged(pairs) for bin_, pairs in by_bin(rated, said).items()},
        "whole_models": whole_models(rated, said),
        "equation_5": refit_of_equation_5(rated),
    }
    write_json(RESULTS, result)
    print(json.dumps(result, indent=1))
    source = {"source": result["command"], "chains": [r.name for r in rated], "features": list(FEATURES)}
    write_weights(source, fit(rated))


def write_weights(head: dict[str, Any], weights: Weights) -> None:
    """The weights that travel with the program, and where they are from."""
    rounded = {name: np.round(np.asarray(value), 5).tolist() for name, value in weights.items()}
    write_json(WEIGHTS, head | {"weights": rounded})


def build(data: Path, target: Target, kept: Path) -> None:
    """Evidence, profile, models and truth of a chain at a resolution of its range, into a file."""
    case = read_target(target, data)
    (profile,), (chain,) = case.profiles, case.reference
    config = build_config("experimental", until="calpha")
    evidence = map_evidence(case.density, len(profile), config)
    try:
        (models,) = build_chains(evidence, [profile], config)
    except NothingBuiltError as reason:
        print(target.name, reason, flush=True)
        return
    kept.write_bytes(pickle.dumps((target.name, evidence, profile, models, chain.calpha, chain.sequence)))


def rate(target: str, evidence: Any, profile: Any, models: Any, calpha: np.ndarray, letters: str) -> Rated:
    """Features and truth of a built chain."""
    config = build_config("experimental")
    rng = np.random.default_rng(zlib.crc32(target.encode()))
    features, built, right = [], [], []
    for copy in [models, *[slipped(models, rng) for _ in range(SLIPPED)]]:
        register = register_of(evidence, copy, profile, config.alignment, *typing_of(config))
        rows = slice(None) if copy is models else slice(1)
        features.append(residue_features(evidence, copy, register)[rows])
        built.append(copy.built[rows])
        right += [right_residues(positions, profile.letters, calpha, letters) for positions in copy.positions[rows]]
    here = models.built[0]
    score = tm_score(models.positions[0][here].astype(float), calpha[here].astype(float), len(calpha)).value
    whole = np.concatenate(features), np.concatenate(built), np.stack(right)
    return Rated(target, *whole, score, float(models.mscores[0]))


def slipped(models: CalphaModels, rng: np.random.Generator) -> CalphaModels:
    """The models with a part of the first, a tenth to a half of the chain, slipped by up to four residues."""
    n = models.built.shape[1]
    length, slip = int(rng.uniform(0.1, 0.5) * n), int(rng.choice([-4, -3, -2, -1, 1, 2, 3, 4]))
    start = int(rng.integers(4, n - length - 4))
    positions = models.positions.copy()
    positions[0, start : start + length] = models.positions[0, start + slip : start + slip + length]
    return replace(models, positions=positions, built=np.isfinite(positions[..., 0]))


def fit(rated: list[Rated]) -> Weights:
    """Weights of the greatest penalised likelihood; the best model of a chain counts as much as all its others."""
    x, y, share = [], [], []
    for chain in rated:
        for k, (features, built, right) in enumerate(zip(chain.features, chain.built, chain.right, strict=True)):
            x.append(features[built])
            y.append(right[built])
            share.append(np.full(built.sum(), 1.0 if k == 0 else 1.0 / max(len(chain.built) - 1, 1)))
    x, y, share = (jnp.asarray(np.concatenate(part), jnp.float32) for part in (x, y, share))
    fixed = {"mean": x.mean(axis=0), "spread": x.std(axis=0) + 1e-3}
    free: dict[str, Any] = {name: value for name, value in blank_weights().items() if name not in fixed}
    optimiser = optax.adam(optax.cosine_decay_schedule(RATE, STEPS))

    def objective(free: dict[str, Any]) -> jax.Array:
        loss = optax.sigmoid_binary_cross_entropy(confidence_logits(free | fixed, x), y)
        penalty = sum(jnp.square(free[name]).sum() for name in ("linear", "inner", "outer"))
        return (loss * share).sum() / share.sum() + DECAY * penalty / 2

    @jax.jit
    def step(free: dict[str, Any], state: Any) -> tuple[dict[str, Any], Any]:
        updates, state = optimiser.update(jax.grad(objective)(free), state)
        return optax.apply_updates(free, updates), state  # type: ignore[return-value]

    state = optimiser.init(free)
    for _ in range(STEPS):
        free, state = step(free, state)
    return free | fixed


def blank_weights() -> Weights:
    """Weights that know nothing yet: every residue is right with a probability of a half."""
    size = (len(FEATURES), HIDDEN)
    return {
        "mean": jnp.zeros(size[0]),
        "spread": jnp.ones(size[0]),
        "linear": jnp.zeros(size[0]),
        "inner": jax.random.normal(jax.random.key(0), size) * size[0] ** -0.5,
        "inner_bias": jnp.zeros(HIDDEN),
        "outer": jnp.zeros(HIDDEN),
        "bias": jnp.zeros(()),
    }


def cross_validated(rated: list[Rated]) -> list[np.ndarray]:
    """Confidence (k, n) of every chain by weights that have not seen it."""
    said: list[np.ndarray] = [np.zeros(0)] * len(rated)
    fold = np.random.default_rng(0).permutation(len(rated)) % min(FOLDS, len(rated))
    for number in range(fold.max() + 1):
        weights = fit([chain for chain, here in zip(rated, fold, strict=True) if here != number])
        for row in np.flatnonzero(fold == number):
            features = rated[row].features
            logits = confidence_logits(weights, jnp.asarray(features.reshape(-1, len(FEATURES))))
            said[row] = np.asarray(jax.nn.sigmoid(logits)).reshape(features.shape[:2])
    return said


def judged(pairs: list[tuple[Rated, np.ndarray]]) -> dict[str, Any]:
    """How far confidence can be trusted over the residues of the best models of all these chains together."""
    said, right = (
        np.concatenate(values)
        for values in zip(*((c[0][r.built[0]], r.right[0][r.built[0]]) for r, c in pairs), strict=True)
    )
    return reliability_figures(said, right)


def by_bin(rated: list[Rated], said: list[np.ndarray]) -> dict[str, list[tuple[Rated, np.ndarray]]]:
    """Chains and what is said of them by the bin of their resolution."""
    bins = sorted({chain.name.split()[1] for chain in rated})
    pairs = list(zip(rated, said, strict=True))
    return {bin_: [pair for pair in pairs if pair[0].name.endswith(bin_)] for bin_ in bins}


def whole_models(rated: list[Rated], said: list[np.ndarray]) -> dict[str, Any]:
    """What the mean confidence and the MScore say of TM-score and of the share of right residues; warnings."""
    tm, mscore = (np.array([getattr(chain, name) for chain in rated]) for name in ("tm_score", "mscore"))
    share = np.array([chain.right[0].mean() for chain in rated])
    mean = np.array([(c[0] * chain.built[0]).mean() for chain, c in zip(rated, said, strict=True)])
    said_of_built = np.array([c[0][chain.built[0]].mean() for chain, c in zip(rated, said, strict=True)])
    right_of_built = np.array([chain.right[0][chain.built[0]].mean() for chain in rated])
    return {
        "r2_tm_score_from_confidence": float(np.corrcoef(mean, tm)[0, 1] ** 2),
        "r2_tm_score_from_mscore": float(np.corrcoef(mscore, tm)[0, 1] ** 2),
        "r2_right_from_confidence": float(np.corrcoef(mean, share)[0, 1] ** 2),
        "probably_wrong": warnings_of_wrong_models(said_of_built, right_of_built),
        "chains": {
            chain.name: [round(float(v), 3) for v in (mean[i], share[i], tm[i], mscore[i])]
            for i, chain in enumerate(rated)
        },
    }


def refit_of_equation_5(rated: list[Rated]) -> dict[str, Any]:
    """TM-score by MScore: constants of equation 5 fitted to these chains (`mscore.REFITTED`), and what they explain."""
    mscore, tm = (np.array([getattr(chain, name) for chain in rated]) for name in ("mscore", "tm_score"))
    fitted, _ = curve_fit(equation_5, mscore, tm, p0=PAPER, maxfev=20_000)
    said = {"fitted": equation_5(mscore, *fitted), "paper": equation_5(mscore, *PAPER)}
    r2 = {name: 1 - np.square(tm - at).sum() / np.square(tm - tm.mean()).sum() for name, at in said.items()}
    constants = dict(zip(("top", "depth", "slope", "middle"), fitted.round(3).tolist(), strict=True))
    return {"constants": constants} | {f"r2_{name}": round(float(value), 3) for name, value in r2.items()}


if __name__ == "__main__":
    main()
