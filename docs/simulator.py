"""The picture of docs/simulator.md: one slice of a protein under each effect. Reads real maps from DEEPMM_JAX_DATA.

python docs/simulator.py docs/images/simulator-effects.png
"""

import sys
from dataclasses import replace
from pathlib import Path

import matplotlib


matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from deepmm_jax.density.experimental.atoms import BFactors
from deepmm_jax.density.experimental.masks import Masking
from deepmm_jax.density.experimental.molecule import place_beside
from deepmm_jax.density.experimental.noise import Noise, Transplant
from deepmm_jax.density.experimental.settings import load_simulator
from deepmm_jax.density.experimental.simulator import Effects, render, simulate_experimental
from deepmm_jax.density.experimental.spectrum import Anisotropy, LowFrequencies, PostProcessing, Sampling
from deepmm_jax.density.scaling import top_volume_scale
from deepmm_jax.files import data_directory
from deepmm_jax.structure.read import read_chains
from deepmm_jax.training.chains import as_training_chain
from deepmm_jax.training.real_maps import load_real_maps, residuals_of


SHAPE = (72, 72, 72)
RESOLUTION = 3.2
CLEAN = Effects(post_processing=PostProcessing(fall_off=0.8))


def main(picture: Path) -> None:
    """Three rows of five slices: what is done to atoms and spectrum, to noise and masks, and whole simulations."""
    chain = as_training_chain(read_chains(Path(__file__).parent.parent / "examples" / "1ake_A.pdb.gz")[0])
    molecule = chain.molecule.moved(np.eye(3), 36 - chain.calpha.mean(axis=0))
    data = data_directory()
    residuals = residuals_of(load_real_maps(data, ["emd5778_3j5p_A"]))
    neighbours = [place_beside(molecule, chain.molecule, np.random.default_rng(8), 5.0)]

    def panel(change: Effects, **more) -> np.ndarray:
        return render(molecule, SHAPE, RESOLUTION, change, np.random.default_rng(5), **more)

    sharp = PostProcessing(fall_off=-1.5, cutoff=1.2, edge=0.01)
    noisy = replace(CLEAN, noise=Noise(strength=1.0, slope=3.5, drift=0.1, solvent=0.7))
    panels = {
        "clean, 3.2 Å": panel(CLEAN),
        "uneven B factors": panel(
            replace(CLEAN, b_factors=BFactors(level=9.0, surface=0.3, patches=0.4, ramp=0.6, side_chain=0.2, weak=0.8))
        ),
        "blurred": panel(replace(CLEAN, post_processing=PostProcessing(fall_off=2.3))),
        "over-sharpened": panel(replace(CLEAN, post_processing=sharp)),
        "anisotropic": panel(replace(CLEAN, anisotropy=Anisotropy(strength=1.2))),
        "low frequencies": panel(replace(CLEAN, low_frequencies=LowFrequencies(gain=1.0, b=250.0))),
        "coloured noise": panel(noisy),
        "residual of a real map": panel(replace(CLEAN, transplant=Transplant(strength=0.5)), residuals=residuals),
        "neighbouring chain": panel(noisy, neighbours=neighbours),
        "1.45 Å voxels, trilinear": panel(replace(CLEAN, sampling=Sampling(voxel=1.45, trilinear=1.0))),
        "soft mask": panel(replace(noisy, masking=Masking(kind="soft", radius=3.0, edge=4.0)), neighbours=neighbours),
        "zone of 4 Å": panel(replace(noisy, masking=Masking(kind="zone", radius=4.0)), neighbours=neighbours),
        "filled zone": panel(replace(noisy, masking=Masking(kind="filled", radius=3.5, edge=0.5, kept=0.3))),
    }
    config = load_simulator()
    for resolution, seed in ((2.8, 3), (4.5, 11)):
        panels[f"all, at random: {resolution} Å"] = simulate_experimental(
            molecule,
            SHAPE,
            resolution,
            np.random.default_rng(seed),
            config,
            neighbours=neighbours,
            residuals=residuals,
        )
    figure, axes = plt.subplots(3, 5, figsize=(10, 6.5), constrained_layout=True)
    for axis, (title, density) in zip(axes.flat, panels.items(), strict=True):
        scaled = density[:, :, SHAPE[2] // 2] / top_volume_scale(density, 1.0, len(chain.calpha))
        axis.imshow(scaled.T, origin="lower", cmap="gray_r", vmin=-0.6, vmax=2.2)
        axis.set_title(title, fontsize=9)
        axis.axis("off")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=72)
    Image.open(picture).convert("L").quantize(32).save(picture, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
