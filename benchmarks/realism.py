"""How much simulated maps look like real ones: figures by resolution, and a classifier that tries to tell them apart.

    python benchmarks/realism.py statistics
    python benchmarks/realism.py classifier

Reads the data folder (DEEPMM_JAX_DATA): the real maps to learn from, never a held-out one, and chains of `train`.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array
from scipy.stats import kurtosis, rankdata, skew

from deepmm_jax.assessment.map_statistics import (
    atoms_correlation,
    density_at_calpha,
    fall_off,
    fourier_shell_correlation,
    fsc_resolution,
    model_density,
    near_atoms,
    radial_amplitude,
    soft_mask,
)
from deepmm_jax.density.experimental.molecule import Molecule, place_beside
from deepmm_jax.density.experimental.noise import turn_cube
from deepmm_jax.density.experimental.settings import load_simulator
from deepmm_jax.density.experimental.simulator import draw_effects, render
from deepmm_jax.density.scaling import top_volume_scale
from deepmm_jax.files import data_directory
from deepmm_jax.networks.conv3d import conv3d
from deepmm_jax.training.chains import load_training_chains, training_names
from deepmm_jax.training.real_maps import RealMap, load_real_maps, residuals_of


BINS = ((0.0, 2.5), (2.5, 3.0), (3.0, 3.4), (3.4, 4.0), (4.0, 4.5), (4.5, 5.01))
"""Resolution (Å), from and below."""
MARGIN = 8
"""Å around the atoms in a box, as in the real maps."""
CHAINS = 250
"""Training chains to simulate, chosen at random."""
CROP = 24
CROPS_PER_MAP = 4
BOX = 48
"""Side of the cubes that are simulated for crops, and how much of it is not used at every face: filters wrap."""
EDGE = 6
FOLDS = 5
FREQUENCIES = (8.0, 6.0, 5.0, 4.0, 3.5, 3.0, 2.5, 2.2)
"""1/s (Å) at which amplitudes are compared with the one at 10 Å."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A scaled map with its atoms (voxels of 1 Å). `like` is the real map that a simulated one imitates (its own name
    for a real one), `residual` the real map whose residual was laid on it, if any."""

    name: str
    real: bool
    like: str
    residual: str | None
    resolution: float
    data: np.ndarray
    molecule: Molecule


def main() -> None:
    """Parse, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["statistics", "classifier"])
    parser.add_argument("--simulator", default="simulated-experimental-v1")
    parser.add_argument("--maps", type=int, help="simulated maps (default 20 a bin, 240 for the classifier)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="JSON file (default benchmarks/results/…)")
    arguments = parser.parse_args()
    data = data_directory()
    started = time.perf_counter()
    measure = statistics if arguments.kind == "statistics" else classifier
    result = measure(data, arguments.simulator, arguments.maps, arguments.seed)
    command = f"python benchmarks/realism.py {arguments.kind} --simulator {arguments.simulator} --seed {arguments.seed}"
    command += f" --maps {arguments.maps}" if arguments.maps else ""
    result = {"command": command, "seconds": round(time.perf_counter() - started), **result}
    path = arguments.output or Path(__file__).parent / "results" / f"realism-{arguments.kind}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")


