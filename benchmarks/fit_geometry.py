"""Derive the Ramachandran contours, the χ densities and the rotamer library from training chains.

    python benchmarks/fit_geometry.py

Taken are the chains of the training split that are X-ray structures at 2.0 Å or better, and of them the residues that
clash with none and whose B factors are all below 40 Å² (whatever they are where the file has no B factors). Densities
are kernel estimates on periodic grids whose kernels widen where data are scarce (Abramson 1982). Writes
`ramachandran.npz` in `deepmm_jax/structure`, `rotamer_densities.npz` in `assessment`, `rotamers.npz` in `allatom`;
then prints what the contours say of chains that are not in the training split. The layout of the library is told at
`rotamer_library`.
"""

import argparse
import csv
import os
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

import deepmm_jax
from deepmm_jax.assessment import rotamers
from deepmm_jax.assessment.clashes import clashes
from deepmm_jax.constants import AMINO_ACIDS
from deepmm_jax.structure import ramachandran
from deepmm_jax.structure.ramachandran import CLASSES, periodic_values, residue_classes
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.residue_atoms import (
    CHI_COUNT,
    LETTERS,
    MOST_CHI,
    SYMMETRIC_CHI,
    backbone_torsions,
    residue_atoms,
    side_chain_torsions,
)


RESOLUTION, B_FACTOR = 2.0, 40.0
"""Å and Å²."""

RAMACHANDRAN_STEP, CHI_STEP, LIBRARY_STEP = 3, 5, 10
"""Degrees between the nodes of the tables."""
KERNEL = 19.0
"""Standard deviation of a kernel over the sixth root of the number of data, degrees (Scott's rule, two dimensions)."""
NARROWEST, RAMACHANDRAN_WIDEST, CHI_WIDEST, WIDTHS = 0.6, 2.2, 4.0, 9
"""Kernels as multiples of that, and how many widths there are from narrowest to widest.

Wider ones for φ and ψ would spread the few errors among the data: 4.0 leaves 45 % of the general map allowed for 38 %,
while outliers among other chains stay 0.1 %.
"""
FLOOR = 1e-3
"""Density over that of even angles that is added everywhere to those of χ."""

LIBRARY_KERNEL = 20.0
"""Degrees of φ and ψ over which rotamers are counted together."""
PRIOR = 10.0
"""Residues that the rotamer's overall share counts for at every φ, ψ."""
RAREST = 3
"""Residues that a rotamer was seen in, at least."""
SPREAD, SPREAD_WEIGHT = 12.0, 5.0
"""Degrees: spread of χ before any is seen, and for how many residues it counts."""
PENALTY_UNIT = 16
"""Steps of a penalty in one unit of -log p."""


