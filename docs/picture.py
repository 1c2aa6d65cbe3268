"""The README's picture: the demo's map, model and crystal structure. Run `deepmm-jax demo` first.

python docs/picture.py demo docs/images/demo.png
"""

import sys
from pathlib import Path

import matplotlib


matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from deepmm_jax.density.mrc import read_map
from deepmm_jax.structure.read import read_chains


def main(folder: Path, picture: Path) -> None:
    """Three views: the density as a projection, the model by confidence, and the model over the crystal."""
    density = read_map(folder / "map.mrc")
    (model,) = read_chains(folder / "model.cif")
    (crystal,) = read_chains(Path(__file__).parent.parent / "examples" / "1ake_A.pdb.gz")
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.6), constrained_layout=True)
    low = density.origin - density.step / 2
    high = density.to_xyz(np.array(density.shape) - 1) + density.step / 2
    extent = (low[0], high[0], low[1], high[1])
    axes[0].imshow(density.data.sum(axis=2).T, origin="lower", extent=extent, cmap="gray_r")
    axes[0].set_title("5 Å map (projection)")
    axes[1].imshow(density.data.sum(axis=2).T, origin="lower", extent=extent, cmap="gray_r", alpha=0.25)
    trace = model.calpha
    confidence = model.b_factors[[name == "CA" for name in model.atom_names]]
    axes[1].plot(*trace[:, :2].T, color="0.4", linewidth=1)
    points = axes[1].scatter(*trace[:, :2].T, c=confidence, cmap="RdYlBu", vmin=0, vmax=100, s=16, zorder=3)
    figure.colorbar(points, ax=axes[1], label="confidence × 100", shrink=0.8)
    axes[1].set_title("model by confidence")
    axes[2].plot(*crystal.calpha[:, :2].T, color="tab:orange", linewidth=3, alpha=0.6, label="crystal structure")
    axes[2].plot(*trace[:, :2].T, color="tab:blue", linewidth=1.2, label="model")
    axes[2].legend(frameon=False, loc="upper left", fontsize="small")
    axes[2].set_title("model and crystal structure (1AKE A)")
    for axis in axes:
        axis.set(xlim=extent[:2], ylim=extent[2:], aspect="equal", xlabel="x (Å)", ylabel="y (Å)")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=90)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
