"""Many rows into one: what becomes of each column when localizations are merged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.columns import POSITIONS

__all__ = ["merged_rows", "runs_of"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_SUMMED = frozenset({"photons", "eco", "ecc"})
_FIRST = frozenset({"frame", "time_s", "trace", "molecule", "channel"})
_SIDE_BY_SIDE = 8  # columns: what the processor fetches at once
_PRECISIONS = tuple(f"precision_{axis}_nm" for axis in "xyz")


def runs_of(groups: IntArray) -> tuple[IntArray, IntArray]:
    """Sort rows by group, keeping their order; give the rows and where each group begins.

    Examples
    --------
    >>> rows, begins = runs_of(np.array([1, 0, 1, 0, 2]))
    >>> rows.tolist(), begins.tolist()
    ([1, 3, 0, 2, 4], [0, 2, 4])
    """
    from nanospine.points.counting import rows_by_key  # numba is loaded when it is needed

    counted = rows_by_key(np.asarray(groups, dtype=np.int64))
    if counted is not None:
        return counted
    rows = np.argsort(groups, kind="stable")
    if len(rows) == 0:
        return rows, rows
    ordered = groups[rows]
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return rows, begins


def merged_rows(
    table: pd.DataFrame, groups: IntArray, *, weight: FloatArray | None = None
) -> pd.DataFrame:
    """Merge the rows of each group into one.

    Positions are weighted with `weight`, or with 1 / precision² of their axis where it is known
    for a group, or else equally. The precision of the mean is 1 / sqrt(sum 1 / precision²) with
    the same known values (with `weight` w: sqrt(sum w² precision²) / sum w). Photons are summed;
    frames, times, names and whole numbers are those of the first row; `last_frame` is the last;
    `n_localizations` counts; every other number is averaged, empty values left out.

    Parameters
    ----------
    table : DataFrame
        Columns with their canonical names.
    groups : ndarray of int, shape (n,)
        Of each row.
    weight : ndarray, shape (n,), optional
        Positive, of each row.

    Returns
    -------
    DataFrame
        One row per group, in the order of the numbers of the groups.

    Examples
    --------
    >>> table = pd.DataFrame({"x_nm": [0.0, 10.0], "y_nm": [0.0, 0.0], "photons": [100.0, 300.0],
    ...                       "precision_x_nm": [10.0, 5.0]})
    >>> merged_rows(table, np.array([0, 0])).round(2).to_dict("records")
    [{'x_nm': 8.0, 'y_nm': 0.0, 'photons': 400.0, 'precision_x_nm': 4.47, 'n_localizations': 2}]
    """
    rows, begins = runs_of(groups)
    counts = np.diff(np.append(begins, len(rows)))

    def total(values: FloatArray) -> FloatArray:
        return np.asarray(np.add.reduceat(values, begins)) if len(begins) else values[:0]

    gathered = _gathered(table, rows)
    result: dict[str, Any] = {}
    for name in table.columns:
        column = table[name]
        if name == "n_localizations":
            continue
        if name in POSITIONS or name in _PRECISIONS:
            continue
        if name not in gathered:
            result[name] = column.iloc[rows[begins]].reset_index(drop=True)
            continue
        values = gathered.pop(name)
        if column.dtype.kind in "iu":
            result[name] = total(values)
            continue
        known = np.isfinite(values)
        summed, n_known = total(np.where(known, values, 0.0)), total(known.astype(np.float64))
        with np.errstate(invalid="ignore", divide="ignore"):
            result[name] = np.where(n_known > 0, summed, np.nan)
            if name not in _SUMMED:
                result[name] = result[name] / n_known
    given = None if weight is None else np.asarray(weight, dtype=np.float64)[rows]
    for axis in "xyz":
        result |= _position(gathered, axis, counts, given, total)
    if "frame" in table:
        ends = begins + counts - 1
        result["last_frame"] = table["frame"].to_numpy()[rows[ends]]
    if "n_localizations" in table:
        counts = np.rint(total(table["n_localizations"].to_numpy(np.float64)[rows])).astype(int)
    result["n_localizations"] = counts
    order = [name for name in table.columns if name in result]
    # Not by a set: its order is another in every process, and tables have to be the same bytes.
    new = [name for name in result if name not in order]
    return pd.DataFrame({name: result[name] for name in (*order, *new)})


def _gathered(table: pd.DataFrame, rows: IntArray) -> dict[str, FloatArray]:
    """Give the columns of numbers that are computed with, in another order of the rows.

    A few columns at a time stand side by side: in a large table every row is fetched from far away,
    and so it is fetched once.
    """
    names = [
        str(name)
        for name in table.columns
        if name in POSITIONS
        or name in _PRECISIONS
        or (name in _SUMMED and table[name].dtype.kind in "fiu")
        or (name not in _FIRST and table[name].dtype.kind == "f")
    ]
    result: dict[str, FloatArray] = {}
    for begin in range(0, len(names), _SIDE_BY_SIDE):
        some = names[begin : begin + _SIDE_BY_SIDE]
        beside = np.empty((len(table), len(some)))
        for k, name in enumerate(some):
            beside[:, k] = table[name].to_numpy(np.float64)
        beside = beside[rows]
        result |= {name: np.ascontiguousarray(beside[:, k]) for k, name in enumerate(some)}
    return result


def _position(
    gathered: dict[str, FloatArray],
    axis: str,
    counts: IntArray,
    given: FloatArray | None,
    total: Callable[[FloatArray], FloatArray],
) -> dict[str, FloatArray]:
    """Give mean and precision of one axis."""
    name, precision_name = f"{axis}_nm", f"precision_{axis}_nm"
    if name not in gathered:
        return {}
    values = gathered.pop(name)
    group = np.repeat(np.arange(len(counts)), counts)
    precision = gathered.pop(precision_name, None)
    if given is not None:
        weight = given
    elif precision is not None:
        known = np.isfinite(precision) & (precision > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = np.where(known, 1.0 / precision**2, 0.0)
        # A group of which no precision is known is averaged equally.
        none = total(weight) == 0
        weight = np.where(none[group], 1.0, weight)
    else:
        weight = np.ones(len(values))
    # About the first row of each group, so that large coordinates lose no digits.
    first = values[np.cumsum(counts) - counts]
    sum_of_weights = total(weight)
    mean = first + total(weight * (values - first[group])) / sum_of_weights
    result = {name: mean}
    if precision is not None:
        with np.errstate(invalid="ignore"):
            error = np.sqrt(total(np.where(weight > 0, (weight * precision) ** 2, 0.0)))
        result[precision_name] = error / sum_of_weights
    return result
