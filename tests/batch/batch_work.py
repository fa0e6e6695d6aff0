"""What test workers do: by the name of the sample. Imported by processes of their own."""

from __future__ import annotations

import os
import signal
import time

from nanospine.batch.task import Outcome, Task


def work(task: Task) -> Outcome:
    name = task.sample.name
    if name.startswith("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    if name.startswith("exit"):
        os._exit(7)
    if name.startswith("sleep"):
        time.sleep(60)
    if name.startswith("greedy"):
        try:
            bytearray(3_000_000_000)
        except MemoryError:
            return Outcome(name, "failed", "no memory", "MemoryError")
    threads = os.environ["NUMBA_NUM_THREADS"]
    return Outcome(name, "done", reason=f"{threads} {os.getpid()}")
