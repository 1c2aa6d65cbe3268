"""Tracing: local dense points, their graph, and the longest paths of its refined spanning trees (section 2.3)."""

from deepmm_jax.tracing.graph import PointGraph as PointGraph
from deepmm_jax.tracing.graph import build_graph as build_graph
from deepmm_jax.tracing.paths import trace_main_chain as trace_main_chain
from deepmm_jax.tracing.paths import trace_paths as trace_paths
from deepmm_jax.tracing.points import find_local_dense_points as find_local_dense_points
from deepmm_jax.tracing.values import LocalDensePoints as LocalDensePoints
from deepmm_jax.tracing.values import MainChainPaths as MainChainPaths
