"""Keeping the localizations that can be trusted: by columns, conditions, frames, time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import SchemaError, TooFewPointsError
from nanospine.core.localizations import Localizations
from nanospine.points.expression import evaluate

__all__ = ["filter_summary", "keep_frames", "keep_range", "keep_time", "keep_where"]


def keep_range(
    localizations: Localizations,
    column: str,
    *,
    low: float | None = None,
    high: float | None = None,
) -> Localizations:
    """Keep the rows with `low <= column <= high`; empty values are never kept.

    Parameters
    ----------
    localizations : Localizations
        With the column.
    column : str
        Name of a column of numbers, such as "photons".
    low, high : float, optional
        Ends of the range, in the unit of the column; no end where not given.

    Raises
    ------
    SchemaError
        For a column that is not there or holds no numbers.
    TooFewPointsError
        When nothing would be left, with the range that the values have.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[0, 0, 0], [1, 1, 1], [2, 2, 2]], photons=[100, 500, 900])
    >>> bright = ns.keep_range(locs, "photons", low=500)
    >>> len(bright), bright.history[-1]["n_before"]
    (2, 3)
    """
    values = _numbers(localizations, column)
    least = -np.inf if low is None else low
    most = np.inf if high is None else high
    mask = (values >= least) & (values <= most)
    if not mask.any():
        raise _nothing_left(f"no row has {column} between {least:g} and {most:g}", column, values)
    arguments = {"column": column, "low": low, "high": high}
    return localizations.select(mask, operation="keep_range", arguments=arguments)


def keep_where(localizations: Localizations, expression: str) -> Localizations:
    """Keep the rows that fulfil a condition, such as "photons > 500 and precision_x_nm < 20".

    Parameters
    ----------
    localizations : Localizations
        With the columns that the condition names.
    expression : str
        See :func:`nanospine.points.expression.evaluate`; nothing in it can run code.

    Raises
    ------
    SchemaError, ConfigError
        For a column that is not there, and for text that is no condition.
    TooFewPointsError
        When nothing would be left.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[0, 0, 0], [1, 1, 1], [2, 2, 2]], photons=[100, 500, 900])
    >>> ns.keep_where(locs, "100 < photons < 900 or z_nm == 0").table["photons"].tolist()
    [100.0, 500.0]
    """
    mask = evaluate(expression, localizations.table)
    if not mask.any():
        raise TooFewPointsError(f"filter: no row of {len(localizations)} fulfils {expression!r}.")
    return localizations.select(mask, operation="keep_where", arguments={"expression": expression})


def keep_frames(
    localizations: Localizations, first: int | None = None, last: int | None = None
) -> Localizations:
    """Keep the camera frames from `first` to `last`, both included, as the file numbers them.

    Raises
    ------
    SchemaError, TooFewPointsError
        As :func:`keep_range`.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[0, 0, 0], [1, 1, 1], [2, 2, 2]], frame=[1, 5, 9])
    >>> ns.keep_frames(locs, first=5).table["frame"].tolist()
    [5, 9]
    """
    return keep_range(localizations, "frame", low=first, high=last)


def keep_time(
    localizations: Localizations, start_s: float | None = None, end_s: float | None = None
) -> Localizations:
    """Keep the localizations from `start_s` to `end_s` of the measurement, seconds.

    Raises
    ------
    SchemaError, TooFewPointsError
        As :func:`keep_range`.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[0, 0, 0], [1, 1, 1]], time_s=[10.0, 70.0])
    >>> len(ns.keep_time(locs, end_s=60.0))
    1
    """
    return keep_range(localizations, "time_s", low=start_s, high=end_s)


def filter_summary(localizations: Localizations) -> pd.DataFrame:
    """Give one row per step that changed the number of rows: what it was, how many it took.

    Returns
    -------
    DataFrame
        Columns `operation`, `arguments` (text), `before`, `after`, `removed`, `removed_percent`.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[0, 0, 0], [1, 1, 1], [2, 2, 2]], photons=[100, 500, 900])
    >>> kept = ns.keep_range(locs, "photons", low=500)
    >>> ns.filter_summary(kept)[["operation", "before", "after"]].values.tolist()
    [['keep_range', 3, 2]]
    """
    rows = []
    for step in localizations.history:
        before, after = step.get("n_before"), step.get("n_after")
        if before is None or after is None or (before == after and step["operation"] == "read"):
            continue
        given = {name: value for name, value in step.get("arguments", {}).items()
                 if value is not None}  # fmt: skip
        rows.append(
            {
                "operation": step["operation"],
                "arguments": ", ".join(f"{name}={value}" for name, value in given.items()),
                "before": before,
                "after": after,
                "removed": before - after,
                "removed_percent": 100 * (before - after) / before if before else 0.0,
            }
        )
    names = ["operation", "arguments", "before", "after", "removed", "removed_percent"]
    return pd.DataFrame(rows, columns=names)


def _numbers(localizations: Localizations, column: str) -> npt.NDArray[np.float64]:
    if column not in localizations.table:
        known = ", ".join(str(name) for name in localizations.table.columns)
        raise SchemaError(
            f"filter: there is no column {column!r} in the table; its columns: {known}."
        )
    try:
        return localizations.table[column].to_numpy().astype(np.float64)
    except (TypeError, ValueError):
        raise SchemaError(f"filter: the column {column!r} holds no numbers.") from None


def _nothing_left(reason: str, column: str, values: npt.NDArray[np.float64]) -> TooFewPointsError:
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return TooFewPointsError(f"filter: the column {column!r} has no values.")
    return TooFewPointsError(
        f"filter: {reason}; the values run from {finite.min():g} to {finite.max():g}."
    )
