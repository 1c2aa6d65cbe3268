"""The value that alignment hands on: ranked Cα models."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True, kw_only=True)
class CalphaModels:
    """Ranked, deduplicated Cα models of one chain, best first.

    `positions` (k, n, 3) in Å (NaN where a residue is not built), `built` (k, n), `scores` (k,) the
    alignment score F, `mscores` (k,) the paper's MScore (equation 4: the score per residue of
    the sequence), `support` (k, n) the Cα probability at each built residue (0 elsewhere).
    """

    positions: Float[np.ndarray, "k n 3"]
    built: Bool[np.ndarray, "k n"]
    scores: Float[np.ndarray, "k"]
    mscores: Float[np.ndarray, "k"]
    support: Float[np.ndarray, "k n"]

    def __len__(self) -> int:
        return len(self.scores)
