"""What happened to each file, in one JSON file that is replaced whole after every file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from nanospine.batch.task import Outcome
from nanospine.core.files import atomic_path, read_json
from nanospine.version import __version__

__all__ = ["LEDGER", "Ledger", "remove_leftovers"]

LEDGER = "ledger.json"


class Ledger:
    """Outcomes by file; the last one counts.

    That a file is done is not believed from here but from its folder of results
    (:func:`nanospine.batch.task.is_done`); the ledger tells people what failed and why, and
    remembers how long files took.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     book = Ledger(Path(place))
    ...     book.write(Outcome("cell1-0a", "failed", "no points"), file="cell1.csv", key="ab")
    ...     Ledger(Path(place)).entries["cell1-0a"]["reason"]
    'no points'
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LEDGER
        self.entries: dict[str, dict[str, Any]] = {}
        # A ledger that somebody damaged costs its memories, not the batch.
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            entries = read_json(self.path)["files"].items()
            self.entries = {name: dict(entry) for name, entry in entries}

    def write(self, outcome: Outcome, *, file: str, key: str) -> None:
        """Add an outcome and write the ledger.

        Raises
        ------
        WriteError
            When it cannot be written: the disk is full, say.
        """
        values = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in outcome.to_dict().items()
            if name != "name"
        }
        self.entries[outcome.name] = {"file": file, "key": key, **values}
        self._save()

    def keep(self, names: Iterable[str]) -> None:
        """Forget all files but these, and write the ledger."""
        known = set(names)
        self.entries = {name: entry for name, entry in self.entries.items() if name in known}
        self._save()

    def _save(self) -> None:
        content = {"nanospine": __version__, "files": self.entries}
        with atomic_path(self.path) as temporary:
            temporary.write_text(
                json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
            )


def remove_leftovers(*folders: Path) -> None:
    """Remove what a killed run left half-written; call only while nobody writes there."""
    import shutil

    for place in folders:
        for item in [*place.glob(".*.part*"), *place.glob(".*.old")]:
            if item.is_dir():
                shutil.rmtree(item, ignore_errors=True)
            else:
                item.unlink(missing_ok=True)
