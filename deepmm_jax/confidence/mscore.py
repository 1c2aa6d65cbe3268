"""What the MScore predicts of a model: TM-score and map correlation (equations 5 and 6).

The MScore itself (equation 4, the alignment score per residue) comes with the alignment: `CalphaModels.mscores`.
"""

import math


def predicted_tm_score(mscore: float) -> float:
    """TM-score to the true structure expected at an MScore (equation 5, a fit over 2,931 maps)."""
    return 0.938 - 0.648 / (1.0 + math.exp(4.059 * mscore - 1.114))


REFITTED = (0.963, 0.822, 10.262, 3.013)
"""Top, depth, slope and middle of equation 5 as `benchmarks/fit_confidence.py` fits them to models of validation chains
by the present networks in maps like those of the simulator."""


def refitted_tm_score(mscore: float) -> float:
    """The same form with the constants of this program's own models: the paper's are too hopeful for low scores."""
    top, depth, slope, middle = REFITTED
    return top - depth / (1.0 + math.exp(min(slope * mscore - middle, 700.0)))


def predicted_cc_mask(mscore: float) -> float:
    """Map–model correlation CC_mask expected at an MScore (equation 6)."""
    return 0.178 * mscore + 0.444
