"""Main-chain paths: from a main-chain probability to the longest paths of the refined trees (section 2.3)."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from jaxtyping import Float
from numba import get_num_threads

from deepmm_jax.config import TracingConfig
from deepmm_jax.tracing.graph import PointGraph, build_graph
from deepmm_jax.tracing.points import find_local_dense_points
from deepmm_jax.tracing.tabu import search_trees
from deepmm_jax.tracing.values import MainChainPaths


def trace_main_chain(
    volume: Float[np.ndarray, "nx ny nz"],
    step: Float[np.ndarray, "3"],
    origin: Float[np.ndarray, "3"],
    config: TracingConfig,
    seed: int = 0,
) -> MainChainPaths:
    """Mean shift, graph and tabu search in one call.

    `volume` is the main-chain probability (negative values count as zero), `step` and `origin` place it (Å).
    Raises NothingBuiltError if no voxel is above the threshold or too few points hang together.
    """
    points = find_local_dense_points(volume, step, origin, config)
    return trace_paths(build_graph(points, volume, step, origin, bandwidth=config.bandwidth), config, seed)


def trace_paths(graph: PointGraph, config: TracingConfig, seed: int = 0) -> MainChainPaths:
    """The heaviest path of the best tree of every trajectory of every search of `config`, each path once.

    Searches run side by side in as many threads as numba is given. The same graph, settings and seed give the same
    paths on every machine, whatever the threads: every trajectory has random numbers of its own.
    """
    searches = range(len(config.searches))
    with ThreadPoolExecutor(min(len(searches), get_num_threads())) as pool:
        found = list(pool.map(partial(search_trees, graph, config, seed), searches))
    paths = [graph.vertices[trajectory.path] for trajectories in found for trajectory in trajectories]
    return MainChainPaths(points=graph.points, paths=tuple({path.tobytes(): path for path in paths}.values()))
