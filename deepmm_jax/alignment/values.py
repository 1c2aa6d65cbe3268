"""The values that alignment hands on: ranked Cα models, and how sure their register is."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True, kw_only=True)
class CalphaModels:
    """Ranked, deduplicated Cα models of one chain, best first.

    `positions` (k, n, 3) in Å (NaN where a residue is not built), `built` (k, n), `scores` (k,) the
    alignment score F, `mscores` (k,) the paper's MScore (equation 4: the score per residue of
    the sequence), `support` (k, n) the Cα probability at each built residue (0 elsewhere), `confidence`
    (k, n) the probability that it is right, None before the models are rated.
    """

    positions: Float[np.ndarray, "k n 3"]
    built: Bool[np.ndarray, "k n"]
    scores: Float[np.ndarray, "k"]
    mscores: Float[np.ndarray, "k"]
    support: Float[np.ndarray, "k n"]
    confidence: Float[np.ndarray, "k n"] | None = None

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, kw_only=True)
class ModelRegister:
    """How the sequence agrees with a model's own Cα, of each residue of each model; 0 where it is not built.

    `log_odds` is log p(its amino acid | its place) − log p₀, nats; `posterior` the probability that it stands where the
    model has it, among all registers; `entropy` that of its place, nats.
    """

    log_odds: Float[np.ndarray, "k n"]
    posterior: Float[np.ndarray, "k n"]
    entropy: Float[np.ndarray, "k n"]
