"""The 24 turns of a cube: a map is turned, and what a network says of it turned back."""

from itertools import permutations, product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped


class Turn(NamedTuple):
    """x' = R x with (R x)_i = signs_i · x_axes_i, about the centre of a cube of voxels."""

    axes: tuple[int, int, int]
    signs: tuple[int, int, int]

    @property
    def matrix(self) -> Float[np.ndarray, "3 3"]:
        """R."""
        return np.eye(3)[list(self.axes)] * np.array(self.signs, float)[:, None]

    def turned(self, volume: Shaped[np.ndarray, "n n n *c"]) -> Shaped[np.ndarray, "n n n *c"]:
        """A view of a volume of scalars after the turn."""
        return self._flip(volume.transpose(*self.axes, *range(3, volume.ndim)))

    def back(self, volume: Shaped[np.ndarray, "n n n *c"]) -> Shaped[np.ndarray, "n n n *c"]:
        """A view of a volume of scalars before the turn."""
        return self._flip(volume).transpose(*np.argsort(self.axes), *range(3, volume.ndim))

    def vectors_back(self, volume: Float[np.ndarray, "n n n c"]) -> Float[np.ndarray, "n n n c"]:
        """A volume of vectors (three channels each) before the turn; the vectors turn too."""
        triples = self.back(volume).reshape(*volume.shape[:3], -1, 3)
        return (triples * np.array(self.signs, volume.dtype))[..., np.argsort(self.axes)].reshape(volume.shape)

    def _flip(self, volume: np.ndarray) -> np.ndarray:
        return volume[tuple(slice(None, None, sign) for sign in self.signs)]


def cube_turns(count: int) -> list[Turn]:
    """The first 1, 4 or 24 proper turns of a cube; the identity comes first.

    Four are the half turns about the axes: a group, so that turning a map by one of them turns the evidence exactly,
    and any two of the four are half a turn apart, as far as turns can be.
    """
    turns = [Turn((i, j, k), (a, b, c)) for i, j, k in permutations(range(3)) for a, b, c in product((1, -1), repeat=3)]
    return [turn for turn in turns if round(np.linalg.det(turn.matrix)) == 1][:count]
