"""Main-chain paths: from a main-chain probability to the longest paths of the refined trees (section 2.3)."""

import numpy as np
from jaxtyping import Float

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
    To try several search settings on one volume, keep the graph and call `trace_paths` for each of them.

    Raises NothingBuiltError if no voxel is above the threshold or too few points hang together.
    """
    points = find_local_dense_points(volume, step, origin, config)
    return trace_paths(build_graph(points, volume, step, origin, bandwidth=config.bandwidth), config, seed)


def trace_paths(graph: PointGraph, config: TracingConfig, seed: int = 0) -> MainChainPaths:
    """The heaviest path of the best tree of each of `config.trajectories` searches, in that order.

    The same graph, settings and seed give the same paths on every machine. Two searches may end in the same path.
    """
    trajectories = search_trees(graph, config, seed)
    return MainChainPaths(points=graph.points, paths=tuple(graph.vertices[t.path] for t in trajectories))
