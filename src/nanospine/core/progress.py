"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress", "report"]

#: Called with the name of the stage and the fraction of it that is done (0 to 1).
Progress = Callable[[str, float], None]


def report(progress: Progress | None, stage: str, fraction: float) -> None:
    """Tell `progress`, when there is one, that `fraction` of `stage` is done."""
    if progress is not None:
        progress(stage, min(max(fraction, 0.0), 1.0))