def good_residues(data: Path, splits: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Type, class, (φ, ψ, ω) and χ of the good residues; angles in degrees."""
    found = []
    with (data / "structures" / "MANIFEST.csv").open() as stream:
        rows = [
            row
            for row in csv.DictReader(stream)
            if row["split"] in splits and row["method"].startswith("X-RAY") and float(row["resolution"]) <= RESOLUTION
        ]
    for row in rows:
        (chain,) = read_chains(data / "structures" / f"{row['name']}.pdb.gz")
        atoms = residue_atoms([chain])
        highest = np.zeros(len(chain))
        np.maximum.at(highest, chain.residue_of_atom, chain.b_factors)
        good = highest < B_FACTOR if row["b_factors"] == "yes" else np.ones(len(chain), bool)
        good[clashes(atoms)[0].ravel()] = False
        torsions = (backbone_torsions(atoms), side_chain_torsions(atoms))
        found.append([x[good] for x in (atoms.letters, residue_classes(atoms.letters), *torsions)])
    letters, classes, backbone, chi = (np.concatenate(part) for part in zip(*found))
    print(f"{'+'.join(splits)}: {len(rows)} chains, {len(letters)} good residues")
    return letters, classes, backbone, chi


def counts(angles: np.ndarray, size: int) -> np.ndarray:
    """Pairs of angles (n, 2) counted at the nearest nodes."""
    nodes = np.round((angles + 180.0) * size / 360.0).astype(int) % size
    grid = np.zeros((size, size))
    np.add.at(grid, tuple(nodes.T), 1.0)
    return grid


def smooth_density(angles: np.ndarray, step: int, n: int, widest: float) -> np.ndarray:
    """Density over that of even angles of pairs of angles (k, 2), at nodes `step` degrees apart; n independent data."""
    size = 360 // step
    width = KERNEL * n ** (-1 / 6) / step
    pilot = gaussian_filter(counts(angles, size), width, mode="wrap")
    here = periodic_values(np.log(pilot + 1e-9), *angles.T)
    relative = np.clip(np.exp((here.mean() - here) / 2), NARROWEST, widest)
    levels = np.geomspace(NARROWEST, widest, WIDTHS)
    level = np.abs(np.log(relative)[:, None] - np.log(levels)).argmin(axis=1)
    total = sum(
        gaussian_filter(counts(angles[level == i], size), width * levels[i], mode="wrap") for i in np.unique(level)
    )
    return np.asarray(total / total.mean())


def fit_ramachandran(classes: np.ndarray, backbone: np.ndarray) -> None:
    log_density, levels = [], []
    both = np.isfinite(backbone[:, :2]).all(axis=1)
    for kind in range(len(CLASSES)):
        angles = backbone[both & (classes == kind), :2]
        density = smooth_density(angles, RAMACHANDRAN_STEP, len(angles), RAMACHANDRAN_WIDEST)
        table = np.log(np.maximum(density, 1e-7)).astype(np.float16)
        log_density.append(table)
        levels.append(
            np.quantile(
                periodic_values(table.astype(float), *angles.T),
                1 - np.array([ramachandran.FAVOURED, ramachandran.ALLOWED]),
            )
        )
        area = [(table > level).mean() for level in levels[-1]]
        print(f"{CLASSES[kind]}: {len(angles)} residues; area favoured {area[0]:.3f}, not outliers {area[1]:.3f}")
    favoured, outlier = np.array(levels, np.float32).T
    np.savez_compressed(ramachandran.TABLE, log_density=np.stack(log_density), favoured=favoured, outlier=outlier)


def both_halves(letter: str, chi: np.ndarray) -> np.ndarray:
    """Side chains (n, 4) with those again in which the symmetric χ is turned by half."""
    if letter not in SYMMETRIC_CHI:
        return chi
    turned = chi.copy()
    k = SYMMETRIC_CHI[letter]
    turned[:, k] = (turned[:, k] + 360.0) % 360.0 - 180.0
    return np.concatenate([chi, turned])


def fit_densities(letters: np.ndarray, chi: np.ndarray) -> None:
    tables, levels = {}, np.full(len(LETTERS), -np.inf, np.float32)
    chi = rotamers.with_second_chi(letters, chi)
    for kind in np.flatnonzero(CHI_COUNT > 0):
        letter, n_pairs = LETTERS[kind], max(CHI_COUNT[kind] - 1, 1)
        own = chi[letters == kind]
        own = own[np.isfinite(own[:, : n_pairs + 1]).all(axis=1)]
        seen = both_halves(letter, own)
        pairs = []
        for k in range(n_pairs):
            density = smooth_density(seen[:, k : k + 2], CHI_STEP, len(own), CHI_WIDEST) + FLOOR
            if CHI_COUNT[kind] == 1:
                density[:] = density.mean(axis=1, keepdims=True)
            if k:
                density /= density.mean(axis=1, keepdims=True)
            pairs.append(np.log(density).astype(np.float16))
        tables[letter] = np.stack(pairs)
        values = rotamers.joint_density(tables[letter].astype(float), own)
        levels[kind] = np.quantile(values, rotamers.OUTSIDE)
        print(f"{letter}: {len(own)} side chains")
    np.savez_compressed(rotamers.TABLE, levels=levels, **tables)


def chi_bins(letter: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Centres of the bins of every χ of a residue type, and the period of each χ; degrees.

    χ about sp3 atoms have three; those that turn a flat group have bins of 60°, over half a turn if it is symmetric.
    Prolines are told apart by the sign of χ1 alone.
    """
    n = int(CHI_COUNT[LETTERS.index(letter)])
    periods = np.full(n, 360.0)
    if letter == "P":
        return [np.array([-90.0, 90.0]), np.array([0.0])], periods
    centres = [np.array([-60.0, 60.0, 180.0])] * n
    if letter in SYMMETRIC_CHI:
        periods[-1] = 180.0
        centres[-1] = np.arange(3) * 60.0 + (0.0 if letter in "DE" else 30.0)
    elif letter in "NQHW":
        centres[-1] = np.arange(6) * 60.0 - 150.0
    return centres, periods


def wrapped(angles: np.ndarray, period: np.ndarray | float) -> np.ndarray:
    """Angles in half a period around 0."""
    return (angles + period / 2) % period - period / 2


def rotamer_library(letters: np.ndarray, backbone: np.ndarray, chi: np.ndarray) -> dict[str, np.ndarray]:
    """A backbone-dependent rotamer library as arrays by residue type (order of `AMINO_ACIDS`) and rotamer.

    Rotamers of a type come by their overall share, the commonest first, and are padded to the same number; `mask` tells
    the real ones. Alanine and glycine have one without χ.

    - `mask` (20, R) bool; `share` (20, R) float32: overall probabilities, 0 in the padding;
    - `chi_mean`, `chi_spread` (20, R, 4) float16, degrees: mean in [-180, 180) and standard deviation; 0 without χ;
    - `chi_count` (20,) int8; `chi_period` (20, 4) float16: 180 where half a turn changes nothing, else 360;
    - `penalty` (20, R, 36, 36) uint8: -log p of the rotamer in steps of 1/16, at φ and ψ from -180° in steps of 10°
      (nodes, so that values in between are interpolated on the torus); 255 in the padding. p at a node is the share
      among residues nearby (a Gaussian of 20° in φ and ψ) and ten more that have the overall shares.
    """
    size = 360 // LIBRARY_STEP
    kinds = []
    for kind, letter in enumerate(AMINO_ACIDS):
        n = int(CHI_COUNT[kind])
        centres, periods = chi_bins(letter) if n else ([], np.zeros(0))
        rows = np.flatnonzero((letters == kind) & np.isfinite(chi[:, :n]).all(axis=1))
        index, away = np.zeros(len(rows), int), []
        for k, bins in enumerate(centres):
            from_each = wrapped(chi[rows, k][:, None] - bins, periods[k])
            nearest = np.abs(from_each).argmin(axis=1)
            index = index * len(bins) + nearest
            away.append((bins[nearest], from_each[np.arange(len(rows)), nearest]))
        seen, number = np.unique(index, return_counts=True)
        order = np.argsort(-number, kind="stable")
        seen = seen[order][number[order] >= RAREST]
        members = [np.flatnonzero(index == each) for each in seen]
        share = np.array([len(m) for m in members]) / sum(len(m) for m in members)
        mean, spread = np.zeros((2, len(members), MOST_CHI))
        for r, m in enumerate(members):
            for k, (centre, off) in enumerate(away):
                mean[r, k] = wrapped(centre[m[0]] + off[m].mean(), 360.0)
                spread[r, k] = np.sqrt((off[m].var() * len(m) + SPREAD_WEIGHT * SPREAD**2) / (len(m) + SPREAD_WEIGHT))
        angles = [backbone[rows[m], :2] for m in members]
        grids = np.stack([counts(a[np.isfinite(a).all(axis=1)], size) for a in angles])
        # The kernel is 1 at its centre: a residue at the very node counts as one.
        sigma = LIBRARY_KERNEL / LIBRARY_STEP
        near = gaussian_filter(grids, (0, sigma, sigma), mode="wrap") * 2 * np.pi * sigma**2
        probability = (near + PRIOR * share[:, None, None]) / (near.sum(axis=0) + PRIOR)
        kinds.append((share, mean, spread, probability, np.pad(periods, (0, MOST_CHI - n))))
        print(f"{letter}: {len(rows)} residues, {len(members)} rotamers")
    most = max(len(share) for share, *_ in kinds)

    def padded(part: int, fill: float = 0.0) -> np.ndarray:
        return np.stack(
            [
                np.pad(k[part], [(0, most - len(k[0]))] + [(0, 0)] * (k[part].ndim - 1), constant_values=fill)
                for k in kinds
            ]
        )

    share = padded(0)
    penalty = np.round(-PENALTY_UNIT * np.log(np.maximum(padded(3), 1e-9)))
    return {
        "mask": share > 0,
        "share": share.astype(np.float32),
        "chi_mean": padded(1).astype(np.float16),
        "chi_spread": padded(2).astype(np.float16),
        "chi_count": CHI_COUNT[: len(AMINO_ACIDS)].astype(np.int8),
        "chi_period": np.stack([k[4] for k in kinds]).astype(np.float16),
        "penalty": np.minimum(penalty, 255).astype(np.uint8),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("DEEPMM_JAX_DATA"), help="folder of structures/")
    data = parser.parse_args().data
    if data is None:
        parser.error("give --data, or set DEEPMM_JAX_DATA")
    letters, classes, backbone, chi = good_residues(data, ("train",))
    fit_ramachandran(classes, backbone)
    for label, chosen in (("proline", letters == LETTERS.index("P")), ("others", letters != LETTERS.index("P"))):
        omega = backbone[chosen, 2]
        print(f"cis before {label}: {100 * (np.abs(omega[np.isfinite(omega)]) < 30).mean():.3f} %")
    fit_densities(letters, chi)
    library = Path(deepmm_jax.__file__).parent / "allatom" / "rotamers.npz"
    library.parent.mkdir(exist_ok=True)
    np.savez_compressed(library, **rotamer_library(letters, backbone, chi))
    for path in (ramachandran.TABLE, rotamers.TABLE, library):
        print(f"{path.name}: {path.stat().st_size / 1024:.0f} kB")
    letters, classes, backbone, chi = good_residues(data, ("val", "test"))
    density = ramachandran.log_densities(classes, *backbone[:, :2].T)
    table = ramachandran.ramachandran_table()
    for kind in range(len(CLASSES)):
        own = density[np.isfinite(density) & (classes == kind)]
        inside, outside = (own >= table.favoured[kind]).mean(), (own < table.outlier[kind]).mean()
        print(f"{CLASSES[kind]}: {len(own)} residues, {100 * inside:.2f} % favoured, {100 * outside:.2f} % outliers")
    values = rotamers.log_rotamer_densities(letters, chi)
    low = values < rotamers.rotamer_densities()["levels"][letters]
    for kind in np.flatnonzero(CHI_COUNT > 0):
        own = low[np.isfinite(values) & (letters == kind)]
        print(f"{LETTERS[kind]}: {len(own)} side chains, {100 * own.mean():.2f} % outliers")
    print(f"all: {100 * low[np.isfinite(values)].mean():.2f} % rotamer outliers")


if __name__ == "__main__":
    main()
