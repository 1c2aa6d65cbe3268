"""What chains that are built leave to those that are not."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial import KDTree

from deepmm_jax.alignment.values import CalphaModels
from deepmm_jax.evidence.volumes import Evidence


OCCUPIED_RADIUS = 3.0
"""Å around a built Cα that later chains may not use."""


def without_occupied(evidence: Evidence, models: Sequence[CalphaModels]) -> Evidence:
    """The evidence with neither main chain nor Cα near the best models so far."""
    if not models:
        return evidence
    main_chain, calpha = evidence.main_chain.copy(), evidence.calpha.copy()
    ijk = np.argwhere((main_chain > 0) | (calpha > 0))
    built = np.concatenate([model.positions[0][model.built[0]] for model in models])
    xyz = evidence.origin + ijk * evidence.step
    distance, _ = KDTree(built).query(xyz, distance_upper_bound=OCCUPIED_RADIUS)  # infinite beyond
    taken = tuple(ijk[np.isfinite(distance)].T)
    main_chain[taken] = calpha[taken] = 0.0
    return replace(evidence, main_chain=main_chain, calpha=calpha)
