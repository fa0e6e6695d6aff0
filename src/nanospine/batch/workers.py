"""Processes that work on tasks: each on one at a time, and its death is its task's failure only.

Strategy: a pool of the standard library is broken as a whole when one process dies, and cannot
say which task killed it. Here every process has a pipe of its own; the parent waits for pipes and
for deaths alike, reports the one task, and starts a new process in its place.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from nanospine.batch.locks import hold_shared
from nanospine.batch.task import Outcome, run_task

__all__ = ["Named", "run_in_processes", "threads_each"]

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS",
)  # fmt: skip
_ENDING_S = 5.0


class Named(Protocol):
    """What can be worked on: anything that pickles and has a name, a file or a tile."""

    @property
    def name(self) -> str:
        """What its outcome is called."""


_T = TypeVar("_T", bound=Named)


@dataclass
class _Worker:
    process: Any
    pipe: Any
    task: Named | None = None
    since: float = 0.0


def threads_each(jobs: int, cpus: int | None = None) -> int:
    """Give the threads that each of `jobs` processes gets of the machine.

    Examples
    --------
    >>> threads_each(2, cpus=8), threads_each(8, cpus=2)
    (4, 1)
    """
    return max(1, (cpus or os.cpu_count() or 1) // jobs)


def run_in_processes(
    tasks: Sequence[_T],
    *,
    jobs: int,
    memory_gb: float | None = None,
    timeout_min: float | None = None,
    lock_folder: Path | None = None,
    work: Callable[[_T], Outcome] = run_task,  # type: ignore[assignment]
) -> Iterator[Outcome]:
    """Work on tasks in `jobs` processes and give each outcome as it comes.

    A process that dies fails its task and no other. When the caller stops listening, all
    processes are ended; when the caller dies, they end by themselves.

    Parameters
    ----------
    tasks : sequence of Task, or of others with a name
        Started in this order.
    jobs : int
        Processes at a time.
    memory_gb : float, optional
        Data that one process may allocate (10^9 bytes); Linux only.
    timeout_min : float, optional
        After this time a task is given up.
    lock_folder : Path, optional
        Where processes say that they are alive.
    work : callable
        What is done with a task; a function at the top of a module, so that it pickles.
    """
    waiting = deque(tasks)
    workers: list[_Worker] = []
    arguments = (lock_folder, memory_gb, work)
    try:
        while waiting or workers:
            while waiting and len(workers) < jobs:
                workers.append(_start(arguments, threads_each(jobs)))
            for worker in [item for item in workers if item.task is None]:
                if waiting:
                    _give(worker, waiting.popleft())
                else:
                    _end(worker)
                    workers.remove(worker)
            yield from _heard(workers, memory_gb, timeout_min)
    finally:
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()
            worker.pipe.close()


def _start(arguments: tuple[Any, ...], threads: int) -> _Worker:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, *arguments), daemon=True)
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    try:
        # Libraries read these when they are loaded, so they must be there before the process.
        for name, value in before.items():
            asked = int(value) if value and value.isdigit() and int(value) else threads
            os.environ[name] = str(min(asked, threads))
        process.start()
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
    there.close()
    return _Worker(process, here)


def _give(worker: _Worker, task: Named) -> None:
    worker.task, worker.since = task, time.monotonic()
    with contextlib.suppress(OSError):  # it is dead already: its death is heard next
        worker.pipe.send(task)


def _end(worker: _Worker) -> None:
    with contextlib.suppress(OSError):
        worker.pipe.send(None)
    worker.process.join(_ENDING_S)
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()


def _heard(
    workers: list[_Worker], memory_gb: float | None, timeout_min: float | None
) -> Iterator[Outcome]:
    """Wait until a task ends, and give its outcome; workers that died leave the list."""
    if not workers:
        return
    limit = None if timeout_min is None else timeout_min * 60
    patience = None if limit is None else max(0.0, min(w.since for w in workers) + limit - _now())
    multiprocessing.connection.wait(
        [item for w in workers for item in (w.pipe, w.process.sentinel)], patience
    )
    for worker in list(workers):
        seconds = _now() - worker.since
        name = worker.task.name if worker.task else ""
        if (outcome := _answer(worker)) is not None:
            worker.task = None
            yield outcome
        elif not worker.process.is_alive():
            worker.process.join()
            workers.remove(worker)
            worker.pipe.close()
            reason = _how_it_died(worker.process.exitcode, memory_gb)
            yield Outcome(name, "failed", reason, "WorkerDied", seconds)
        elif limit is not None and seconds >= limit:
            _stop(worker)
            workers.remove(worker)
            reason = f"was given up after {timeout_min:g} minutes ([batch] timeout_min)."
            yield Outcome(name, "failed", reason, "Timeout", seconds)


def _answer(worker: _Worker) -> Outcome | None:
    try:
        if worker.pipe.poll():
            answer: Outcome = worker.pipe.recv()
            return answer
    except (EOFError, OSError):
        # Both ends of a pipe close before the system says that the process is gone.
        worker.process.join(_ENDING_S)
    return None


def _stop(worker: _Worker) -> None:
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()


def _how_it_died(code: int | None, memory_gb: float | None) -> str:
    if code is not None and code < 0:
        how = f"was killed by signal {-code} ({_signal_name(-code)})"
    else:
        how = f"ended with code {code}"
    hint = ""
    if code in (-signal.SIGABRT, -getattr(signal, "SIGKILL", 9), -signal.SIGSEGV):
        budget = "" if memory_gb is None else f", or the budget of {memory_gb:g} GB"
        hint = f" Most often the memory ran out{budget}: fewer jobs leave more to each."
    return f"the process that worked on it {how}; the other files went on.{hint}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _now() -> float:
    return time.monotonic()  # never the clock on the wall, which may go backwards


def _serve(
    pipe: Any, lock_folder: Path | None, memory_gb: float | None, work: Callable[[Any], Outcome]
) -> None:
    """Do tasks until there are no more; runs in the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    threading.Thread(target=_die_with_parent, daemon=True).start()
    alive = None if lock_folder is None else hold_shared(lock_folder)
    if memory_gb is not None:
        _limit_memory(memory_gb)
    try:
        while (task := pipe.recv()) is not None:
            pipe.send(work(task))
    except (EOFError, OSError):
        pass  # the parent is gone
    if alive is not None:
        alive.close()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _limit_memory(memory_gb: float) -> None:
    """Let allocations beyond the budget fail, so that they become a sentence, not a dead machine.

    Only what is written to counts (data), not the address space that thread libraries reserve.
    """
    if sys.platform.startswith("linux"):
        import resource

        budget = int(memory_gb * 1e9)
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        soft = budget if hard == resource.RLIM_INFINITY else min(budget, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
