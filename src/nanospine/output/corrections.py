"""What a person changed after looking: spines retyped, rejected, merged, split; a small JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from nanospine.core.colours import TYPE_COLOURS
from nanospine.core.errors import SchemaError
from nanospine.core.files import atomic_path, read_json
from nanospine.version import __version__

__all__ = ["ACTIONS", "Correction", "corrected_table", "read_corrections", "write_corrections"]

#: What can be done to a spine by hand.
ACTIONS = ("retype", "reject", "merge", "split")
_MOST_BYTES = 10_000_000


@dataclass(frozen=True)
class Correction:
    """One change.

    Parameters
    ----------
    action : str
        One of :data:`ACTIONS`.
    spine : int
        Number of the spine in the table of the run.
    type : str
        For "retype": the new type.
    other : int or None
        For "merge": the spine that becomes part of `spine`.
    point_nm, normal : tuple of three floats, or None
        For "split": a plane; what lies on the side of the normal becomes a new spine.
    reason : str
        Words of the person.
    tip_nm : tuple of three floats, or None
        Tip of the spine: a run that numbers its spines otherwise finds it by this.

    Raises
    ------
    SchemaError
        When a part that the action needs is missing or wrong.
    """

    action: str
    spine: int
    type: str = ""
    other: int | None = None
    point_nm: tuple[float, float, float] | None = None
    normal: tuple[float, float, float] | None = None
    reason: str = ""
    tip_nm: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        where = f"correction of spine {self.spine}"
        if self.action not in ACTIONS:
            raise SchemaError(f"{where}: one of {', '.join(ACTIONS)}; found {self.action!r}.")
        if self.action == "retype" and self.type not in TYPE_COLOURS:
            raise SchemaError(
                f"{where}: the type is one of {', '.join(TYPE_COLOURS)}; found {self.type!r}."
            )
        if self.action == "merge" and (self.other is None or self.other == self.spine):
            raise SchemaError(f"{where}: merging needs another spine; found {self.other}.")
        if self.action == "split" and (self.point_nm is None or self.normal is None):
            raise SchemaError(f"{where}: splitting needs point_nm and normal of a plane.")

    @property
    def did(self) -> str:
        """The change as a sentence."""
        words = {
            "retype": f"was called {self.type}",
            "reject": "was rejected",
            "merge": f"was merged with spine {self.other}",
            "split": "was split by a plane",
        }[self.action]
        return f"Spine {self.spine} {words} by hand{f' ({self.reason})' if self.reason else ''}."

    @property
    def words(self) -> str:
        """The change as a sentence, where nothing is measured anew."""
        after = " Its numbers are those from before." if self.action in ("merge", "split") else ""
        return self.did + after

    def to_dict(self) -> dict[str, Any]:
        """Give what is stored; what is empty is left out."""
        return {key: value for key, value in asdict(self).items() if value not in (None, "")}


def write_corrections(corrections: Iterable[Correction], path: str | os.PathLike[str]) -> None:
    """Write changes as JSON, oldest first.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_corrections([Correction("reject", 3)], f"{folder}/c.json")
    ...     read_corrections(f"{folder}/c.json")[0].words
    'Spine 3 was rejected by hand.'
    """
    items = [item.to_dict() for item in corrections]
    content = {"nanospine_corrections": 1, "nanospine": __version__, "corrections": items}
    with atomic_path(Path(path)) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_corrections(path: str | os.PathLike[str]) -> tuple[Correction, ...]:
    """Read changes.

    Raises
    ------
    SchemaError
        When the file is not what :func:`write_corrections` writes.
    """
    source = Path(path)
    try:
        if source.stat().st_size > _MOST_BYTES:
            raise ValueError("too large")
        content = read_json(source)
        items = content["corrections"] if content.get("nanospine_corrections") == 1 else None
        if not isinstance(items, list):
            raise TypeError("no list of corrections")
        return tuple(_correction(item) for item in items)
    except OSError as error:
        raise SchemaError(f"{source}: cannot be read: {error.strerror or error}.") from error
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise SchemaError(
            f"{source}: corrections were expected, as the napari plugin saves them ({error})."
        ) from error


def _correction(item: Mapping[str, Any]) -> Correction:
    planes = {
        name: tuple(map(float, item[name]))
        for name in ("point_nm", "normal", "tip_nm")
        if name in item
    }
    other = item.get("other")
    return Correction(
        action=str(item["action"]),
        spine=int(item["spine"]),
        type=str(item.get("type", "")),
        other=None if other is None else int(other),
        reason=str(item.get("reason", "")),
        **planes,  # type: ignore[arg-type]
    )


def corrected_table(
    table: pd.DataFrame, corrections: Iterable[Correction]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Apply changes to a table of spines.

    Retyped spines change their type, rejected ones and those that became part of another leave
    the table. Nothing is measured anew: the note of a merged or split spine says so.

    Parameters
    ----------
    table : pandas.DataFrame
        With the columns `spine`, `type` and `note`.
    corrections : iterable of Correction

    Returns
    -------
    table : pandas.DataFrame
    notes : tuple of str
        A sentence for each change, and for each that names a spine which is not there.

    Examples
    --------
    >>> table = pd.DataFrame({"spine": [0, 1], "type": ["thin", "thin"], "note": ["", ""]})
    >>> changes = [Correction("retype", 0, "stubby"), Correction("reject", 1)]
    >>> corrected_table(table, changes)[0]["type"].tolist()
    ['stubby']
    """
    result = table.copy()
    notes = []
    for item in corrections:
        here = result["spine"] == item.spine
        missing = item.spine if not here.any() else None
        if item.action == "merge" and not (result["spine"] == item.other).any():
            missing = item.other
        if missing is not None:
            notes.append(f"A correction names spine {missing}, which is not in the table.")
            continue
        notes.append(item.words)
        if item.action == "retype":
            result.loc[here, "type"] = item.type
        if item.action == "reject":
            result = result[~here]
            continue
        old = result.loc[here, "note"].astype(object).fillna("").astype(str)
        result.loc[here, "note"] = (old + " " + item.words).str.strip()
        if item.action == "merge":
            result = result[result["spine"] != item.other]
    return result.reset_index(drop=True), tuple(notes)
