"""Alignment of the sequence to main-chain paths (section 2.4): match, dynamic programming, ranking."""

from deepmm_jax.alignment.exact import align_exact as align_exact
from deepmm_jax.alignment.greedy import align_greedy as align_greedy
from deepmm_jax.alignment.match import match_scores as match_scores
from deepmm_jax.alignment.mscore import paper_mscore as paper_mscore
from deepmm_jax.alignment.ranking import align_paths as align_paths
from deepmm_jax.alignment.segments import segment_diameters as segment_diameters
from deepmm_jax.alignment.soft import SoftAlignment as SoftAlignment
from deepmm_jax.alignment.soft import soft_align as soft_align
from deepmm_jax.alignment.values import CalphaModels as CalphaModels
