"""Keeping the localizations that can be trusted."""

from __future__ import annotations

import numpy as np

from nanospine.core.errors import SchemaError, TooFewPointsError
from nanospine.core.localizations import Localizations

__all__ = ["keep_range"]


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
    >>> bright = keep_range(locs, "photons", low=500)
    >>> len(bright), bright.history[-1]["n_before"]
    (2, 3)
    """
    if column not in localizations.table:
        known = ", ".join(str(name) for name in localizations.table.columns)
        raise SchemaError(
            f"filter: there is no column {column!r} in the table; its columns: {known}."
        )
    try:
        values = localizations.table[column].to_numpy().astype(np.float64)
    except (TypeError, ValueError):
        raise SchemaError(f"filter: the column {column!r} holds no numbers.") from None
    least = -np.inf if low is None else low
    most = np.inf if high is None else high
    mask = (values >= least) & (values <= most)
    if not mask.any():
        finite = values[np.isfinite(values)]
        if len(finite) == 0:
            raise TooFewPointsError(f"filter: the column {column!r} has no values.")
        raise TooFewPointsError(
            f"filter: no row has {column} between {least:g} and {most:g}; the values run from "
            f"{finite.min():g} to {finite.max():g}."
        )
    arguments = {"column": column, "low": low, "high": high}
    return localizations.select(mask, operation="keep_range", arguments=arguments)
