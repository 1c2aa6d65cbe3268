"""`build` on ideal evidence (equation 1), and a way to stop it at a named place; a program, so that it can be killed.

    python stopped_build.py STRUCTURE SIGNAL PLACE build …

A place is `in FUNCTION` of the pipeline, once it has computed; or `before NAME`, when the file whose name begins so is
written but not yet in its place; or `after NAME`, when it is. PLACE `nowhere` lets the program run.
"""

import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from deepmm_jax import files, pipeline
from deepmm_jax.density.map import DensityMap
from deepmm_jax.evidence.ideal import ideal_evidence
from deepmm_jax.evidence.volumes import Evidence
from deepmm_jax.stages import digest
from deepmm_jax.structure.read import read_chains


STAGES = {
    "resample": "resample_map",
    "evidence": "predict_volumes",
    "points": "main_chain_graph",
    "tracing": "trace_paths",
    "types": "typed",
    "alignment": "align_paths",
    "refinement": "refine_models",
    "confidence": "rate_models",
}
"""The pipeline's functions by stage, of the tracer that has most of them: `tracer = "tabu"`."""


def use_ideal_evidence(patch: pytest.MonkeyPatch, structure: Path) -> None:
    """Let the pipeline take the evidence of a structure for that of a network.

    As a network's, it is never quite the same for another map, network or number of turns.
    """
    (chain,) = read_chains(structure)

    def predict_volumes(density: DensityMap, checkpoint: Path, *, rotations: int = 1) -> Evidence:
        evidence = ideal_evidence(chain, density)
        share = int(digest((density.data, density.origin, checkpoint, rotations))[:8], 16) / 2**32
        evidence.main_chain[:] *= 1 - 1e-3 * share
        return evidence

    patch.setattr(pipeline, "predict_volumes", predict_volumes)


def stop_at(patch: pytest.MonkeyPatch, place: str, stop: Callable[[], None]) -> None:
    """Call `stop` at a place."""
    when, _, name = place.partition(" ")
    if when == "in":
        function = getattr(pipeline, name)

        @wraps(function)  # stages are known by the names of their functions
        def stopped(*args: Any, **kwargs: Any) -> Any:
            function(*args, **kwargs)
            stop()

        patch.setattr(pipeline, name, stopped)
    elif when != "nowhere":
        move = os.replace

        def moved(source: Any, target: Any) -> None:
            here = Path(target).name.startswith(name)
            if here and when == "before":
                stop()
            move(source, target)
            if here and when == "after":
                stop()

        patch.setattr(files.os, "replace", moved)


if __name__ == "__main__":
    from deepmm_jax_cli.main import run

    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs with Ctrl-C ignored
    structure, number, place, *arguments = sys.argv[1:]
    sys.argv = ["deepmm-jax", *arguments]
    changes = pytest.MonkeyPatch()
    use_ideal_evidence(changes, Path(structure))
    stop_at(changes, place, lambda: os.kill(os.getpid(), signal.Signals[number]))
    run()
