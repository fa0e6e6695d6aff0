"""Localizations: a table in nanometres, the region it was observed in, and its history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.columns import CANONICAL, INTEGER_COLUMNS, POSITIONS
from nanospine.core.errors import Fault, SchemaError
from nanospine.core.history import HistoryEntry, entry
from nanospine.core.region import Region, bounding_box

__all__ = ["Localizations", "from_arrays", "validate_table"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Localizations:
    """A table of localizations with the region they were observed in and what was done to them.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per localization. Canonical columns carry their unit in the name
        (`x_nm`, `y_nm`, `z_nm`, `frame`, `photons`, `precision_x_nm`, ..., see
        :data:`nanospine.core.columns.CANONICAL`); further columns keep their own names.
    region : Region, optional
        Where the sample was observed. Densities, Ripley and SODA take it from here.
        Without it the bounding box is assumed, and `region.assumed` says so.
    history : tuple of dict
        Every operation with its arguments, oldest first.

    Raises
    ------
    SchemaError
        Naming every fault of the table at once.

    Examples
    --------
    >>> locs = from_arrays([[0, 0, 0], [100, 0, 50]], precision_nm=10)
    >>> len(locs), locs.dimension, locs.region.assumed
    (2, 3, True)
    """

    table: pd.DataFrame
    region: Region = None  # type: ignore[assignment]
    history: tuple[HistoryEntry, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        table = validate_table(self.table, "localizations")
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "history", tuple(self.history))
        if cast("Region | None", self.region) is None:
            xyz = self.xyz_nm
            object.__setattr__(self, "region", bounding_box(xyz[:, : self.dimension]))

    def __len__(self) -> int:
        return len(self.table)

    @property
    def xyz_nm(self) -> FloatArray:
        """Positions, shape (n, 3), nanometres; z = 0 where the data are 2-D."""
        result = np.zeros((len(self.table), 3))
        for column, name in enumerate(POSITIONS):
            if name in self.table:
                result[:, column] = self.table[name].to_numpy()
        return result

    @property
    def dimension(self) -> int:
        """3 when there is a z that differs from 0 anywhere, else 2."""
        z = self.table.get("z_nm")
        return 3 if z is not None and bool((z.to_numpy() != 0).any()) else 2

    @property
    def precision_nm(self) -> FloatArray | None:
        """Localization precision per axis, shape (n, 3), nanometres; None when x or y has none.

        The axial column is NaN where the file gives none: a lateral precision is never taken
        for an axial one. 2-D data have 0 there.
        """
        names = [f"precision_{axis}_nm" for axis in "xyz"]
        if names[0] not in self.table or names[1] not in self.table:
            return None
        axial = 0.0 if self.dimension == 2 else np.nan
        result = np.full((len(self), 3), axial)
        for column, name in enumerate(names):
            if name in self.table:
                result[:, column] = self.table[name].to_numpy()
        return result

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels that occur, in the order of the categories; empty without any."""
        if "channel" not in self.table:
            return ()
        column = self.table["channel"]
        present = set(column.dropna())
        return tuple(str(name) for name in column.cat.categories if name in present)

    def channel(self, name: str) -> Self:
        """Keep the localizations of one channel."""
        if name not in self.channels:
            known = ", ".join(repr(item) for item in self.channels) or "none"
            raise SchemaError(f"channel {name!r} is not in the table; its channels: {known}.")
        mask = (self.table["channel"] == name).to_numpy()
        return self.select(mask, operation="channel", arguments={"name": name})

    def select(
        self,
        rows: npt.ArrayLike,
        *,
        operation: str = "select",
        arguments: Mapping[str, Any] | None = None,
        notes: Sequence[str] = (),
    ) -> Self:
        """Keep the rows of a boolean mask (n,) or of an index array; the region stays.

        Examples
        --------
        >>> locs = from_arrays([[0, 0, 0], [100, 0, 50]])
        >>> kept = locs.select([True, False])
        >>> len(kept), kept.history[-1]["n_before"], kept.history[-1]["n_after"]
        (1, 2, 1)
        """
        chosen = np.asarray(rows)
        if chosen.size == 0:
            chosen = chosen.astype(np.int64)
        if chosen.dtype == bool and chosen.shape != (len(self),):
            raise SchemaError(
                f"select: a mask of shape ({len(self)},) was expected, found {chosen.shape}."
            )
        table = self.table.iloc[chosen.nonzero()[0] if chosen.dtype == bool else chosen]
        return self.replace(
            table=table.reset_index(drop=True),
            operation=operation,
            arguments=arguments,
            notes=notes,
        )

    def replace(
        self,
        *,
        operation: str,
        table: pd.DataFrame | None = None,
        region: Region | None = None,
        arguments: Mapping[str, Any] | None = None,
        notes: Sequence[str] = (),
    ) -> Self:
        """Give a copy with another table or region, and the operation added to the history."""
        new = self.table if table is None else table
        step = entry(operation, arguments, n_before=len(self), n_after=len(new), notes=notes)
        return replace(self, table=new, region=region or self.region, history=(*self.history, step))

    def to_frame(self) -> pd.DataFrame:
        """Give the table as a copy that may be changed."""
        return self.table.copy()


