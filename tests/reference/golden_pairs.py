"""Model–reference pairs that other programs judged: made from 1AKE, 1UBI and seeds, bad models included."""

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from deepmm_jax.structure.chain import BACKBONE, Chain
from deepmm_jax.structure.read import read_chains
from deepmm_jax.structure.write import calpha_chain


ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Pair:
    """A model and the reference it is compared with; `paired` tells whether their sequences correspond."""

    name: str
    model: list[Chain]
    reference: list[Chain]
    paired: bool = True


@cache
def kinase() -> Chain:
    """1AKE chain A: 214 residues, helices and sheets."""
    (chain,) = read_chains(ROOT / "examples" / "1ake_A.pdb.gz")
    return chain


@cache
def ubiquitin() -> Chain:
    """1UBI: 76 residues."""
    (chain,) = read_chains(ROOT / "tests" / "golden" / "structures" / "1ubi_A.pdb.gz")
    return chain


def golden_pairs() -> list[Pair]:
    """All pairs; coordinates are whole thousandths of an Å, as a PDB file holds them."""
    a, u = kinase(), ubiquitin()
    trace = calpha_only(a)
    half = residues(a, np.arange(120))
    second = named(moved(a, Rotation.from_rotvec([0.4, -0.9, 1.3]), [45.0, 10.0, -20.0]), "B")
    small = named(moved(u, Rotation.from_rotvec([1.0, 0.2, 0.1]), [-25.0, 20.0, -30.0]), "U")
    pairs = [
        Pair("itself", [a], [a]),
        Pair("calpha only", [trace], [a]),
        Pair("backbone only", [backbone(a)], [a]),
        Pair("noise 0.5", [noise(a, 0.5, 1)], [a]),
        Pair("noise 1.5", [noise(a, 1.5, 2)], [a]),
        Pair("noise 3 of calpha", [noise(trace, 3.0, 3)], [a]),
        Pair("drift", [drift(trace, 0.35, 4)], [a]),
        Pair("displaced 1.5", [moved(a, Rotation.identity(), [0.9, -0.8, 0.9])], [a]),
        Pair("turned away", [moved(a, Rotation.from_rotvec([0.5, 2.0, -1.0]), [30.0, -12.0, 8.0])], [a]),
        Pair("register +1", [register_shift(a, 1)], [a]),
        Pair("register -4 in a part", [register_shift(a, -4, slice(60, 150))], [a]),
        Pair("reversed", [reversed_trace(a)], [a]),
        Pair("mirrored", [replace(a, positions=a.positions * np.array([-1, 1, 1], np.float32))], [a]),
        Pair("domain moved", [domain_moved(a, np.arange(118, 161), 50.0)], [a]),
        Pair("wrong tail", [wrong_tail(a, 140, 5)], [a]),
        Pair("wrong trace", [crossed(a, 40, 170)], [a]),
        Pair("collapsed ends", [calpha_only(residues(a, np.r_[0:30, 190:214]))], [a]),
        Pair("first half", [half], [a]),
        Pair("every third residue lost", [residues(a, np.flatnonzero(np.arange(214) % 3))], [a]),
        Pair("more than the reference", [a], [half]),
        Pair("numbering changed", [replace(noise(a, 0.8, 6), numbers=a.numbers + 500)], [a]),
        Pair("another sequence", [renamed(noise(a, 0.4, 7), "A" * 214)], [a], paired=False),
        Pair("mutated", [mutated(noise(a, 0.6, 8), 0.3, 9)], [a]),
        Pair("another protein", [overlaid(u, a)], [a], paired=False),
        Pair("two chains", [noise(a, 0.7, 10), noise(second, 1.2, 11)], [a, second]),
        Pair("one chain of two", [noise(second, 0.7, 12)], [a, second]),
        Pair("three chains", [noise(a, 0.4, 13), drift(second, 0.1, 14), noise(small, 1.0, 15)], [a, second, small]),
        Pair("ubiquitin, noise 1", [noise(u, 1.0, 16)], [u]),
        Pair("ubiquitin, register +2", [register_shift(u, 2)], [u]),
        Pair("ubiquitin, random walk", [walk(u, 17)], [u]),
        Pair("ubiquitin, tail moved", [domain_moved(u, np.arange(60, 76), 80.0)], [u]),
    ]  # fmt: skip
    return [replace(p, model=[rounded(c) for c in p.model], reference=[rounded(c) for c in p.reference]) for p in pairs]


def fingerprint(chains: list[Chain]) -> list[float]:
    """Number of atoms, their mean position and root mean square distance from it, Å: the same input gives the same."""
    positions = np.concatenate([chain.positions for chain in chains]).astype(np.float64)
    spread = np.sqrt(((positions - positions.mean(axis=0)) ** 2).sum(axis=1).mean())
    return [float(len(positions)), *(round(float(x), 3) for x in (*positions.mean(axis=0), spread))]


def residues(chain: Chain, keep: np.ndarray) -> Chain:
    """Some residues of a chain."""
    place = np.full(len(chain), -1)
    place[keep] = np.arange(len(keep))
    rows = np.flatnonzero(place[chain.residue_of_atom] >= 0)
    chain = keep_atoms(chain, rows)
    return replace(
        chain,
        sequence="".join(chain.sequence[i] for i in keep),
        numbers=chain.numbers[keep],
        residue_of_atom=place[chain.residue_of_atom].astype(np.int32),
        full_sequence=None,
        register=None,
    )


def backbone(chain: Chain) -> Chain:
    """N, CA, C and O alone."""
    return keep_atoms(chain, np.flatnonzero([name in BACKBONE for name in chain.atom_names]))


