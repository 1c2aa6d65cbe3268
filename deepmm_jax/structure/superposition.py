"""Optimal rigid superposition of paired points and root-mean-square deviations (Kabsch 1976; metrics of section 3.1).

Every function takes NumPy arrays or JAX arrays and answers in kind: the formulas are written once over the array
namespace of the argument. With JAX they are pure, so they can be jitted, mapped and differentiated.
"""

from typing import TypeVar

import jax
import numpy as np
from jaxtyping import Float


A = TypeVar("A", jax.Array, np.ndarray)
Points = Float[A, "*#batch n 3"]
Weights = Float[A, "*#batch n"]
Rotation = Float[A, "*#batch 3 3"]
Vector = Float[A, "*#batch 3"]
Scalar = Float[A, "*#batch"]


def superpose(mobile: Points, target: Points, weights: Weights | None = None) -> tuple[Rotation, Vector, Scalar]:
    """The proper rotation and the translation that bring `mobile` closest to `target`, and the weighted RMSD left, Å.

    Leading axes are a batch. A point takes no part if its weight is 0 or a coordinate of either array is not finite
    (an unbuilt residue). Apply the result with `move(mobile, rotation, translation)`.
    With fewer than three points, or points on a line, one of the many best rotations is returned;
    with no point at all, they are finite still and the RMSD is NaN.
    """
    xp = mobile.__array_namespace__()
    x, y, w = _paired(mobile, target, weights)
    total = w.sum(-1)[..., None, None]
    share = w[..., None] / xp.where(total > 0, total, 1.0)
    centre_x, centre_y = (share * x).sum(-2), (share * y).sum(-2)
    x, y = x - centre_x[..., None, :], y - centre_y[..., None, :]
    rotation = best_rotation((share * y).mT @ x)
    translation = centre_y - (rotation @ centre_x[..., None])[..., 0]
    return rotation, translation, rmsd(x @ rotation.mT, y, w)


def best_rotation(covariance: Rotation) -> Rotation:
    """The proper rotation R that maximises trace(Rᵀ C), for C = Σ w y xᵀ of centred targets y and mobile points x."""
    xp = covariance.__array_namespace__()
    u, _, vt = xp.linalg.svd(covariance)
    handedness = xp.sign(xp.linalg.det(u) * xp.linalg.det(vt))
    ones = xp.ones_like(handedness)
    return (u * xp.stack([ones, ones, handedness], -1)[..., None, :]) @ vt


def move(points: Points, rotation: Rotation, translation: Vector) -> Points:
    """Points after the rotation and the translation of `superpose`: R x + t, Å."""
    return points @ rotation.mT + translation[..., None, :]


def rmsd(mobile: Points, target: Points, weights: Weights | None = None) -> Scalar:
    """Weighted root-mean-square deviation in place, Å; NaN where no pair is left. Missing points as in `superpose`."""
    xp = mobile.__array_namespace__()
    x, y, w = _paired(mobile, target, weights)
    total = w.sum(-1)
    mean = (w * ((x - y) ** 2).sum(-1)).sum(-1) / xp.where(total > 0, total, 1.0)
    return xp.asarray(xp.sqrt(xp.where(total > 0, mean, xp.nan)))


def superposed_rmsd(mobile: Points, target: Points, weights: Weights | None = None) -> Scalar:
    """Root-mean-square deviation after the best superposition, Å."""
    return superpose(mobile, target, weights)[2]


def _paired(mobile: Points, target: Points, weights: Weights | None) -> tuple[Points, Points, Weights]:
    """Both point sets with unpaired points at 0, and weights that are 0 there."""
    xp = mobile.__array_namespace__()
    mobile, target = xp.broadcast_arrays(mobile, target)
    paired = xp.isfinite(mobile).all(-1) & xp.isfinite(target).all(-1)
    ones = xp.ones_like(mobile[..., 0])
    weights = xp.where(paired, ones if weights is None else xp.broadcast_to(weights, ones.shape), 0.0)
    present = paired[..., None]
    return xp.where(present, mobile, 0.0), xp.where(present, target, 0.0), weights
