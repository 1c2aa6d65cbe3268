"""Cα positions refined off the grid, on the offset votes of the network and the geometry of a chain.

The paper leaves every Cα on a local dense point, 0.4 Å from the truth at best; it has no such step.
"""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.config import RefinementConfig
from deepmm_jax.evidence.points import interpolate
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.sequence.profile import SequenceProfile


REACH = 3.5
"""Voxels this near to a residue vote on it, Å."""
VOTES = 64
"""Of those voxels, so many with the greatest weight are heard."""
BOND, CIS_BOND, LONGEST_CIS_BOND = 3.8, 2.95, 3.35
"""Å between successive Cα; before a cis-proline; and the length up to which such a bond is taken for one."""
CHORDS = (4.9, 7.3)
"""Å between Cα that are two apart: angles of 80 to 147 degrees between bonds of 3.8 Å."""
HELIX_CHORD = 5.47
"""Å between Cα that are two apart in an alpha helix."""
CLASH_DISTANCE, CLASH_PARTNERS = 3.6, 8
"""Å that residues three or more apart keep, and how many of the nearest are watched."""
UNDIRECTED_SHIFT = ((0.347, 0.0, 0.059), (-0.054, 0.047, 0.255), (0.026, -0.077, 0.256))
"""Where votes that do not know which way the chain runs lie from the Cα, Å: along the chain, outwards and along the
binormal, in Helix, Sheet, Coil. Least squares over the 20 validation chains at 5 Å; the experimental network's votes
on simulated experimental maps of them give the same within 0.1 Å."""
STRAY = 1.5
"""Å from the mean of its votes at which a residue is no longer drawn back harder and harder."""
FULL_LOUDNESS, LOUDNESS_POWER = 4.0, 3
"""Sum of the kernel's weights over the votes for a Cα beyond doubt; and how fast the pull falls with it: the squared
error of a mode grows as this power."""
WIDEST = 1.5
"""Times its width, the kernel begins: a Cα started 1 Å away must hear its own votes."""
TETHER = 1.0
"""Weight of the tether to the start, Å⁻²: it decides where nothing else speaks."""
STILL = 0.1
"""Gradient, Å⁻¹, below which a residue slows down instead of keeping its step."""
LEAST_WEIGHT = 1e-4
"""Votes that are together worth less are silence."""


class Votes(NamedTuple):
    """What the voxels around each residue say; all in Å from the first voxel of the evidence.

    `place` is where a voxel sees the Cα, `weight` how far it is believed, `forward` the difference of its unit vectors
    to the next and to the previous Cα, `state` its probabilities of Helix, Sheet, Coil.
    """

    place: Float[Array, "k n m 3"]
    weight: Float[Array, "k n m"]
    forward: Float[Array, "k n m 3"]
    state: Float[Array, "k n m 3"]


def refine_models(
    evidence: Evidence, models: CalphaModels, profile: SequenceProfile, config: RefinementConfig
) -> CalphaModels:
    """The same models with their Cα where the evidence and the geometry put them, and `support` anew."""
    if not config.enabled:
        return models
    positions = refine_positions(evidence, models.positions, models.built, profile.letters, config)
    grid = ((positions[models.built] - evidence.origin) / evidence.step).astype(np.float32)
    support = np.zeros_like(models.support)
    support[models.built] = np.clip(interpolate(evidence.calpha, grid), 0, 1)
    return replace(models, positions=positions, support=support)


