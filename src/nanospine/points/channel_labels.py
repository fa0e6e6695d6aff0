"""What the assignments of channels share: their checks, and writing the channel column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError, SchemaError
from nanospine.core.localizations import Localizations
from nanospine.points.combine import UNASSIGNED

__all__ = ["channel_names", "check_probability", "labelled", "numbers"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def labelled(
    localizations: Localizations,
    best: IntArray,
    labels: tuple[str, ...],
    columns: dict[str, FloatArray],
    operation: str,
    arguments: dict[str, object],
    notes: list[str],
) -> Localizations:
    """Write the channel column; code -1 is "unassigned", counted in the notes."""
    if UNASSIGNED in labels:
        raise ConfigError(f"{operation}: a channel cannot have the name {UNASSIGNED!r}.")
    undecided = int((best < 0).sum())
    categories = [*labels, UNASSIGNED] if undecided else list(labels)
    codes = np.where(best < 0, len(labels), best)
    channel = pd.Categorical.from_codes(codes, categories=pd.Index(categories))
    if len(localizations.channels) > 1:
        known = ", ".join(localizations.channels)
        notes.append(f"the channels that the table had before are replaced: {known}")
    if undecided:
        notes.append(f"{undecided} of {len(best)} localizations are {UNASSIGNED}")
    table = localizations.table.assign(channel=channel, **columns)
    return localizations.replace(table=table, operation=operation, arguments=arguments, notes=notes)


def channel_names(names: Sequence[str] | None, n: int, stem: str) -> tuple[str, ...]:
    """Check the names that were given, or make names in the order of the ratio."""
    if names is None:
        if stem == "dcr":
            return ("dcr_low", "dcr_high") if n == 2 else ("dcr_low", "dcr_middle", "dcr_high")
        return tuple(f"{stem}_{i + 1}" for i in range(n))
    result = tuple(str(name) for name in names)
    if isinstance(names, str) or len(result) != n or len(set(result)) != n:
        raise ConfigError(f"channels: {n} different names were expected, found {names!r}.")
    return result


def check_probability(value: float, where: str) -> None:
    """Refuse what is no probability."""
    if not 0 <= value < 1:
        raise ConfigError(
            f"{where}: cut_off_probability from 0 to below 1 was expected, found {value!r}."
        )


def numbers(localizations: Localizations, column: str, where: str) -> FloatArray:
    """Give a column as float64, or say which columns there are."""
    if column not in localizations.table:
        known = ", ".join(str(name) for name in localizations.table.columns)
        raise SchemaError(f"{where}: there is no column {column!r}; the columns: {known}.")
    try:
        return localizations.table[column].to_numpy().astype(np.float64)
    except (TypeError, ValueError):
        raise SchemaError(f"{where}: the column {column!r} holds no numbers.") from None
