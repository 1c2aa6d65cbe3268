"""Box networks for tests: small ones, and random weights and moments that leave no BatchNorm idle."""

from pathlib import Path

import jax
import numpy as np

from deepmm_jax.networks.boxes import SIDES, BoxConfig, BoxKind, BoxNetwork, initial_weights, save_box_network
from deepmm_jax.networks.densenet import fresh_moments


TINY = BoxConfig(stem=4, layers=1, growth=3, bottleneck=2)


def random_network(kind: BoxKind, config: BoxConfig = TINY, seed: int = 0) -> BoxNetwork:
    """Fresh weights with random norms, and random moments; answers lie around 0.5."""
    rng = np.random.default_rng(seed)
    weights = initial_weights(kind, config, seed)

    def stirred(path: tuple, leaf: jax.Array) -> jax.Array:
        name = path[-1].key
        if name in ("scale", "variance"):
            return leaf * rng.uniform(0.7, 1.4, leaf.shape).astype(np.float32)
        if len(path) > 1 and path[-2].key == "end":
            return leaf + 0.5 if name == "bias" else 0.1 * leaf  # so that no answer is cut off
        if name in ("bias", "mean"):
            return leaf + rng.normal(scale=0.2, size=leaf.shape).astype(np.float32)
        return leaf

    stir = jax.tree_util.tree_map_with_path
    return BoxNetwork(kind, config, stir(stirred, weights), stir(stirred, fresh_moments(weights)))


def save_tiny_networks(folder: Path) -> Path:
    """`box-a` and `box-b` in a folder, never trained."""
    for kind in SIDES:
        save_box_network(folder / kind, random_network(kind), {})
    return folder
