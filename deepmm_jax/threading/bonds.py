"""Bonds: pairs of Cα candidates that may be successive residues, and how the evidence speaks for each.

The paper scores only the distance along the path (equation 3). Here a bond has a direction, and is also judged by the
main chain along it and by the network's unit vectors to the previous and the next Cα.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from deepmm_jax.evidence.points import interpolate
from deepmm_jax.evidence.volumes import Evidence


SHORTEST, LONGEST = 2.6, 5.0
"""Å between successive Cα, with the error of two candidates."""
ALONG = (0.25, 0.4, 0.5, 0.6, 0.75)
"""Where on a bond, as fractions of its length, the main chain is looked at."""
FEATURES = 11


@dataclass(frozen=True, kw_only=True)
class Bonds:
    """Directed bonds: `ends` (b, 2) the candidates it leads from and to, `features` (b, 11).

    Features: 1; (length - 3.8 Å)²; |length - 3.8 Å|, at most 0.5; 1 if shorter than 3.3 Å; logs of the least and of the
    mean main-chain probability along it; cosines between it and the vectors to the next Cα at its start and away
    from the previous Cα at its end, then from the previous at its start and from the next at its end; the product of
    the first two.
    """

    ends: Int[np.ndarray, "b 2"]
    features: Float[np.ndarray, "b 11"]


def find_bonds(evidence: Evidence, positions: Float[np.ndarray, "m 3"]) -> Bonds:
    """Every pair of positions (Å) of fitting distance, in both directions."""
    pairs = KDTree(positions).query_pairs(LONGEST, output_type="ndarray")
    length = np.linalg.norm(positions[pairs[:, 1]] - positions[pairs[:, 0]], axis=1)
    pairs = pairs[length > SHORTEST]
    pairs = pairs[np.lexsort(pairs.T)]
    ends = np.concatenate([pairs, pairs[:, ::-1]])
    return Bonds(ends=ends, features=bond_features(evidence, positions, ends))


def bond_features(
    evidence: Evidence, positions: Float[np.ndarray, "m 3"], ends: Int[np.ndarray, "b 2"]
) -> Float[np.ndarray, "b 11"]:
    """The features of `Bonds`; the cosines are 0 where a network has no directions."""
    start, vector = positions[ends[:, 0]], positions[ends[:, 1]] - positions[ends[:, 0]]
    length = np.linalg.norm(vector, axis=1)

    def at(volume: np.ndarray, place: np.ndarray) -> np.ndarray:
        return interpolate(volume, ((place - evidence.origin) / evidence.step).astype(np.float32))

    chain = np.stack([at(evidence.main_chain, start + share * vector) for share in ALONG])
    if evidence.directions is None:
        towards = np.zeros((len(ends), 2, 2))
    else:
        seen = at(evidence.directions, positions).reshape(-1, 2, 3)[ends]  # bond, end, previous or next, axis
        towards = np.einsum("betx,bx->bet", seen, vector / length[:, None])
    leave, leave_previous = towards[:, 0, 1], towards[:, 0, 0]
    arrive, arrive_next = -towards[:, 1, 0], -towards[:, 1, 1]
    away = np.abs(length - 3.8)
    columns = (
        np.ones(len(ends)),
        away**2,
        np.minimum(away, 0.5),
        length < 3.3,
        np.log(chain.min(axis=0) + 0.02),
        np.log(chain.mean(axis=0) + 0.02),
        leave,
        arrive,
        leave_previous,
        arrive_next,
        leave * arrive,
    )
    return np.stack(columns, axis=1).astype(np.float32)