class Simulations:
    """Simulated maps made like a given real one: its resolution and kind of mask, another protein."""

    def __init__(self, data: Path, simulator: str, real_maps: Sequence[RealMap], rng: np.random.Generator):
        self.config = load_simulator(simulator)
        names = rng.permutation(training_names())[:CHAINS].tolist()
        self.chains = load_training_chains(data / "structures", sorted(names))
        self.used = 0
        self.residuals = [(real.name, residuals_of([real])) for real in real_maps]
        self.residuals = [(name, volumes) for name, volumes in self.residuals if volumes]

    def like(self, real: RealMap, rng: np.random.Generator, box: int | None = None) -> Sample:
        """One map of a whole chain, or of the cube of side `box` about one of its residues, as in training.

        Chains come in turn, so that none comes twice if there are enough.
        """
        chain = self.chains[self.used % len(self.chains)]
        other = self.chains[rng.integers(len(self.chains))]
        self.used += 1
        low, high = chain.positions.min(axis=0) - MARGIN, chain.positions.max(axis=0) + MARGIN
        if box is not None:
            low = chain.calpha[rng.integers(len(chain.calpha))] + rng.normal(scale=6.0, size=3) - box / 2
            high = low + box
        nx, ny, nz = (int(n) for n in np.ceil(high - low - 1e-3))
        molecule = chain.molecule.moved(np.eye(3), -low)
        neighbours = []
        if rng.uniform() < self.config.neighbour:
            contact = rng.uniform(*self.config.contact)
            neighbours = [place_beside(molecule, other.molecule, rng, contact)]
        resolution = float(np.clip(real.resolution + rng.uniform(-0.1, 0.1), *self.config.resolution))
        effects = draw_effects(self.config, resolution, rng)
        while effects.masking.kind not in mask_kinds(real):
            effects = replace(effects, masking=self.config.draw_masking(rng))
        source, residuals = self.residuals[rng.integers(len(self.residuals))]
        volume = render(molecule, (nx, ny, nz), resolution, effects, rng, neighbours=neighbours, residuals=residuals)
        inside = ((molecule.calpha > 0) & (molecule.calpha < (nx, ny, nz))).all(axis=1).sum()
        volume = volume / top_volume_scale(volume, 1.0, max(int(inside), 8))
        return Sample(
            name=chain.name,
            real=False,
            like=real.name,
            residual=source if effects.transplant.strength else None,
            resolution=resolution,
            data=volume.astype(np.float32),
            molecule=molecule,
        )


def mask_kinds(real: RealMap) -> set[str]:
    """Masks of the simulator that are of the kind a real map has."""
    if "interpolated" in real.notes:
        return {"filled"}
    return {"none"} if "unmodelled" in real.notes else {"zone", "soft"}


def as_sample(real: RealMap) -> Sample:
    """A real map as it is trained on."""
    return Sample(
        name=real.name,
        real=True,
        like=real.name,
        residual=None,
        resolution=real.resolution,
        data=real.density.data,
        molecule=real.molecule,
    )


def statistics(data: Path, simulator: str, n_maps: int | None, seed: int) -> dict[str, Any]:
    """Figures of every real map beside the 10, 50 and 90 % quantiles of simulated ones, by resolution."""
    rng = np.random.default_rng(seed)
    real_maps = load_real_maps(data)
    simulations = Simulations(data, simulator, real_maps, rng)
    table: dict[str, Any] = {}
    for low, high in BINS:
        here = [real for real in real_maps if low <= real.resolution < high]
        if not here:
            continue
        real_rows = {real.name: figures(as_sample(real)) for real in here}
        rows = [figures(simulations.like(here[i % len(here)], rng)) for i in range(n_maps or 20)]
        label = f"{low:g}-{min(high, 5.0):g}"
        table[label] = {
            key: {
                "simulated": np.round(np.nanquantile([row[key] for row in rows], [0.1, 0.5, 0.9]), 3).tolist(),
                "real": {name: round(row[key], 3) for name, row in real_rows.items()},
            }
            for key in rows[0]
        }
        for key, values in table[label].items():
            low_q, middle, high_q = values["simulated"]
            marks = [("+" if v > high_q else "-" if v < low_q else " ") + f"{v:8.3f}" for v in values["real"].values()]
            print(f"{label:8} {key:20} {low_q:8.3f} {middle:8.3f} {high_q:8.3f} | {' '.join(marks)}", flush=True)
    return {"table": table}