def refine_positions(
    evidence: Evidence,
    positions: Float[np.ndarray, "k n 3"],
    built: Bool[np.ndarray, "k n"],
    letters: str,
    config: RefinementConfig,
) -> Float[np.ndarray, "k n 3"]:
    """Refined Cα positions in Å of k models of one sequence of n letters; what is not built stays NaN.

    No residue moves by more than `config.max_move`. Votes are those of the offset head, or the voxels themselves
    where a network has none. All models are refined at once; the sizes are padded so that few shapes are compiled.
    """
    k, n = built.shape
    if not built.any():
        return positions
    more_models = 0 if k == 1 else -k % 5
    more_residues = -n % 128
    inside = np.pad(built, ((0, more_models), (0, more_residues)))
    start = np.zeros((*inside.shape, 3), np.float32)
    start[inside] = positions[built] - evidence.origin
    proline = np.pad(np.array([letter == "P" for letter in letters], bool), (0, more_residues))
    votes = gather_votes(evidence, start, inside)
    refined = np.asarray(_refine(jnp.asarray(start), jnp.asarray(inside), jnp.asarray(proline), votes, config=config))
    out = np.full(positions.shape, np.nan, np.float32)
    out[built] = refined[:k, :n][built] + evidence.origin
    return out


def gather_votes(evidence: Evidence, start: Float[np.ndarray, "k n 3"], built: Bool[np.ndarray, "k n"]) -> Votes:
    """The votes of the voxels around each built residue, those of the greatest weight first heard.

    A voxel weighs its Cα probability times exp(-|offset|²/4): far voxels see the Cα less sharply.
    """
    shape = np.array(evidence.calpha.shape)
    reach = np.ceil(REACH / evidence.step).astype(int)
    around = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    around = around[((around * evidence.step) ** 2).sum(axis=1) <= REACH**2]

    voxels = np.rint(start[built] / evidence.step).astype(int)[:, None] + around
    outside = ((voxels < 0) | (voxels >= shape)).any(axis=-1)
    rows = np.ravel_multi_index(tuple(np.moveaxis(np.clip(voxels, 0, shape - 1), -1, 0)), evidence.calpha.shape)
    weight = np.where(outside, 0, evidence.calpha.reshape(-1)[rows])
    if evidence.offset is not None:
        weight = weight * np.exp(-np.square(evidence.offset.astype(np.float32)).sum(axis=-1).reshape(-1)[rows] / 4)
    heard = np.argpartition(-weight, min(VOTES, len(around)) - 1, axis=1)[:, :VOTES]
    rows, weight = (np.take_along_axis(array, heard, axis=1) for array in (rows, weight))

    def of_residues(values: np.ndarray) -> Array:
        out = np.zeros((*built.shape, *values.shape[1:]), np.float32)
        out[built] = values
        return jnp.asarray(out)

    def at(volume: np.ndarray | None) -> np.ndarray:
        if volume is None:
            return np.zeros((*rows.shape, 3), np.float32)
        return volume.reshape(-1, volume.shape[-1])[rows].astype(np.float32)

    place = np.stack(np.unravel_index(rows, evidence.calpha.shape), axis=-1) * evidence.step + at(evidence.offset)
    directions = None if evidence.directions is None else evidence.directions
    forward = at(None) if directions is None else at(directions)[..., 3:] - at(directions)[..., :3]
    return Votes(
        of_residues(place), of_residues(weight), of_residues(forward), of_residues(at(evidence.secondary_structure))
    )


class Heard(NamedTuple):
    """The votes near each residue in short: their mean (Å, axes of Votes), how loud they are, and what they say."""

    mean: Float[Array, "n 3"]
    loudness: Float[Array, "n"]
    forward: Float[Array, "n 3"]
    state: Float[Array, "n 3"]


def hear(votes: Votes, positions: Float[Array, "n 3"], width: Float[Array, ""]) -> Heard:
    """The mean of the votes near each position, kernel exp(-r²/2 width²), and what the votes near that mean say.

    A residue that no vote reaches stays where it is, with loudness 0.
    """

    def kernel(centre: Array) -> tuple[Array, Array]:
        squared = jnp.square(votes.place - centre[:, None]).sum(axis=-1)
        weight = votes.weight * jnp.exp(-squared / (2 * width**2))
        total = weight.sum(axis=1)
        return weight / jnp.maximum(total, LEAST_WEIGHT)[:, None], jnp.where(total > LEAST_WEIGHT, total, 0.0)

    share, loudness = kernel(positions)
    mean = jnp.where((loudness > 0)[:, None], jnp.einsum("nm,nmd->nd", share, votes.place), positions)
    share, loudness = kernel(mean)
    forward, state = (jnp.einsum("nm,nmd->nd", share, field) for field in (votes.forward, votes.state))
    return Heard(mean, loudness, forward, state)