def validate_table(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """Check a table of localizations and give it with canonical types.

    Positions become float64, counts keep integer types, `channel` becomes categorical text.

    Parameters
    ----------
    table : pandas.DataFrame
        Must have `x_nm` and `y_nm`; positions must be finite numbers, column names unique.
    where : str
        What the message names: a file, a function.

    Raises
    ------
    SchemaError
        With all faults at once.

    Examples
    --------
    >>> validate_table(pd.DataFrame({"x_nm": [1], "y_nm": [2]}), "roi")["x_nm"].dtype
    dtype('float64')
    >>> validate_table(pd.DataFrame({"x_nm": [float("nan")]}), "roi")
    Traceback (most recent call last):
    ...
    nanospine.core.errors.SchemaError: roi: 2 faults:
      - column x_nm: 1 of 1 values are not finite (first in row 0)
      - column y_nm: missing; the columns are x_nm
    """
    faults: list[Fault] = []
    result = table.reset_index(drop=True)
    names = [str(name) for name in result.columns]
    for name in sorted({name for name in names if names.count(name) > 1}):
        faults.append(Fault(f"column {name}", f"occurs {names.count(name)} times"))
    if faults:
        raise SchemaError.collect(where, faults)
    result.columns = pd.Index(names)
    changed: dict[str, Any] = {}
    for name in names:
        spec = CANONICAL.get(name)
        if name == "channel":
            changed[name] = _as_channel(result[name])
        elif spec is not None and name not in INTEGER_COLUMNS:
            try:
                changed[name] = result[name].astype(np.float64)
            except (TypeError, ValueError) as error:
                faults.append(Fault(f"column {name}", f"numbers expected: {error}"))
    result = result.assign(**changed) if changed else result
    faults += _position_faults(result, names)
    if faults:
        raise SchemaError.collect(where, faults)
    return result


def _position_faults(table: pd.DataFrame, names: list[str]) -> list[Fault]:
    faults = []
    for name in POSITIONS:
        if name not in names:
            if name != "z_nm":
                shown = ", ".join(names[:12]) or "none"
                faults.append(Fault(f"column {name}", f"missing; the columns are {shown}"))
            continue
        values = table[name].to_numpy()
        if values.dtype != np.float64:
            continue  # already a fault of its own
        bad = ~np.isfinite(values)
        if bad.any():
            first = int(bad.argmax())
            text = f"{int(bad.sum())} of {len(bad)} values are not finite (first in row {first})"
            faults.append(Fault(f"column {name}", text))
    return faults


def _as_channel(column: pd.Series[Any]) -> pd.Series[Any]:
    """Make a channel column categorical with text categories, names and order kept."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype("category")
    categories = column.cat.categories
    if all(isinstance(item, str) for item in categories):
        return column
    integral = all(float(item).is_integer() for item in categories if not isinstance(item, str))
    text = [
        item if isinstance(item, str) else str(int(item)) if integral else str(item)
        for item in categories
    ]
    return column.cat.rename_categories(text)


def from_arrays(
    xyz_nm: npt.ArrayLike,
    *,
    precision_nm: npt.ArrayLike | None = None,
    channel: npt.ArrayLike | str | None = None,
    region: Region | None = None,
    **columns: npt.ArrayLike,
) -> Localizations:
    """Make localizations out of arrays.

    Parameters
    ----------
    xyz_nm : array_like, shape (n, 2) or (n, 3)
        Positions in nanometres; two columns make 2-D data.
    precision_nm : array_like, optional
        Standard deviation of a localization, nanometres: one number, (3,) or (2,) per axis,
        (n,) per localization or (n, 3) or (n, 2) both.
    channel : array_like or str, optional
        Channel of each localization (or of all), names or numbers.
    region : Region, optional
        Where the sample was observed; the bounding box is assumed without it.
    **columns
        Further columns of length n, by canonical name where there is one.

    Raises
    ------
    SchemaError
        Naming every fault at once.

    Examples
    --------
    >>> locs = from_arrays([[0, 0, 0], [10, 20, 30]], precision_nm=(5, 5, 12), photons=[800, 950])
    >>> locs.precision_nm[0].tolist(), list(locs.table.columns)[:4]
    ([5.0, 5.0, 12.0], ['x_nm', 'y_nm', 'z_nm', 'photons'])
    """
    xyz = np.asarray(xyz_nm, dtype=np.float64)
    if xyz.size == 0 and xyz.ndim != 2:
        xyz = xyz.reshape(0, 3)
    if xyz.ndim != 2 or xyz.shape[1] not in (2, 3):
        raise SchemaError(
            f"from_arrays: xyz_nm of shape (n, 2) or (n, 3) was expected, found {xyz.shape}."
        )
    n = len(xyz)
    faults: list[Fault] = []
    data: dict[str, Any] = dict(zip(POSITIONS, xyz.T, strict=False))
    for name, values in columns.items():
        array = np.asarray(values)
        if array.shape not in ((n,), ()):
            faults.append(Fault(f"column {name}", f"{n} values expected, found {array.shape}"))
        data[name] = np.broadcast_to(array, (n,)) if array.shape == () else array
    if precision_nm is not None:
        try:
            data.update(_precision_columns(precision_nm, n, xyz.shape[1]))
        except ValueError as error:
            faults.append(Fault("precision_nm", str(error)))
    if channel is not None:
        names = np.asarray(channel)
        if names.shape not in ((n,), ()):
            faults.append(Fault("channel", f"{n} values expected, found {names.shape}"))
        data["channel"] = np.full(n, names) if names.shape == () else names
    if faults:
        raise SchemaError.collect("from_arrays", faults)
    step = entry("from_arrays", {"columns": list(data)}, n_after=n)
    return Localizations(pd.DataFrame(data), region, (step,))  # type: ignore[arg-type]


def _precision_columns(precision_nm: npt.ArrayLike, n: int, dimension: int) -> dict[str, Any]:
    values = np.asarray(precision_nm, dtype=np.float64)
    # A vector of one number per axis and one per localization look alike when n equals the
    # number of axes; per axis is what (3,) means in the documentation, so it is asked first.
    if values.shape == (dimension,) or values.ndim == 0:
        full = np.broadcast_to(values, (n, dimension))
    elif values.shape == (n,):
        full = np.broadcast_to(values[:, None], (n, dimension))
    elif values.shape == (n, dimension):
        full = values
    else:
        raise ValueError(
            f"one number, ({dimension},), ({n},) or ({n}, {dimension}) expected, "
            f"found {values.shape}"
        )
    if (full < 0).any():
        raise ValueError(f"{int((full < 0).sum())} values are negative")
    return {f"precision_{axis}_nm": full[:, i] for i, axis in enumerate("xyz"[:dimension])}