def figures(sample: Sample) -> dict[str, float]:
    """What is compared of one map."""
    data, molecule, resolution = sample.data, sample.molecule, sample.resolution
    s, amplitude = radial_amplitude(data, 1.0)
    model = model_density(molecule.positions, molecule.atomic_numbers, 0.225 * resolution, data.shape)
    near = near_atoms(molecule.positions, data.shape, 3)
    curve = fourier_shell_correlation(data, model, 1.0, soft_mask(near, 3.0))
    # Amplitudes over those of point atoms in the same places: the fall-off without the shape of the molecule.
    atoms = radial_amplitude(model_density(molecule.positions, molecule.atomic_numbers, 0.5, data.shape), 1.0)[1]
    log_ratio = np.log(amplitude / np.maximum(atoms, 1e-9))
    at = [float(np.interp(1 / d, s, log_ratio)) for d in (10.0, *FREQUENCIES)]
    calpha = density_at_calpha(data, molecule.calpha)
    scaled = calpha * data.std() + data.mean()
    values = atoms_density(data, molecule)
    backbone, side = values[molecule.depth == 0].mean(), values[molecule.depth >= 2].mean()
    inside = data[near]
    window = np.convolve(scaled, np.ones(11) / 11, "valid")
    out = {
        "correlation": atoms_correlation(data, molecule.positions, molecule.atomic_numbers, resolution),
        "fsc_half_over_r": fsc_resolution(*curve) / resolution,
        "fsc_tenth_over_r": fsc_resolution(*curve, threshold=0.1) / resolution,
        "b": fall_off(s, amplitude / np.maximum(atoms, 1e-9), 0.1, 1 / resolution),
        "calpha_sd": float(calpha.mean()),
        "calpha_scaled": float(scaled.mean()),
        "calpha_spread": float(scaled.std() / scaled.mean()),
        "calpha_weakest": float(np.quantile(scaled, 0.1) / scaled.mean()),
        "patchiness": float(window.std() / window.mean()),
        "side_over_main": float(side / backbone),
        "acid_over_main": float(values[molecule.acidic].mean() / backbone) if molecule.acidic.any() else np.nan,
        "inside_spread": float(inside.std() / inside.mean()),
        "inside_skew": float(skew(inside)),
        "inside_kurtosis": float(kurtosis(inside)),
        "inside_negative": float((inside < -1e-3).mean()),
        "box_zero": float((np.abs(data) < 1e-3).mean()),
        "outside_rms": float(np.sqrt(np.square(data[~near]).mean())),
        "axes": axes_spread(data, resolution),
    }
    return out | {f"amplitude_{d:g}": value - at[0] for d, value in zip(FREQUENCIES, at[1:], strict=True)}


def atoms_density(data: np.ndarray, molecule: Molecule) -> np.ndarray:
    """Density at every atom, on the scale of the map."""
    return density_at_calpha(data, molecule.positions) * data.std() + data.mean()


def axes_spread(data: np.ndarray, resolution: float) -> float:
    """Spread of log amplitudes near 1.3 times the resolution between cones about the three axes."""
    f = np.fft.fftfreq
    axes = np.stack(np.meshgrid(f(data.shape[0]), f(data.shape[1]), f(data.shape[2]), indexing="ij"))
    radius = np.sqrt(np.square(axes).sum(axis=0))
    shell = np.abs(radius * 1.3 * resolution - 1) < 0.1
    amplitude = np.abs(np.fft.fftn(data))
    cones = [amplitude[shell & (np.abs(axis) > 0.8 * radius)].mean() for axis in axes]
    return float(np.std(np.log(cones)))