def direction_shift(positions: Float[Array, "n 3"], joined: Bool[Array, "n"], heard: Heard) -> Float[Array, "n 3"]:
    """How far the votes lie from the Cα because they do not know which way the chain runs, Å; 0 where they do.

    A network that is unsure of the direction sees the Cα between those of the chain and of its reverse: in a helix
    0.35 Å further along the chain, in a strand 0.26 Å beside it. The model knows the direction. How unsure the votes
    are, the difference of their vectors to the next and the previous Cα tells: along the chain it is as long as the
    model's own where they are sure, and 0 where they are not. Without a direction head all of it is unsure. The end
    of a piece has no axes, and is not shifted.
    """
    before, after = jnp.roll(positions, 1, axis=0), jnp.roll(positions, -1, axis=0)
    chord = after - before
    along = _unit(chord)
    bend = 2 * positions - before - after
    outwards = _unit(bend - (bend * along).sum(axis=-1, keepdims=True) * along)
    axes = jnp.stack([along, outwards, jnp.cross(along, outwards)], axis=1)
    known = BOND * (heard.forward * along).sum(axis=-1) / jnp.maximum(_norm(chord), CHORDS[0])
    unsure = jnp.clip(1 - known, 0, 1) * (joined & jnp.roll(joined, 1))
    return unsure[:, None] * jnp.einsum("ns,sa,nad->nd", heard.state, jnp.array(UNDIRECTED_SHIFT), axes)


class Model(NamedTuple):
    """One model: where it started (Å), what is built, where a bond follows, and before which bond a proline stands."""

    start: Float[Array, "n 3"]
    built: Bool[Array, "n"]
    joined: Bool[Array, "n"]
    to_proline: Bool[Array, "n"]
    partners: Int[Array, "n p"]


def energy(positions: Float[Array, "n 3"], model: Model, heard: Heard, config: RefinementConfig) -> Float[Array, ""]:
    """Energy of one model: votes, bonds, angles, helices, clashes, and a weak tether to the start; weights in Å⁻².

    Every term is quadratic near its rest and grows slowly far from it, so that no wrong residue drags its neighbours.
    """
    shift = direction_shift(lax.stop_gradient(positions), model.joined, heard)
    stray = jnp.square(positions + shift - heard.mean).sum(axis=-1)
    certainty = (heard.loudness / FULL_LOUDNESS) ** LOUDNESS_POWER * model.built
    total = config.votes * _soft(stray, STRAY) @ certainty

    bond = _norm(jnp.roll(positions, -1, axis=0) - positions)
    heard_bond = _norm(jnp.roll(heard.mean, -1, axis=0) - heard.mean)
    rest = jnp.where(model.to_proline & (heard_bond < LONGEST_CIS_BOND), CIS_BOND, BOND)
    total += config.bonds * _soft(jnp.square(bond - rest), 1.0) @ model.joined

    triple = model.joined & jnp.roll(model.joined, -1)
    chord = _norm(jnp.roll(positions, -2, axis=0) - positions)
    excess = jnp.maximum(CHORDS[0] - chord, 0) + jnp.maximum(chord - CHORDS[1], 0)
    total += config.angles * _soft(jnp.square(excess), 1.0) @ triple
    helix = heard.state[:, 0]
    helix = jnp.minimum(jnp.minimum(helix, jnp.roll(helix, -1)), jnp.roll(helix, -2))
    total += config.helices * _soft(jnp.square(chord - HELIX_CHORD), 0.4) @ (helix * triple)

    apart = _norm(positions[:, None] - positions[model.partners])
    overlap = jnp.square(jnp.maximum(CLASH_DISTANCE - apart, 0)) * (model.partners >= 0)
    total += config.clashes * overlap.sum() / 4  # every pair is met twice
    return total + TETHER * jnp.square(positions - model.start).sum(axis=-1) @ model.built / 2


