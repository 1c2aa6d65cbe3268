"""What the MScore predicts of a model: TM-score and map correlation (equations 5 and 6).

The MScore itself (equation 4, the alignment score per residue) comes with the alignment: `CalphaModels.mscores`.
"""

import numpy as np
from scipy.special import expit


PAPER = (0.938, 0.648, 4.059, 1.114)
"""Top, depth, slope and middle of equation 5, a fit over 2,931 maps."""
REFITTED = (0.963, 0.822, 10.262, 3.013)
"""The same as `benchmarks/fit_confidence.py` fits them to models of validation chains by the present networks in maps
like those of the simulator: the paper's are too hopeful of low scores."""


def predicted_tm_score(mscore: float) -> float:
    """TM-score to the true structure expected at an MScore (equation 5)."""
    return float(equation_5(mscore, *PAPER))


def refitted_tm_score(mscore: float) -> float:
    """The same with this program's own constants."""
    return float(equation_5(mscore, *REFITTED))


def equation_5(mscore: float | np.ndarray, top: float, depth: float, slope: float, middle: float) -> float | np.ndarray:
    """top − depth / (1 + exp(slope · MScore − middle))."""
    return top - depth * expit(middle - slope * mscore)


def predicted_cc_mask(mscore: float) -> float:
    """Map–model correlation CC_mask expected at an MScore (equation 6)."""
    return 0.178 * mscore + 0.444