def classifier(data: Path, simulator: str, n_maps: int | None, seed: int) -> dict[str, Any]:
    """Area under the curve of a small network, and of a logistic regression on plain features, on left-out proteins.

    Real maps finer than the simulator's range are left out. Every simulated map imitates a real one, and is left out
    together with it; residuals of left-out maps are not in the training set either.
    """
    rng = np.random.default_rng(seed)
    loaded = load_real_maps(data)
    simulations = Simulations(data, simulator, loaded, rng)
    real_maps = [real for real in loaded if real.resolution >= simulations.config.resolution[0] - 0.1]
    rounds = max(1, (n_maps or 240) // len(real_maps))
    samples = [simulations.like(real, rng, BOX) for real in real_maps for _ in range(rounds)]
    samples += [as_sample(real) for real in real_maps]
    owner = np.repeat(np.arange(len(samples)), [CROPS_PER_MAP * (rounds if sample.real else 1) for sample in samples])
    crops = np.stack([random_crop(samples[i], rng) for i in owner])
    truth = np.array([samples[i].real for i in owner])
    cluster = {name: c for c, names in enumerate(related(real_maps)) for name in names}
    n_clusters = max(cluster.values()) + 1
    fold_of_cluster = rng.permutation(np.arange(n_clusters) % FOLDS)
    fold = {name: int(fold_of_cluster[c]) for name, c in cluster.items()}
    tested_in = np.array([fold[samples[i].like] for i in owner])
    residual_in = np.array([fold.get(samples[i].residual or "", -1) for i in owner])
    print(f"{len(samples)} maps, {len(crops)} crops, {n_clusters} proteins", flush=True)

    features, names = plain_features(crops)
    scores = {"network": np.zeros(len(crops)), "features": np.zeros(len(crops))}
    for f in range(FOLDS):
        test, train = tested_in == f, (tested_in != f) & (residual_in != f)
        scores["features"][test] = train_logistic(features[train], truth[train])(features[test])
    print(f"features: {area_under_curve(scores['features'], truth):.3f}", flush=True)
    for f in range(FOLDS):
        test, train = tested_in == f, (tested_in != f) & (residual_in != f)
        scores["network"][test] = train_network(crops[train], truth[train], seed + f)(crops[test])
        area = area_under_curve(scores["network"][test], truth[test])
        print(f"fold {f + 1} of {FOLDS}: {test.sum()} crops, network {area:.3f}", flush=True)
    like = np.array([samples[i].like for i in owner])
    single = {name: area_under_curve(features[:, f], truth) for f, name in enumerate(names)}
    result = {
        "aim": 0.75,
        "crops": {"real": int(truth.sum()), "simulated": int((~truth).sum())},
        "area_under_curve": {key: round(area_under_curve(value, truth), 4) for key, value in scores.items()},
        "network_by_fold": [
            round(area_under_curve(scores["network"][tested_in == f], truth[tested_in == f]), 3) for f in range(FOLDS)
        ],
        "by_map": {
            real.name: {
                key: round(area_under_curve(value[like == real.name], truth[like == real.name]), 3)
                for key, value in scores.items()
            }
            for real in real_maps
        },
        "single_features": {k: round(v, 3) for k, v in sorted(single.items(), key=lambda kv: -abs(kv[1] - 0.5))},
    }
    print(json.dumps(result, indent=1))
    return result


def related(real_maps: Sequence[RealMap]) -> list[set[str]]:
    """Names of the maps that share a protein or a reconstruction (the EMDB entry that the name begins with)."""
    clusters: list[tuple[set[str], set[str]]] = []
    for real in real_maps:
        keys, names = {real.group, real.name.split("_")[0]}, {real.name}
        for cluster in [c for c in clusters if c[0] & keys]:
            clusters.remove(cluster)
            keys, names = keys | cluster[0], names | cluster[1]
        clusters.append((keys, names))
    return [names for _, names in clusters]


def random_crop(sample: Sample, rng: np.random.Generator) -> np.ndarray:
    """24³ voxels about a random residue, inside the box where it is large enough, turned and ±20 % in scale."""
    calpha = sample.molecule.calpha
    calpha = calpha[((calpha >= 0) & (calpha < sample.data.shape)).all(axis=1)]
    centre = calpha[rng.integers(len(calpha))] + rng.normal(scale=4.0, size=3)
    short = [max(0, CROP - n) for n in sample.data.shape]
    data = np.pad(sample.data, [(n // 2, n - n // 2) for n in short])
    edge = 0 if sample.real else EDGE
    start = np.clip(np.rint(centre).astype(int) - CROP // 2, edge, np.array(data.shape) - CROP - edge)
    crop = data[tuple(slice(a, a + CROP) for a in start)]
    return (turn_cube(crop, int(rng.integers(24))) * rng.uniform(0.8, 1.2)).astype(np.float32)


def plain_features(crops: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """What a glance at a crop's histogram and spectrum tells."""
    values = crops.reshape(len(crops), -1)
    spread = np.maximum(values.std(axis=1), 1e-6)
    columns = {
        "zero": (np.abs(values) < 1e-3).mean(axis=1),
        "nearly_zero": ((np.abs(values) >= 1e-3) & (np.abs(values) < 0.03)).mean(axis=1),
        "negative": (values < -0.03).mean(axis=1),
        "mean": values.mean(axis=1),
        "spread": spread,
        "skew": skew(values, axis=1),
        "kurtosis": np.log(kurtosis(values, axis=1, fisher=False)),
        "lowest": values.min(axis=1) / spread,
        "highest": values.max(axis=1) / spread,
        "roughness": np.log(np.abs(np.diff(crops, 2, axis=1)).mean(axis=(1, 2, 3)) / spread),
        "steps": np.log(np.abs(np.diff(crops, axis=1)).max(axis=(1, 2, 3)) / spread),
    }
    window = np.hanning(CROP + 2)[1:-1]
    windowed = (crops - crops.mean(axis=(1, 2, 3), keepdims=True)) * np.einsum("i,j,k->ijk", window, window, window)
    power = np.square(np.abs(np.fft.fftn(windowed, axes=(1, 2, 3))))
    f = np.fft.fftfreq(CROP)
    radius = np.sqrt(f[:, None, None] ** 2 + f[None, :, None] ** 2 + f[None, None] ** 2)
    edges = (0.06, 0.125, 0.17, 0.21, 0.25, 0.29, 0.33, 0.38, 0.44, 0.5, 0.9)
    total = power.sum(axis=(1, 2, 3))
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        shell = (radius >= low) & (radius < high)
        columns[f"power_{1 / high:.1f}-{1 / low:.1f}"] = np.log(power[:, shell].mean(axis=1) / total + 1e-12)
    return np.stack(list(columns.values()), axis=1), list(columns)


class Critic(nnx.Module):
    """Three 3³ convolutions with pooling between, then the mean and the maximum over space: 45,000 weights."""

    def __init__(self, rngs: nnx.Rngs):
        def convolution(n_in: int, n_out: int) -> nnx.Conv:
            return nnx.Conv(n_in, n_out, (3, 3, 3), padding="VALID", conv_general_dilated=conv3d, rngs=rngs)

        self.first, self.second, self.third = convolution(1, 16), convolution(16, 32), convolution(32, 32)
        self.norm = nnx.LayerNorm(64, rngs=rngs)
        self.out = nnx.Linear(64, 1, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        x = nnx.relu(self.first(x[..., None]))
        x = nnx.relu(self.second(nnx.avg_pool(x, (2, 2, 2), (2, 2, 2))))
        x = nnx.relu(self.third(nnx.avg_pool(x, (2, 2, 2), (2, 2, 2))))
        return self.out(self.norm(jnp.concatenate([x.mean(axis=(1, 2, 3)), x.max(axis=(1, 2, 3))], axis=-1)))[..., 0]


def train_network(
    crops: np.ndarray, truth: np.ndarray, seed: int, epochs: int = 8, batch: int = 32
) -> Callable[[np.ndarray], np.ndarray]:
    """A trained critic: log odds that crops are real."""
    graph, state = nnx.split(Critic(nnx.Rngs(seed)))
    rng = np.random.default_rng(seed)
    weight = np.where(truth, 0.5 / truth.mean(), 0.5 / (~truth).mean()).astype(np.float32)
    steps = epochs * (len(crops) // batch)
    optimiser = optax.adamw(optax.cosine_onecycle_schedule(steps, 3e-3), weight_decay=1e-3)

    @jax.jit
    def step(state: Any, memory: Any, x: Array, y: Array, w: Array) -> tuple[Any, Any]:
        def loss(state: Any) -> Array:
            return (w * optax.sigmoid_binary_cross_entropy(nnx.merge(graph, state)(x), y)).mean()

        updates, memory = optimiser.update(jax.grad(loss)(state), memory, state)
        return optax.apply_updates(state, updates), memory

    @jax.jit
    def evaluate(state: Any, x: Array) -> Array:
        return nnx.merge(graph, state)(x)

    memory = optimiser.init(state)
    for _ in range(epochs):
        order = rng.permutation(len(crops))
        for rows in order[: len(crops) // batch * batch].reshape(-1, batch):
            turned = np.stack([turn_cube(crops[row], int(rng.integers(24))) for row in rows])
            state, memory = step(state, memory, turned, truth[rows].astype(np.float32), weight[rows])

    def score(unseen: np.ndarray) -> np.ndarray:
        padded = np.pad(unseen, [(0, -len(unseen) % batch), *[(0, 0)] * 3])
        parts = [np.asarray(evaluate(state, part)) for part in padded.reshape(-1, batch, *unseen.shape[1:])]
        return np.concatenate(parts)[: len(unseen)]

    return score


def train_logistic(features: np.ndarray, truth: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Log odds by a ridge logistic regression on standardised features, by Newton's method."""
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-9

    def design(x: np.ndarray) -> np.ndarray:
        z = np.clip((x - mean) / spread, -4, 4)
        return np.concatenate([np.ones((len(z), 1)), z, z**2], axis=1)

    x, w = design(features), np.zeros(1 + 2 * features.shape[1])
    for _ in range(12):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -20, 20)))
        ridge = np.diag(np.r_[0.0, np.full(len(w) - 1, 10.0)])
        w -= np.linalg.solve(x.T @ (x * (p * (1 - p))[:, None]) + ridge, x.T @ (p - truth) + ridge @ w)
    return lambda unseen: design(unseen) @ w


def area_under_curve(score: np.ndarray, truth: np.ndarray) -> float:
    """Probability that a real crop scores higher than a simulated one."""
    ranks = rankdata(score)
    positives, negatives = truth.sum(), (~truth).sum()
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


if __name__ == "__main__":
    main()
