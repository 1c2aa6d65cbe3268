"""What cctbx says of the files in a folder; runs in a Python that has cctbx-base: `python cctbx_figures.py FOLDER`.

Reads FOLDER/requests.json and writes FOLDER/answers.json. Requests: `matches`, lists of (name, model, reference) PDB
files; `correlations`, lists of (name, map, model, cell, resolution), maps as .npy with the first voxel at the origin.
"""

import io
import json
import sys
from importlib.metadata import version
from pathlib import Path

import iotbx.pdb
import numpy as np
from cctbx import crystal
from mmtbx.maps import map_model_cc
from mmtbx.validation import chain_comparison
from scitbx.array_family import flex


def matches(model: str, reference: str) -> dict[str, float | None]:
    """Residue match and sequence match of phenix.chain_comparison, from its own counts."""
    result = chain_comparison.run(
        args=[
            f"pdb_in={reference}",
            f"pdb_in={model}",
            "unique_part_of_target_only=False",
            "test_unique_part_of_target_only=False",
        ],
        out=io.StringIO(),
        quiet=True,
    )
    close = result.id_list.index("close")
    n_matched, n_target = result.n_list[close], result.target_length_list[close]
    return {
        "residue_match": n_matched / n_target if n_target else 0.0,
        "sequence_match": result.match_percent_list[close] / 100 if n_matched else None,
    }


def correlations(density: str, model: str, cell: list[float], resolution: float) -> dict[str, float]:
    """The four correlations of phenix.map_model_cc with the B factors of the file."""
    symmetry = crystal.symmetry(unit_cell=(*cell, 90, 90, 90), space_group_symbol="P1")
    parameters = map_model_cc.master_params().extract().map_model_cc
    parameters.resolution = resolution
    parameters.compute.cc_per_chain = parameters.compute.cc_per_residue = parameters.compute.fsc = False
    hierarchy = iotbx.pdb.input(file_name=model).construct_hierarchy()
    task = map_model_cc.map_model_cc(
        map_data=flex.double(np.load(density).astype(np.float64)),
        pdb_hierarchy=hierarchy,
        crystal_symmetry=symmetry,
        params=parameters,
    )
    task.validate()
    task.run()
    found = task.get_results()
    return {name: float(getattr(found, name)) for name in ("cc_mask", "cc_volume", "cc_peaks", "cc_box")}


def main() -> None:
    """Answer every request."""
    folder = Path(sys.argv[1])
    requests = json.loads((folder / "requests.json").read_text())
    answers = {
        "version": f"cctbx-base {version('cctbx-base')}",
        "matches": {name: matches(*files) for name, *files in requests["matches"]},
        "correlations": {name: correlations(*rest) for name, *rest in requests["correlations"]},
    }
    (folder / "answers.json").write_text(json.dumps(answers, indent=1))


if __name__ == "__main__":
    main()