def calpha_only(chain: Chain) -> Chain:
    """Cα alone, under the numbers of the chain."""
    trace = calpha_chain(chain.name, chain.sequence, chain.calpha)
    return replace(trace, numbers=chain.numbers, full_sequence=None, register=None)


def moved(chain: Chain, turn: Rotation, by: list[float]) -> Chain:
    """Turned about its middle, then displaced (Å)."""
    middle = chain.positions.mean(axis=0, dtype=np.float64)
    return replace(chain, positions=(turn.apply(chain.positions - middle) + middle + by).astype(np.float32))


def overlaid(chain: Chain, other: Chain) -> Chain:
    """With its middle where that of another chain is."""
    return moved(chain, Rotation.identity(), list(other.positions.mean(axis=0) - chain.positions.mean(axis=0)))


def named(chain: Chain, name: str) -> Chain:
    """Under another name."""
    return replace(chain, name=name)


def renamed(chain: Chain, sequence: str) -> Chain:
    """Under other letters, the atoms staying."""
    return replace(chain, sequence=sequence, full_sequence=None, register=None)


def mutated(chain: Chain, share: float, seed: int) -> Chain:
    """A share of the letters changed for others."""
    rng = np.random.default_rng(seed)
    letters = np.array(list(chain.sequence))
    which = rng.random(len(letters)) < share
    letters[which] = rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), which.sum())
    return renamed(chain, "".join(letters))


def noise(chain: Chain, deviation: float, seed: int) -> Chain:
    """Residues shifted as wholes by normal deviates of this size on each axis (Å)."""
    shifts = np.random.default_rng(seed).normal(scale=deviation, size=(len(chain), 3))
    return _shifted(chain, shifts)


def drift(chain: Chain, deviation: float, seed: int) -> Chain:
    """Errors that add up along the chain."""
    steps = np.random.default_rng(seed).normal(scale=deviation, size=(len(chain), 3))
    return _shifted(chain, np.cumsum(steps, axis=0))


def register_shift(chain: Chain, by: int, part: slice = slice(None)) -> Chain:
    """A Cα trace in which residue i stands where residue i + `by` should; ends without a place are left out."""
    index = np.arange(len(chain))
    index[part] += by
    built = (index >= 0) & (index < len(chain))
    positions = np.full((len(chain), 3), np.nan, np.float32)
    positions[built] = chain.calpha[index[built]]
    return _trace(chain, positions)


def reversed_trace(chain: Chain) -> Chain:
    """A Cα trace that runs the other way."""
    return _trace(chain, chain.calpha[::-1])


def crossed(chain: Chain, first: int, last: int) -> Chain:
    """A Cα trace that runs through the stretch between two residues backwards."""
    positions = chain.calpha.copy()
    positions[first:last] = positions[first:last][::-1]
    return _trace(chain, positions)


def domain_moved(chain: Chain, domain: np.ndarray, degrees: float) -> Chain:
    """Some residues turned about the first of their Cα."""
    rows = np.isin(chain.residue_of_atom, domain)
    pivot = chain.calpha[domain[0]].astype(np.float64)
    turn = Rotation.from_rotvec(np.radians(degrees) * np.array([2.0, 3.0, 6.0]) / 7)
    positions = chain.positions.astype(np.float64)
    positions[rows] = turn.apply(positions[rows] - pivot) + pivot
    return replace(chain, positions=positions.astype(np.float32))


def wrong_tail(chain: Chain, start: int, seed: int) -> Chain:
    """A Cα trace that goes astray from one residue on."""
    positions = chain.calpha.copy()
    positions[start:] = positions[start - 1] + _walk(len(chain) - start, seed)
    return _trace(chain, positions)


def walk(chain: Chain, seed: int) -> Chain:
    """A Cα trace that has nothing to do with the chain but its middle and its bonds of 3.8 Å."""
    steps = _walk(len(chain), seed)
    return _trace(chain, (steps - steps.mean(axis=0) + chain.calpha.mean(axis=0)).astype(np.float32))


def rounded(chain: Chain) -> Chain:
    """Coordinates as a PDB file would hold them."""
    return replace(chain, positions=np.round(chain.positions.astype(np.float64), 3).astype(np.float32))


def _shifted(chain: Chain, shifts: np.ndarray) -> Chain:
    return replace(chain, positions=(chain.positions + shifts[chain.residue_of_atom]).astype(np.float32))


def _trace(chain: Chain, positions: np.ndarray) -> Chain:
    return replace(calpha_chain(chain.name, chain.sequence, positions), full_sequence=None, register=None)


def keep_atoms(chain: Chain, rows: np.ndarray) -> Chain:
    """The chain with these of its atoms."""
    return replace(
        chain,
        positions=chain.positions[rows],
        atom_names=tuple(chain.atom_names[a] for a in rows),
        elements=tuple(chain.elements[a] for a in rows),
        residue_of_atom=chain.residue_of_atom[rows],
        b_factors=chain.b_factors[rows],
    )


def _walk(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    steps = np.zeros((n, 3))
    steps[0] = [1.0, 0.0, 0.0]
    for i in range(1, n):
        steps[i] = 0.5 * steps[i - 1] + 0.6 * rng.normal(size=3)
        steps[i] /= np.linalg.norm(steps[i])
    return (3.8 * steps.cumsum(axis=0)).astype(np.float32)


def golden(name: str) -> dict[str, dict[str, Any]]:
    """The figures of another program in tests/golden, by name of the input."""
    return json.loads((ROOT / "tests" / "golden" / f"{name}.json").read_text())["figures"]
