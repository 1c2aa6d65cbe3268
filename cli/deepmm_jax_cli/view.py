"""`view.cxc`: a script that opens the map and the model in ChimeraX."""

import os
from collections.abc import Sequence
from pathlib import Path

from deepmm_jax.files import atomic_path


CONFIDENCE = "color bfactor #2 palette red:yellow:blue range 0,100 key true"
"""B factors that are confidence × 100: blue is good."""
B_FACTOR = "color bfactor #2 palette blue:white:red key true"
"""B factors as crystallographers have them: blue is good, too."""
BY_CHAIN = "color bychain #2"


def write_view(
    output: Path, map_path: Path, level: float, colours: str, first_voxel: Sequence[float] | None = None
) -> None:
    """Write `view.cxc`: the map at its contour `level`, and `model.cif` in `colours`.

    ChimeraX runs a script in the script's own folder, so that the paths are relative to it. `first_voxel` (Å) places
    the map where ChimeraX would place it otherwise.
    """
    place = "" if first_voxel is None else " origin " + ",".join(f"{x:.6g}" for x in first_voxel)
    lines = (
        "# The map and the model in ChimeraX: chimerax view.cxc",
        f'open "{os.path.relpath(map_path.resolve(), output.resolve())}"',
        'open "model.cif"',
        f"volume #1 style surface level {level:.6g}{place}",
        "transparency #1 70",
        "show #2 cartoons",
        "style #2 stick",
        "show #2 atoms",
        colours,
        "view",
    )
    with atomic_path(output / "view.cxc") as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