def descend(
    positions: Float[Array, "n 3"], model: Model, heard: Heard, config: RefinementConfig
) -> Float[Array, "n 3"]:
    """Adam with one step length a residue, falling from 0.05 Å to 0; no residue leaves the ball around its start."""

    def step(state: tuple[Array, Array, Array], count: Array) -> tuple[tuple[Array, Array, Array], None]:
        positions, mean, square = state
        gradient = jax.grad(energy)(positions, model, heard, config)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.98 * square + 0.02 * jnp.square(gradient).mean(axis=-1, keepdims=True)
        length = 0.05 * jnp.cos(jnp.pi / 2 * count / config.steps) / (1 - 0.9**count)
        moved = positions - length * mean / (jnp.sqrt(square / (1 - 0.98**count)) + STILL)
        return (within(moved, model.start, config.max_move), mean, square), None

    still = jnp.zeros_like(positions)
    (positions, _, _), _ = lax.scan(step, (positions, still, still[:, :1]), jnp.arange(1.0, config.steps + 1))
    return positions


def clash_partners(positions: Float[Array, "n 3"], built: Bool[Array, "n"]) -> Int[Array, "n p"]:
    """The nearest built residues three or more apart in sequence that may come too near; -1 for none."""
    index = jnp.arange(len(positions))
    apart = (jnp.abs(index[:, None] - index[None]) >= 3) & built[:, None] & built[None]
    squared = jnp.square(positions[:, None] - positions[None]).sum(axis=-1)
    nearness, partners = lax.top_k(jnp.where(apart, -squared, -jnp.inf), CLASH_PARTNERS)
    return jnp.where(jnp.isfinite(nearness), partners, -1)


@partial(jax.jit, static_argnames="config")
def _refine(
    start: Float[Array, "k n 3"],
    built: Bool[Array, "k n"],
    proline: Bool[Array, "n"],
    votes: Votes,
    *,
    config: RefinementConfig,
) -> Float[Array, "k n 3"]:
    """Rounds of hearing the votes and minimising the energy, every model by itself."""

    def refine_one(start: Array, built: Array, votes: Votes) -> Array:
        joined = (built & jnp.roll(built, -1)).at[-1].set(False)
        model = Model(start, built, joined, jnp.roll(proline, -1), clash_partners(start, built))

        def hear_and_descend(positions: Array, width: Array) -> tuple[Array, None]:
            return descend(positions, model, hear(votes, positions, width), config), None

        return lax.scan(hear_and_descend, start, config.width * jnp.geomspace(WIDEST, 1.0, config.rounds))[0]

    return jax.vmap(refine_one)(start, built, votes)


def within(positions: Float[Array, "n 3"], centre: Float[Array, "n 3"], radius: float) -> Float[Array, "n 3"]:
    """Positions, those further than `radius` from their centre drawn back to it."""
    move = positions - centre
    return centre + move * jnp.minimum(1.0, radius / _norm(move))[:, None]


def _soft(squared: Array, scale: float) -> Array:
    """Half of a squared deviation as long as it is small beside `scale`², its logarithm beyond."""
    return scale**2 / 2 * jnp.log1p(squared / scale**2)


def _norm(vector: Array) -> Array:
    """Length, with a gradient at 0 too."""
    return jnp.sqrt(jnp.square(vector).sum(axis=-1) + 1e-9)


def _unit(vector: Array) -> Array:
    return vector / _norm(vector)[..., None]
