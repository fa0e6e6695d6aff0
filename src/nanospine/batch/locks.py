"""Only one batch at a time works on a folder; the system frees the lock when its holder dies."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from nanospine.core.errors import WriteError

__all__ = ["WORKERS_LOCK", "folder_lock", "hold_shared", "wait_for_workers"]

_LOCK = ".lock"
#: Held by every worker: a new run waits for those of a run that was killed.
WORKERS_LOCK = ".workers.lock"
_PATIENCE_S = 120.0
_SAYS_WITHIN_S = 1.0


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold a folder of results for this process.

    Raises
    ------
    WriteError
        When another process holds it, naming that process; or the folder cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place, folder_lock(Path(place)):
    ...     pass
    """
    try:
        file = (folder / _LOCK).open("a+b")
    except OSError as error:
        raise WriteError(f"{folder}: cannot be written to: {error.strerror or error}.") from error
    with file:
        if not _take(file, shared=False):
            raise WriteError(
                f"{folder}: another batch is at work here{_holder(_said(file))}. Wait for it, stop "
                "it, or name another folder."
            )
        with suppress(OSError):  # a full disk must not keep the lock from being taken
            file.truncate(0)
            who = {"pid": os.getpid(), "host": platform.node(), "since": time.ctime()}
            file.write(json.dumps(who).encode())
            file.flush()
        yield


def _said(file: IO[bytes]) -> bytes:
    """What the holder of a lock wrote; it has the lock a moment before it says who it is."""
    end = time.monotonic() + _SAYS_WITHIN_S
    while True:
        file.seek(0)
        said = file.read()
        if said.endswith(b"}") or time.monotonic() > end:
            return said
        time.sleep(0.02)


def hold_shared(folder: Path) -> IO[bytes] | None:
    """Say that a worker is alive, for as long as the file that is given back stays open."""
    with suppress(OSError):
        file = (folder / WORKERS_LOCK).open("a+b")
        _take(file, shared=True)
        return file
    return None


def wait_for_workers(folder: Path) -> None:
    """Wait until no worker of an earlier run is left.

    Workers end by themselves when the run that started them is gone, but one in the middle of
    a long computation needs a moment to notice.

    Raises
    ------
    WriteError
        When one is still there after two minutes.
    """
    with (folder / WORKERS_LOCK).open("a+b") as file:
        end = time.monotonic() + _PATIENCE_S
        while not _take(file, shared=False):
            if time.monotonic() > end:
                raise WriteError(
                    f"{folder}: workers of an earlier batch are still at work here; stop them."
                )
            time.sleep(0.05)


if sys.platform == "win32":  # pragma: no cover - no Windows machine at hand
    import msvcrt

    def _take(file: IO[bytes], *, shared: bool) -> bool:
        if shared:  # the system has none; files that are open cannot be renamed there anyhow
            return True
        try:
            file.seek(1 << 20)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _take(file: IO[bytes], *, shared: bool) -> bool:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _holder(raw: bytes) -> str:
    try:
        who = json.loads(raw)
        return f" (process {who['pid']} on {who['host']}, since {who['since']})"
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
