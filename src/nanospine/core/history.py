"""The history of a table: every operation with its arguments, as plain JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from nanospine.version import __version__

__all__ = ["HistoryEntry", "entry", "from_json", "plain", "to_json"]

HistoryEntry = dict[str, Any]

# A history is read by people and written into every file: long arrays are summarised in it.
_LONGEST_LIST = 64


def plain(value: Any) -> Any:
    """Turn a value into what JSON can hold, keeping its meaning.

    Numpy scalars and short arrays become numbers and lists, longer arrays a summary
    (shape, dtype, first values), paths and unknown objects their text, NaN and infinities text.

    Examples
    --------
    >>> plain({"alpha_nm": np.float64(80.0), "mask": np.ones(3, bool)})
    {'alpha_nm': 80.0, 'mask': [True, True, True]}
    >>> plain(np.zeros(1000))["shape"]
    [1000]
    """
    if isinstance(value, np.generic):  # before float: numpy.float64 is one
        return plain(value.item())
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else str(value)
    if isinstance(value, np.ndarray):
        if value.size <= _LONGEST_LIST:
            return plain(value.tolist())
        return {
            "shape": list(value.shape),
            "dtype": str(value.dtype),
            "first": plain(value.ravel()[:3].tolist()),
        }
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    to_dict = getattr(value, "to_dict", None)
    if callable(to_dict):
        return plain(to_dict())
    return repr(value)[:200]


def entry(
    operation: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    n_before: int | None = None,
    n_after: int | None = None,
    notes: Sequence[str] = (),
) -> HistoryEntry:
    """Describe one operation: its name, arguments, how many rows went in and came out, remarks.

    Examples
    --------
    >>> entry("filter", {"photons": (500, None)}, n_before=10, n_after=7)["n_after"]
    7
    """
    result: HistoryEntry = {
        "operation": operation,
        "arguments": plain(dict(arguments or {})),
        "nanospine": __version__,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if n_before is not None:
        result["n_before"] = int(n_before)
    if n_after is not None:
        result["n_after"] = int(n_after)
    if notes:
        result["notes"] = [str(note) for note in notes]
    return result


def to_json(history: Sequence[HistoryEntry]) -> str:
    """Write a history as one line of JSON."""
    return json.dumps([plain(item) for item in history], ensure_ascii=False)


def from_json(text: str) -> tuple[HistoryEntry, ...]:
    """Read a history that :func:`to_json` wrote."""
    items = json.loads(text)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("a history is a list of entries")
    return tuple(items)
