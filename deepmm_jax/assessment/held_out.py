"""Real maps for reporting only, and which maps show one protein: means count a protein once."""

HELD_OUT = ("emd6272", "emd1461", "vp6_unmasked", "emd5185", "emd4413", "emd2566", "emd2513", "emd3240")
"""Maps whose names begin like this are for reporting only: VP6, TMV, a mitoribosomal protein, FRH, γ-secretase."""

_PROTEINS = {"emd6272": "VP6", "emd1461": "VP6", "vp6": "VP6", "emd5185": "TMV", "emd4413": "TMV"}


def protein_of(name: str) -> str:
    """The protein that a real map shows; the map's own name where no other map shows it."""
    return next((protein for start, protein in _PROTEINS.items() if name.startswith(start)), name)
