"""Targets as independent tasks on Dask: an embedded cluster on this machine, or a scheduler that runs elsewhere."""

import logging
import os
import traceback
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import partial
from uuid import uuid4

import dask.config
from distributed import Client, LocalCluster, as_completed
from distributed.scheduler import KilledWorker

from deepmm_jax.benchmark.measure import Row, Work, measure
from deepmm_jax.benchmark.targets import Target
from deepmm_jax.errors import ConfigError, DeepMMError


ANSWER_SECONDS = 20
"""A scheduler that has not answered by then is not there."""

RETRIES = 2
"""A task whose result was lost on its way is given out so many times again. Workers that die have a count of their own
(Dask's `distributed.scheduler.allowed-failures`, 3)."""


@contextmanager
def scheduler(address: str | None = None, workers: int = 1) -> Iterator[Client]:
    """A connection to the scheduler at `address`, or to one of our own with so many workers, which ends with the block.

    Each worker is a process that takes one target at a time, because one target already uses all threads that JAX and
    numba are given. Raises ConfigError if the scheduler does not answer within ANSWER_SECONDS.
    """
    for name in ("distributed", "distributed.client"):  # their tracebacks are of what is said here in a sentence
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if address is not None:
        try:
            client = Client(address, timeout=ANSWER_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:  # ValueError: no address at all
            raise ConfigError(
                f"--scheduler {address} does not answer within {ANSWER_SECONDS} s; start one with `dask scheduler`, or "
                "leave the option out to compute on this machine"
            ) from error
        with client:
            yield client
        return
    # The process that watches over semaphores would report those of a run that a signal has ended at once.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker")
    # A target that waits behind a long one, at the same worker, would wait while others are idle.
    dask.config.set({"distributed.scheduler.worker-saturation": 1.0})
    with LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",  # any free port; None is 8787, with a warning where that is taken
        scheduler_kwargs={"dashboard": False},
        # Dask would pause a worker at its share of the memory, for good where one target needs more than that.
        memory_limit=0,
        silence_logs=logging.CRITICAL,
    ) as cluster:
        with Client(cluster, set_as_default=False) as client:
            yield client


def measured(client: Client, targets: Mapping[Target, str], work: Work) -> Iterator[tuple[Target, Row]]:
    """The targets with their rows, in the order in which they end; with each comes the digest of its files.

    A target that raises has a row that says so. The tasks of a worker that dies go to another. Raises DeepMMError if
    the scheduler goes away.
    """
    here = uuid4()  # a scheduler may serve several callers
    # Dask keeps tasks back until a worker is free only if they come together and their keys begin alike.
    futures = client.map(
        partial(attempt, work=work, digests=work.digests()),
        *(list(targets), list(targets.values())),
        key=[f"measure-{here}-{target.name}" for target in targets],
        pure=False,
        retries=RETRIES,
    )
    tasks = dict(zip(futures, targets, strict=True))
    for future in as_completed(tasks, loop=client.loop):
        target = tasks[future]
        try:
            row = future.result()
        except CancelledError as error:
            raise DeepMMError("the scheduler went away; give the same command again for the rest") from error
        except KilledWorker as error:
            row = failure(target, error)
        yield target, row


def attempt(target: Target, data: str, *, work: Work, digests: Mapping[str, str]) -> Row:
    """The row of a target, whatever happens to it. `data` and `digests` are of the caller's files and program."""
    try:
        if work.digests() != digests:
            raise ConfigError("the worker has another program or other weights than the caller; install the same")
        if work.data_digest(target) != data:
            raise ConfigError(f"the worker has other files of {target.name} than the caller; copy the data folder")
        row = measure(target, work)
    except Exception as error:
        return failure(target, error)
    return place(target) | row


def failure(target: Target, error: Exception) -> Row:
    """The row of a target that raised."""
    story = "".join(traceback.format_exception(error))
    return place(target) | {"failure": f"{type(error).__name__}: {error}", "traceback": story}


def place(target: Target) -> Row:
    """Where a target belongs in means."""
    return {"protein": target.protein, "resolutions": target.resolutions}
