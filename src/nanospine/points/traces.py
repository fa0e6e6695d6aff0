"""MINFLUX traces: the localizations of one molecule while the beam followed it."""

from __future__ import annotations

# numba needs no annotations
# mypy: disable-error-code="no-untyped-def,misc"
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from numba import njit

from nanospine.core.errors import ConfigError, SchemaError, TooFewPointsError
from nanospine.core.localizations import Localizations
from nanospine.points.grouping import merged_rows, runs_of

__all__ = [
    "add_trace_precision",
    "aggregate_photons",
    "aggregate_traces",
    "keep_long_traces",
    "trace_precision",
    "trim_traces",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def keep_long_traces(localizations: Localizations, min_length: int) -> Localizations:
    """Keep the traces with at least `min_length` localizations.

    Raises
    ------
    SchemaError, TooFewPointsError
        Without a column `trace`; when no trace is as long.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[0, 0, 0]] * 4, trace=[7, 7, 7, 8])
    >>> len(ns.keep_long_traces(locs, 2))
    3
    """
    trace, n = _traces(localizations, "keep_long_traces")
    lengths = np.bincount(trace, minlength=n)
    mask = lengths[trace] >= min_length
    if not mask.any():
        longest = int(lengths.max(initial=0))
        raise TooFewPointsError(
            f"keep_long_traces: no trace has {min_length} localizations; the longest has {longest}."
        )
    return localizations.select(
        mask, operation="keep_long_traces", arguments={"min_length": min_length}
    )


def trim_traces(localizations: Localizations, first: int = 0, last: int = 0) -> Localizations:
    """Drop the first and the last localizations of each trace (locking on, and losing it).

    Traces are in the order of time (`time_s`, else `frame`, else the table).

    Raises
    ------
    SchemaError, ConfigError, TooFewPointsError
        Without a column `trace`; for negative numbers; when nothing would be left.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[0, 0, 0]] * 4, trace=[7, 7, 7, 8], time_s=[3.0, 1, 2, 9])
    >>> ns.trim_traces(locs, first=1).table["time_s"].tolist()
    [3.0, 2.0]
    """
    if min(first, last) < 0:
        raise ConfigError(f"trim_traces: 0 or more was expected, found {first} and {last}.")
    trace, _ = _traces(localizations, "trim_traces")
    rows, begins = _in_time(localizations, trace)
    counts = np.diff(np.append(begins, len(rows)))
    place = np.arange(len(rows)) - np.repeat(begins, counts)
    kept = (place >= first) & (place < np.repeat(counts, counts) - last)
    if not kept.any():
        raise TooFewPointsError(
            f"trim_traces: no trace is longer than {first} + {last} localizations."
        )
    mask = np.zeros(len(rows), dtype=bool)
    mask[rows[kept]] = True
    gone = int((counts <= first + last).sum())
    notes = [f"{gone} traces had no more localizations than that"] if gone else []
    return localizations.select(
        mask, operation="trim_traces", arguments={"first": first, "last": last}, notes=notes
    )


def aggregate_traces(
    localizations: Localizations, *, weight: Literal["eco", "photons", "none"] = "eco"
) -> Localizations:
    """Make one row of each trace: the weighted mean, its spread and its standard error.

    With weights w (the counts `eco`): x = sum w x / sum w; spread s² = sum w (x - mean)² /
    (sum w - sum w² / sum w), which is unbiased; standard error s sqrt(sum w²) / sum w. The error
    becomes `precision_<axis>_nm`, the spread `spread_<axis>_nm` (empty for one localization, whose
    own precision is kept where it is known).

    Parameters
    ----------
    localizations : Localizations
        With a column `trace`.
    weight : {"eco", "photons", "none"}
        Column of the weights.

    Raises
    ------
    SchemaError, ConfigError
        Without the columns.

    Examples
    --------
    >>> import nanospine as ns
    >>> points, eco = [[0, 0, 1], [4, 0, 1], [9, 9, 9]], [100, 300, 50]
    >>> locs = ns.from_arrays(points, trace=[1, 1, 2], eco=eco)
    >>> ns.aggregate_traces(locs).table[["x_nm", "n_localizations"]].values.tolist()
    [[3.0, 2.0], [9.0, 1.0]]
    """
    trace, _ = _traces(localizations, "aggregate_traces")
    weights = _weights(localizations, weight, "aggregate_traces")
    return _aggregated(localizations, trace, weights, "aggregate_traces", {"weight": weight})


def aggregate_photons(
    localizations: Localizations, photons: float, *, column: str = "eco", keep_rest: bool = False
) -> Localizations:
    """Join successive localizations of a trace until they hold enough photons ("aggN").

    The threshold is of photons, not of localizations: groups are closed when the sum of `column`
    reaches it. Rows become weighted means as in :func:`aggregate_traces`.

    Parameters
    ----------
    localizations : Localizations
        With the columns `trace` and `column`.
    photons : float
        Threshold.
    column : str
        Counts of each localization.
    keep_rest : bool
        Keep what is left at the end of a trace with fewer photons; left out (and counted in the
        notes) otherwise.

    Raises
    ------
    SchemaError, ConfigError, TooFewPointsError
        Without the columns; for a threshold that is not positive; when no group is full.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays(np.zeros((5, 3)), trace=[1, 1, 1, 1, 2], eco=[60, 50, 80, 40, 200.0])
    >>> ns.aggregate_photons(locs, 100).table["eco"].tolist()
    [110.0, 120.0, 200.0]
    """
    if not (np.isfinite(photons) and photons > 0):
        raise ConfigError(
            f"aggregate_photons: a positive number of photons was expected, found {photons!r}."
        )
    trace, _ = _traces(localizations, "aggregate_photons")
    counts = _weights(localizations, column, "aggregate_photons")
    rows, _ = _in_time(localizations, trace)
    groups, full = _fill(trace[rows], counts[rows], float(photons))
    ids = np.empty(len(rows), dtype=np.int64)
    ids[rows] = groups
    notes = []
    if not keep_rest:
        kept = full[groups]
        if not kept.any():
            raise TooFewPointsError(
                f"aggregate_photons: no trace holds {photons:g} photons in its column {column!r}."
            )
        mask = np.zeros(len(rows), dtype=bool)
        mask[rows[kept]] = True
        dropped = int((~mask).sum())
        if dropped:
            notes.append(f"{dropped} localizations at the ends of traces did not fill a group")
        localizations = localizations.select(mask, operation="full groups", notes=notes)
        counts, ids = counts[mask], ids[mask]
    arguments = {"photons": photons, "column": column, "keep_rest": keep_rest}
    return _aggregated(localizations, ids, counts, "aggregate_photons", arguments)


def trace_precision(localizations: Localizations, *, min_length: int = 5) -> pd.DataFrame:
    """Give the standard deviation of each trace per axis, and of all pooled.

    Unbiased: s² = sum (x - mean)² / (n - 1); pooled over traces with their n - 1 as weights, which
    is the precision of one localization when molecules do not move.

    Parameters
    ----------
    localizations : Localizations
        With a column `trace`.
    min_length : int
        Shorter traces are left out.

    Returns
    -------
    DataFrame
        `trace` (-1: all pooled, the first row), `n_localizations`, `std_x_nm`, `std_y_nm`,
        `std_z_nm` of 3-D data.

    Raises
    ------
    SchemaError, TooFewPointsError
        Without a column `trace`; when no trace is as long.

    Examples
    --------
    >>> import nanospine as ns
    >>> rng = np.random.default_rng(0)
    >>> places = np.repeat(rng.random((500, 2)) * 1e4, 20, axis=0)
    >>> locs = ns.from_arrays(places + rng.normal(0, 3, (10000, 2)), trace=np.arange(10000) // 20)
    >>> ns.trace_precision(locs)["std_x_nm"].round(1)[0]
    np.float64(3.0)
    """
    trace, n = _traces(localizations, "trace_precision")
    counts = np.bincount(trace, minlength=n)
    long = counts >= max(min_length, 2)
    if not long.any():
        raise TooFewPointsError(
            f"trace_precision: no trace has {max(min_length, 2)} localizations; the longest has "
            f"{int(counts.max(initial=0))}."
        )
    _, names = pd.factorize(localizations.table["trace"])
    result: dict[str, Any] = {
        "trace": np.concatenate([[-1], np.asarray(names)[long]]),
        "n_localizations": np.concatenate([[counts[long].sum()], counts[long]]),
    }
    for k, axis in enumerate("xyz"[: localizations.dimension]):
        squares = _squares(localizations.xyz_nm[:, k], trace, n)[long]
        freedom = counts[long] - 1
        pooled = squares.sum() / freedom.sum()
        result[f"std_{axis}_nm"] = np.sqrt(np.concatenate([[pooled], squares / freedom]))
    return pd.DataFrame(result)


def add_trace_precision(
    localizations: Localizations, *, min_length: int = 5, pooled: bool = True
) -> Localizations:
    """Write the standard deviation within traces into the precision columns.

    Parameters
    ----------
    localizations : Localizations
        With a column `trace`.
    min_length : int
        Shorter traces do not count.
    pooled : bool
        One value for all; False gives each localization that of its own trace (empty for short
        traces).

    Raises
    ------
    SchemaError, TooFewPointsError
        As :func:`trace_precision`.

    Examples
    --------
    >>> import nanospine as ns
    >>> rng = np.random.default_rng(0)
    >>> locs = ns.from_arrays(rng.normal(0, 3, (10000, 2)), trace=np.arange(10000) // 20)
    >>> [round(float(s)) for s in ns.add_trace_precision(locs).precision_nm[0, :2]]
    [3, 3]
    """
    found = trace_precision(localizations, min_length=min_length)
    table = localizations.to_frame()
    axes = "xyz"[: localizations.dimension]
    for axis in axes:
        spread = found[f"std_{axis}_nm"]
        if pooled:
            table[f"precision_{axis}_nm"] = float(spread.iloc[0])
        else:
            own = dict(zip(found["trace"].iloc[1:], spread.iloc[1:], strict=True))
            table[f"precision_{axis}_nm"] = table["trace"].map(own).astype(np.float64)
    pool = {axis: float(found[f"std_{axis}_nm"].iloc[0]) for axis in axes}
    return localizations.replace(
        table=table,
        operation="add_trace_precision",
        arguments={"min_length": min_length, "pooled": pooled},
        notes=["precision from the spread within traces: "
               + ", ".join(f"{axis} {value:.3g} nm" for axis, value in pool.items())],
    )  # fmt: skip


def _traces(localizations: Localizations, where: str) -> tuple[IntArray, int]:
    """Number the traces from 0 in the order of the table; rows without one are each their own."""
    if "trace" not in localizations.table:
        known = ", ".join(str(name) for name in localizations.table.columns)
        raise SchemaError(f"{where}: a column 'trace' was expected; the columns are {known}.")
    numbers, names = pd.factorize(localizations.table["trace"])
    trace = numbers.astype(np.int64)
    alone = np.flatnonzero(trace < 0)
    trace[alone] = len(names) + np.arange(len(alone))
    return trace, len(names) + len(alone)


def _in_time(localizations: Localizations, trace: IntArray) -> tuple[IntArray, IntArray]:
    """Sort rows by trace and, within, by time; give the rows and where traces begin."""
    for name in ("time_s", "frame"):
        if name in localizations.table:
            rows = np.lexsort((localizations.table[name].to_numpy(), trace))
            ordered = trace[rows]
            new = np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(rows)]
            return rows, np.flatnonzero(new)
    return runs_of(trace)


