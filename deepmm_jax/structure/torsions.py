"""Lengths and torsions, of NumPy or JAX arrays alike, with gradients where they degenerate."""

from typing import Any

from jaxtyping import Float


Vector = Float[Any, "*#batch 3"]
Scalar = Float[Any, "*#batch"]


def norm(vector: Vector) -> Scalar:
    """Length, with a gradient at 0 too."""
    return vector.__array_namespace__().sqrt((vector * vector).sum(-1) + 1e-9)


def unit(vector: Vector) -> Vector:
    """The vector divided by its length."""
    return vector / norm(vector)[..., None]


def torsion(a: Vector, b: Vector, c: Vector, d: Vector) -> Scalar:
    """Torsion a–b–c–d in radians, positive if d is clockwise of a as seen along b → c (IUPAC); 0 on a line."""
    xp = a.__array_namespace__()
    axis = unit(c - b)
    first, last = xp.cross(axis, a - b), xp.cross(axis, d - c)
    x, y = (first * last).sum(-1), (xp.cross(first, last) * axis).sum(-1)
    flat = x * x + y * y < 1e-9
    return xp.arctan2(xp.where(flat, 0.0, y), xp.where(flat, 1.0, x))
