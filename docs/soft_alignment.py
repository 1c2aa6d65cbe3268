"""The picture of docs/differentiable-alignment.md: marginals at three temperatures, and how uncertain each residue is.

python docs/soft_alignment.py docs/images/soft-alignment.png
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib


matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from deepmm_jax.alignment import SoftAlignment, soft_align
from deepmm_jax.alignment.match import log_odds_match
from deepmm_jax.config import AlignmentConfig
from deepmm_jax.sequence.profile import encode_letters
from deepmm_jax.structure.read import read_chains


FIRST, LAST = 20, 80
"""Residues of adenylate kinase that are shown."""
BLURRED = slice(25, 40)
"""Of these, the ones whose types the evidence does not know."""
TEMPERATURES = (4.0, 1.0, 0.1)


def main(picture: Path) -> None:
    """Three maps of marginals and the entropies."""
    calpha, aligned = alignments()
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.1), constrained_layout=True)
    residues = np.arange(FIRST, LAST) + 1
    for axis, (temperature, soft) in zip(axes, aligned.items()):
        shade = np.sqrt(np.asarray(soft.marginals)).T
        axis.imshow(shade, origin="lower", aspect="auto", cmap="gray_r", extent=(FIRST + 1, LAST + 1, 0, len(shade)))
        axis.set_title(f"marginals, T = {temperature:g}", fontsize=9)
        axis.set_xlabel("residue", fontsize=8)
        axis.set_ylabel("point on the path", fontsize=8)
        axis.tick_params(labelsize=7)
    styles = zip(aligned.items(), (":", "-", "--"), strict=True)
    for (temperature, soft), style in styles:
        axes[3].plot(
            residues, soft.register_entropy, "k" + style, linewidth=1, label=f"entropy (nats), T = {temperature:g}"
        )
    error = np.linalg.norm(np.asarray(aligned[1.0].positions) - calpha, axis=1)
    axes[3].plot(residues, error, color="0.6", linewidth=2, zorder=0, label="error of the expected Cα (Å), T = 1")
    axes[3].set_ylim(0, 6)
    axes[3].legend(fontsize=6, loc="upper left")
    axes[3].set_xlabel("residue", fontsize=8)
    axes[3].tick_params(labelsize=7)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=80)
    Image.open(picture).convert("L").quantize(16).save(picture, optimize=True)


def alignments() -> tuple[np.ndarray, dict[float, SoftAlignment]]:
    """True Cα, and the residues aligned to a path through their backbone, 0.4 Å off, with noisy types."""
    chain = read_chains(Path(__file__).parent.parent / "examples" / "1ake_A.pdb.gz")[0]
    rng = np.random.default_rng(1)
    places = []
    for i in range(FIRST, LAST):
        n, calpha, c = (chain.atom(name)[i] for name in ("N", "CA", "C"))
        places += [n, (n + calpha) / 2, calpha, c]
    path = np.array(places) + rng.normal(scale=0.4 / np.sqrt(3), size=(len(places), 3))
    amino_acids = encode_letters(chain.sequence[FIRST:LAST])
    seen = np.repeat(amino_acids, 4)
    logits = rng.normal(scale=1.2, size=(len(path), 20)) + 2.5 * np.eye(21)[seen][:, :20]
    known = np.ones(LAST - FIRST, bool)
    known[BLURRED] = False
    types = np.where(np.repeat(known, 4)[:, None], np.asarray(jax.nn.softmax(logits)), 1 / 20)
    uniform = np.full((len(path), 3), 1 / 3)
    values = (amino_acids, uniform[:: len(path) // len(amino_acids)], types, uniform)
    match = log_odds_match(*(jnp.asarray(x) for x in values), AlignmentConfig())
    positions = jnp.asarray(path, jnp.float32)
    weights = jnp.full(len(amino_acids), 0.8)
    gaps = {"end_gap": jnp.float32(-1.0), "skip": jnp.asarray([-6.0, -1.0])}
    return chain.calpha[FIRST:LAST], {
        temperature: soft_align(match, positions, weights, jnp.float32(3.6), jnp.float32(temperature), **gaps)
        for temperature in TEMPERATURES
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