def _weights(localizations: Localizations, name: str, where: str) -> FloatArray:
    if name == "none":
        return np.ones(len(localizations))
    if name not in localizations.table:
        known = ", ".join(str(item) for item in localizations.table.columns)
        raise SchemaError(f"{where}: a column {name!r} was expected; the columns are {known}.")
    values = localizations.table[name].to_numpy(np.float64)
    wrong = ~(np.isfinite(values) & (values > 0))
    if wrong.any():
        raise SchemaError(
            f"{where}: {int(wrong.sum())} values of {name!r} are empty, zero or negative (first in "
            f"row {int(wrong.argmax())}); filter them first."
        )
    return values


def _squares(values: FloatArray, groups: IntArray, n: int) -> FloatArray:
    """Sum of squared deviations from the mean of each group."""
    counts = np.maximum(np.bincount(groups, minlength=n), 1)
    middle = values.mean()
    mean = np.bincount(groups, values - middle, minlength=n) / counts
    away = values - middle - mean[groups]
    return np.asarray(np.bincount(groups, away**2, minlength=n), dtype=np.float64)


def _aggregated(
    localizations: Localizations,
    groups: IntArray,
    weight: FloatArray,
    operation: str,
    arguments: dict[str, Any],
) -> Localizations:
    merged = merged_rows(localizations.table, groups, weight=weight)
    rows, begins = runs_of(groups)
    counts = np.diff(np.append(begins, len(rows)))
    group = np.repeat(np.arange(len(counts)), counts)
    w = weight[rows]
    sum_w = np.bincount(group, w)
    sum_ww = np.bincount(group, w * w)
    for k, axis in enumerate("xyz"[: localizations.dimension]):
        mean = merged[f"{axis}_nm"].to_numpy()
        away = localizations.xyz_nm[rows, k] - mean[group]
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = np.sqrt(np.bincount(group, w * away**2) / (sum_w - sum_ww / sum_w))
        spread[counts < 2] = np.nan
        error = spread * np.sqrt(sum_ww) / sum_w
        name = f"precision_{axis}_nm"
        if name in merged:
            error = np.where(counts < 2, merged[name].to_numpy(), error)
        merged[f"spread_{axis}_nm"] = spread
        merged[name] = error
    return localizations.replace(table=merged, operation=operation, arguments=arguments)


@njit(cache=True)
def _fill(trace, counts, photons):
    """Number successive rows of a trace until each group is full; tell which are."""
    n = trace.size
    groups = np.empty(n, dtype=np.int64)
    full = np.zeros(n, dtype=np.bool_)
    number = -1
    total = 0.0
    for i in range(n):
        if i == 0 or trace[i] != trace[i - 1] or full[number]:
            number += 1
            total = 0.0
        groups[i] = number
        total += counts[i]
        if total >= photons:
            full[number] = True
    return groups, full
