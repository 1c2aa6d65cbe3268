"""Stand-ins for the measurement of a target, where the subject is what happens to its row."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distributed import Client

from deepmm_jax.benchmark.measure import Work
from deepmm_jax.benchmark.targets import Target


EVIDENCE = {"recall_1.0": 0.9, "precision_1.0": 0.8}


def model_row(tm_score: float, rmsd: float | None = 1.0, best: float | None = None) -> dict[str, Any]:
    """The row of a target that was built."""
    model = {"tm_score": tm_score, "ca_rmsd": rmsd, "coverage": 1.0, "residue_match": tm_score, "sequence_match": 1.0}
    return {
        "evidence": EVIDENCE,
        "model": model,
        "best_tm_score_of_ten": best or tm_score,
        "best_ca_rmsd_of_ten": rmsd,
        "seconds_total": 1.0,
    }


def measure(target: Target, work: Work) -> dict[str, Any]:
    """A model as good as the last letter of the target's name says: A is perfect, N cannot be built, X is a fault."""
    if target.name.endswith("N"):
        return {"evidence": EVIDENCE, "error": "no main chain"}
    if target.name.endswith("X"):
        raise FloatingPointError("it went wrong")
    return model_row(1.0 if target.name.endswith("A") else 0.4)


def measure_once_free(target: Target, work: Work) -> dict[str, Any]:
    """A row, once the file `free` lies in the data folder. Who is at work writes its process number there."""
    assert work.data is not None
    (work.data / f"{target.name}.{os.getpid()}").touch()
    while not (work.data / "free").exists():
        time.sleep(0.05)
    return model_row(1.0)


def measure_first_last(target: Target, work: Work) -> dict[str, Any]:
    """A row, of a target whose name begins with 1 once the file `free` lies in the data folder, or after a minute."""
    assert work.data is not None
    deadline = time.monotonic() + 60
    while target.name.startswith("1") and not (work.data / "free").exists():
        if time.monotonic() > deadline:
            return {"error": "the others did not end"}
        time.sleep(0.05)
    return model_row(1.0)


@contextmanager
def threads(address: str | None = None, workers: int = 1) -> Iterator[Client]:
    """A cluster in threads of this process, in place of `schedule.scheduler`."""
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "memory_limit": 0}
    with Client(processes=False, set_as_default=False, **options) as client:
        yield client


def data_folder(folder: Path, names: list[str]) -> Path:
    """A data folder with a list `few` of chains whose files are empty."""
    (folder / "lists").mkdir(parents=True)
    (folder / "structures").mkdir()
    (folder / "lists" / "few.txt").write_text("\n".join(names))
    for name in names:
        (folder / "structures" / f"{name}.pdb.gz").touch()
    return folder
