"""Cα candidates: places where the evidence may have a Cα, two to three a residue, so that few true ones are missed.

The paper has no such step: there residues stand on local dense points. Candidates are the modes of the network's
offset votes, the peaks of the Cα probability, and main chain that neither of them covers.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.spatial import KDTree

from deepmm_jax.evidence.points import calpha_peaks, interpolate, separate
from deepmm_jax.evidence.volumes import Evidence


VOTE_WIDTH = 0.45
"""Å: width σ of the kernel that finds where votes gather."""
VOTE_GRID = 0.5
"""Å: voxels on which the votes are first summed."""
LEAST_VOTE = 0.02
"""Voxels below this probability have no vote; a mode lower than this share of a high one is none."""
SEPARATION = 0.8
"""Å between candidates from votes."""
LEAST_PEAK, NEW_PEAK = 0.03, 1.0
"""Peaks of the Cα probability above this, so far (Å) from every mode, are candidates too."""
LEAST_MAIN_CHAIN, COVER = 0.15, 1.8
"""Main chain above this, so far (Å) from every candidate, is one."""
MOST_CANDIDATES = 6000
"""Of more, those of the highest Cα and main-chain probability stay: scores of pairs are kept as a table."""


@dataclass(frozen=True, kw_only=True)
class CalphaCandidates:
    """Where a Cα may be: `positions` (m, 3) in Å, and `features` (m, 5) of each, which tell how likely it is.

    Features: log of the votes' height + 0.3, Cα probability, log of the main-chain probability + 0.03, length of the
    offset in Å (at most 3), log of the Cα probability + 0.03.
    """

    positions: Float[np.ndarray, "m 3"]
    features: Float[np.ndarray, "m 5"]

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True, kw_only=True)
class Votes:
    """Where voxels see the Cα, `places` (v, 3) in Å, and how far they are believed, `weights` (v,)."""

    places: Float[np.ndarray, "v 3"]
    weights: Float[np.ndarray, "v"]


def find_candidates(evidence: Evidence) -> CalphaCandidates:
    """The candidates of a map, in no order. A network without offsets is heard by its peaks and main chain only."""
    votes = offset_votes(evidence)
    found = vote_modes(votes) if len(votes.places) else np.zeros((0, 3))
    for further, apart in ((calpha_peaks(evidence, LEAST_PEAK, SEPARATION), NEW_PEAK), (main_chain(evidence), COVER)):
        if len(found) and len(further):
            further = further[KDTree(found).query(further)[0] > apart]
        if len(further):
            found = np.concatenate([found, further[separate(further, -np.arange(len(further), dtype=float), apart)]])
    if len(found) > MOST_CANDIDATES:
        grid = ((found - evidence.origin) / evidence.step).astype(np.float32)
        likely = interpolate(evidence.calpha, grid) + interpolate(evidence.main_chain, grid)
        found = found[np.sort(np.argsort(-likely, kind="stable")[:MOST_CANDIDATES])]
    return CalphaCandidates(positions=found.astype(np.float32), features=candidate_features(evidence, votes, found))


def offset_votes(evidence: Evidence) -> Votes:
    """Every voxel with evidence votes for the Cα where its offset points, the less the farther that is."""
    probability = np.maximum(evidence.main_chain, evidence.calpha)
    here = probability > LEAST_VOTE
    if evidence.offset is None:
        return Votes(places=np.zeros((0, 3)), weights=np.zeros(0))
    offset = evidence.offset[here].astype(np.float64)
    return Votes(
        places=evidence.origin + np.argwhere(here) * evidence.step + offset,
        weights=probability[here].astype(np.float64) * np.exp(-np.square(offset).sum(axis=1) / 4),
    )


def vote_modes(votes: Votes) -> Float[np.ndarray, "k 3"]:
    """Where votes gather, Å: maxima of their smoothed sum on a fine grid, moved by mean shift, high ones first."""
    corner = votes.places.min(axis=0) - 3 * VOTE_WIDTH
    place = (votes.places - corner) / VOTE_GRID
    low = place.astype(int)
    fraction = place - low
    summed = np.zeros(low.max(axis=0) + 2 + int(3 * VOTE_WIDTH / VOTE_GRID) + 1, np.float32)
    for step in np.ndindex(2, 2, 2):
        share = np.where(step, fraction, 1 - fraction).prod(axis=1)
        np.add.at(summed, tuple((low + step).T), votes.weights * share)
    smooth = gaussian_filter(summed, VOTE_WIDTH / VOTE_GRID, truncate=3)
    peaks = corner + np.argwhere((smooth == maximum_filter(smooth, 3)) & (smooth > 0)) * VOTE_GRID
    for _ in range(4):
        _, peaks = gather(votes, peaks)
    height, _ = gather(votes, peaks)
    peaks = peaks[separate(peaks, height, SEPARATION)]
    height, _ = gather(votes, peaks)
    return peaks[height > LEAST_VOTE * np.percentile(height, 90)]


def gather(
    votes: Votes, positions: Float[np.ndarray, "k 3"]
) -> tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k 3"]]:
    """Sum of the kernel over the votes around each position, and their mean place: one step of the mean shift."""
    heard = KDTree(votes.places).query_ball_point(positions, 3 * VOTE_WIDTH)
    row = np.repeat(np.arange(len(positions)), [len(votes_near) for votes_near in heard])
    vote = np.concatenate([np.array(votes_near, int) for votes_near in heard])
    squared = np.square(votes.places[vote] - positions[row]).sum(axis=1)
    kernel = votes.weights[vote] * np.exp(-squared / (2 * VOTE_WIDTH**2))
    height = np.bincount(row, kernel, len(positions)).astype(float)  # of no votes it counts whole numbers
    mean = np.stack([np.bincount(row, kernel * votes.places[vote, axis], len(positions)) for axis in range(3)], axis=1)
    return height, np.where(height[:, None] > 0, mean / np.maximum(height, 1e-9)[:, None], positions)


def main_chain(evidence: Evidence) -> Float[np.ndarray, "k 3"]:
    """Voxels of likely main chain, Å, the likeliest first."""
    voxels = np.argwhere(evidence.main_chain > LEAST_MAIN_CHAIN)
    order = np.argsort(-evidence.main_chain[tuple(voxels.T)], kind="stable")
    return evidence.origin + voxels[order] * evidence.step


def candidate_features(
    evidence: Evidence, votes: Votes, positions: Float[np.ndarray, "m 3"]
) -> Float[np.ndarray, "m 5"]:
    """The features of `CalphaCandidates`."""
    grid = ((positions - evidence.origin) / evidence.step).astype(np.float32)
    calpha, chain = interpolate(evidence.calpha, grid), interpolate(evidence.main_chain, grid)
    height, away = np.zeros(len(grid)), np.full(len(grid), 3.0)
    if len(votes.places) and len(grid):
        height, _ = gather(votes, positions)
    if evidence.offset is not None:
        away = np.minimum(np.linalg.norm(interpolate(evidence.offset, grid), axis=1), 3.0)
    logs = np.log(height + 0.3), calpha, np.log(chain + 0.03), away, np.log(calpha + 0.03)
    return np.stack(logs, axis=1).astype(np.float32)
