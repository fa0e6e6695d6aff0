"""The tasks of a batch on the workers of a dask scheduler, which see the same files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from nanospine.batch.task import Outcome, run_task
from nanospine.batch.workers import Named, threads_each
from nanospine.core.errors import ConfigError

__all__ = ["run_on_cluster"]

_CONNECT_S = "30s"
# A task whose worker dies is tried once more elsewhere: on a cluster, machines are taken away.
_ALLOWED_FAILURES = 1
_T = TypeVar("_T", bound=Named)


def run_on_cluster(
    tasks: Sequence[_T],
    *,
    address: str,
    jobs: int,
    client: Any = None,
    work: Callable[[_T], Outcome] = run_task,  # type: ignore[assignment]
) -> Iterator[Outcome]:
    """Work on tasks on a dask cluster and give each outcome as it comes.

    Parameters
    ----------
    tasks : sequence of Task, or of others with a name
        Their paths must mean the same on every worker.
    address : str
        Of a scheduler, such as "tcp://host:8786", or "local" for processes on this machine.
    jobs : int
        Number of processes of a local cluster.
    client : dask.distributed.Client, optional
        In place of an address; stays open.
    work : callable
        What is done with a task; the workers import it.

    Raises
    ------
    ConfigError
        When dask is not installed or nobody answers at the address.
    """
    try:
        from dask import config as dask_config
        from dask.distributed import Client, LocalCluster, as_completed
    except ImportError as error:
        raise ConfigError(
            "a scheduler needs dask.distributed, which is not installed: pip install "
            '"nanospine[cluster]".'
        ) from error
    opened: list[Any] = []
    try:
        with dask_config.set({"distributed.scheduler.allowed-failures": _ALLOWED_FAILURES}):
            if client is None and address == "local":
                opened.append(LocalCluster(n_workers=jobs, threads_per_worker=1,
                                           processes=True, dashboard_address=None))  # fmt: skip
                opened.append(Client(opened[0]))
            elif client is None:
                try:
                    opened.append(Client(address, timeout=_CONNECT_S))
                except (OSError, TimeoutError, ValueError) as error:
                    raise ConfigError(
                        f"no dask scheduler answers at {address}: {error}. Start one with "
                        "`dask scheduler`, or name `local`."
                    ) from error
            at = client or opened[-1]
            futures = {
                at.submit(_on_worker, work, task, threads_each(jobs), pure=False): task
                for task in tasks
            }
            for future in as_completed(list(futures)):
                yield _outcome(future, futures[future])
    finally:
        for item in reversed(opened):
            item.close()


def _on_worker(work: Callable[[_T], Outcome], task: _T, threads: int) -> Outcome:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads):
        return work(task)


def _outcome(future: Any, task: Named) -> Outcome:
    if future.status == "finished":
        outcome: Outcome = future.result()
        return outcome
    error = future.exception()
    text = " ".join(str(error).split())[:300]
    reason = f"its worker was lost, and so was the next that tried it: {text}"
    return Outcome(task.name, "failed", reason, type(error).__name__)
