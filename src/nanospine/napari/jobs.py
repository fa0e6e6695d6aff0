"""Long work beside the window: in a thread, with progress, and it can be stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal

from nanospine.core.progress import Progress

__all__ = ["Job", "StoppedError"]


class StoppedError(Exception):
    """The user asked a job to stop."""


class Job(QObject):  # type: ignore[misc]
    """One call in a thread.

    Progress and the end are told by signals, which Qt carries over to the window's own thread.

    Parameters
    ----------
    work : callable
        Gets a progress callback and gives the result. It is stopped where it next tells its
        progress.
    on_progress : callable
        Gets the stage and the fraction done.
    on_result : callable
        Gets the result.
    on_error : callable
        Gets the exception, which may be :class:`StoppedError`.
    """

    told = Signal(str, float)

    def __init__(
        self,
        work: Callable[[Progress], Any],
        *,
        on_progress: Callable[[str, float], None],
        on_result: Callable[[Any], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        super().__init__()
        self._stop = False
        self.told.connect(on_progress)
        self._worker = create_worker(self._run, work, _start_thread=False)
        self._on_result, self._on_error = on_result, on_error
        self._worker.returned.connect(self._ended)

    def start(self) -> None:
        """Begin."""
        self._worker.start()

    def stop(self) -> None:
        """Ask the work to stop."""
        self._stop = True

    @property
    def running(self) -> bool:
        """Whether it is not done yet."""
        return bool(self._worker.is_running)

    def _ended(self, outcome: tuple[Any, Exception | None]) -> None:
        found, error = outcome
        if error is None:
            self._on_result(found)
        else:
            self._on_error(error)

    def _run(self, work: Callable[[Progress], Any]) -> tuple[Any, Exception | None]:
        def progress(stage: str, fraction: float) -> None:
            if self._stop:
                raise StoppedError
            self.told.emit(stage, fraction)

        # Handed over, not raised: napari would show a traceback, the user wants the sentence
        try:
            progress("starting", 0.0)
            return work(progress), None
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            return None, error
