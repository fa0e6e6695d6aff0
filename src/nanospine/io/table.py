"""From what a reader found to Localizations: one place for what all formats share.

Rows without a finite position are dropped and counted, precisions that cannot be are emptied and
counted, and numbers that cannot be nanometres are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.columns import CANONICAL, INTEGER_COLUMNS, POSITIONS
from nanospine.core.errors import Fault, SchemaError
from nanospine.core.history import HistoryEntry, entry
from nanospine.core.localizations import Localizations
from nanospine.core.region import Box, Region, bounding_box
from nanospine.io.units import FileUnitsError

__all__ = ["ReadOptions", "ReadTable", "drop_flat_z", "to_localizations"]

# Below this extent (nm) numbers are no nanometres: an atom is 0.1 nm across.
_SMALLEST_EXTENT_NM = 1e-2
# Extents below this are rare for a field of view, but a region of interest may be as small.
_SMALL_EXTENT_NM = 100.0
_LARGEST_EXTENT_NM = 1e8
# A chip is up to 2304 pixels wide. So many localizations in so small a field are likely pixels.
_FIELD_NM = 2500.0
_MANY = 1000
_DENSEST_PER_NM2 = 0.05
# Spots of single molecules are 80 to 250 nm wide (standard deviation), 0.7 to 2 pixels.
_SMALLEST_SPOT_NM = 10.0
_WIDEST_IN_PIXELS = 5000.0
_PLACES = {name: place for place, name in enumerate(CANONICAL)}


@dataclass(frozen=True)
class ReadOptions:
    """What the caller of `read` said about the file; None where nothing was said."""

    pixel_size_nm: tuple[float, float] | None = None
    z_scale: float | None = None
    units: str | None = None


@dataclass
class ReadTable:
    """What a reader found: canonical columns in canonical units, and what it noticed.

    `details` goes into the history (pixel size used, frame base, z scale, ...); `notes` are
    sentences for the user. `exact` tables are ours: they are given back as they were written.
    """

    columns: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    region: Region | None = None
    history: tuple[HistoryEntry, ...] = ()
    exact: bool = False


def to_localizations(
    table: ReadTable, where: str, arguments: Mapping[str, Any] | None = None
) -> Localizations:
    """Make Localizations out of what a reader found.

    Raises
    ------
    SchemaError
        When x or y is missing or the columns have different lengths.
    FileUnitsError
        When the positions cannot be nanometres.

    Examples
    --------
    >>> found = ReadTable({"x_nm": [1.0, float("nan"), 900.0], "y_nm": [2.0, 3.0, 4.0]})
    >>> locs = to_localizations(found, "roi.csv")
    >>> len(locs), locs.history[-1]["notes"]
    (2, ['1 of 3 rows dropped: the position is not finite (first in row 1, counted from 0)'])
    """
    columns = {name: _flat(values) for name, values in table.columns.items()}
    faults = _length_faults(columns)
    if faults:
        raise SchemaError.collect(where, faults)
    notes = list(table.notes)
    n_before = len(columns["x_nm"])
    for name in POSITIONS:
        if name in columns:
            columns[name] = np.asarray(columns[name], dtype=np.float64)
    if not table.exact:
        columns = _drop_missing_positions(columns, notes)
        _empty_infinities(columns, notes)
        _clean_precisions(columns, notes)
        _whole_numbers(columns)
        _check_extent(columns, where, notes, said=bool((arguments or {}).get("units")))
        columns = {name: columns[name] for name in sorted(columns, key=_order)}
    frame = pd.DataFrame(columns, copy=False)
    if len(frame) == 0:
        notes.append("the file holds no localizations")
    step = entry(
        "read", {**(arguments or {}), **table.details},
        n_before=n_before, n_after=len(frame), notes=notes,
    )  # fmt: skip
    history = (*table.history, step)
    return Localizations(frame, table.region or _bounding_box(columns), history)


def _bounding_box(columns: dict[str, Any]) -> Region:
    """Give the assumed region column by column: 20 times faster than over rows of (n, 3)."""
    used = [name for name in POSITIONS if name in columns]
    if len(used) == 3 and not (columns["z_nm"] != 0).any():
        used.pop()
    if len(columns["x_nm"]) == 0:
        return bounding_box(np.zeros((0, len(used))))
    low = [float(columns[name].min()) for name in used]
    high = [float(columns[name].max()) for name in used]
    return Box(low, high, assumed=True)  # type: ignore[arg-type]


def drop_flat_z(columns: dict[str, Any], notes: list[str], span_nm: float = 0.0) -> None:
    """Leave z out when it spans no more than `span_nm`: nobody measured a height."""
    z = columns.get("z_nm")
    if z is None or len(z) == 0:
        return
    finite = np.asarray(z, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    span = float(np.ptp(finite)) if len(finite) else 0.0
    # One height for all is a plane at that height only when it is not 0.
    if span > span_nm or (span_nm == 0.0 and bool((finite != 0).any())):
        return
    del columns["z_nm"]
    notes.append(
        "z is 0 in every row: the data are taken as 2-D"
        if not (finite != 0).any()
        else f"z spans less than {span_nm:g} nm: the data are taken as 2-D"
    )


def _order(name: str) -> int:
    """Give canonical columns their place; the others follow in the order of the file."""
    return _PLACES.get(name, len(_PLACES))


def _flat(values: Any) -> Any:
    if isinstance(values, pd.Categorical | pd.Series):
        return values
    array = np.asarray(values)
    if array.dtype.kind in "fc" and array.dtype.itemsize < 8:
        array = array.astype(np.float64)
    if array.dtype.byteorder not in "=|" and array.dtype.kind in "iuf":
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def _length_faults(columns: dict[str, Any]) -> list[Fault]:
    missing = [name for name in ("x_nm", "y_nm") if name not in columns]
    if missing:
        others = ", ".join(list(columns)[:12]) or "none"
        return [Fault(f"column {name}", f"missing; found {others}") for name in missing]
    n = len(columns["x_nm"])
    return [
        Fault(f"column {name}", f"{n} values expected, found {np.shape(values)}")
        for name, values in columns.items()
        if np.shape(values) != (n,)
    ]


def _drop_missing_positions(columns: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    z = columns.get("z_nm")
    if z is not None and len(z) and not np.isfinite(z).any():
        columns = {name: values for name, values in columns.items() if name != "z_nm"}
        notes.append("z is empty in every row: the data are taken as 2-D")
    finite: npt.NDArray[np.bool_] | None = None
    for name in POSITIONS:
        if name in columns:
            good = np.isfinite(columns[name])
            finite = good if finite is None else finite & good
    if finite is None or finite.all():
        return columns
    n_bad = int((~finite).sum())
    notes.append(
        f"{n_bad} of {len(finite)} rows dropped: the position is not finite "
        f"(first in row {int((~finite).argmax())}, counted from 0)"
    )
    return {name: values[finite] for name, values in columns.items()}


def _empty_infinities(columns: dict[str, Any], notes: list[str]) -> None:
    """Set infinite values to NaN: they mean that a program had none."""
    for name, values in columns.items():
        if isinstance(values, np.ndarray) and values.dtype.kind == "f" and len(values):
            infinite = np.isinf(values)
            n_infinite = int(np.count_nonzero(infinite))
            if n_infinite:
                columns[name] = np.where(infinite, np.nan, values)
                notes.append(f"{name}: {n_infinite} values are infinite and were set to NaN")


def _clean_precisions(columns: dict[str, Any], notes: list[str]) -> None:
    for name in ("precision_x_nm", "precision_y_nm", "precision_z_nm"):
        if name not in columns:
            continue
        values = np.asarray(columns[name], dtype=np.float64)
        wrong = values <= 0
        n_wrong = int(wrong.sum())
        # An axis without a value in any row is no column.
        if len(values) and n_wrong == len(values):
            del columns[name]
            notes.append(f"{name} is zero or negative in every row: left out")
            continue
        if n_wrong:
            values = np.where(wrong, np.nan, values)
            notes.append(f"{name}: {n_wrong} values are zero or negative and were set to NaN")
        with np.errstate(invalid="ignore"):
            n_huge = int((values > 1e4).sum())
        if n_huge:
            notes.append(
                f"{name}: {n_huge} values are larger than 10 µm (kept; failed fits, filter them)"
            )
        columns[name] = values


def _whole_numbers(columns: dict[str, Any]) -> None:
    """Give frames, traces and other counts that were read as float their integer type back."""
    for name in INTEGER_COLUMNS & columns.keys():
        values = columns[name]
        if isinstance(values, np.ndarray) and values.dtype.kind == "f" and len(values):
            small = np.isfinite(values).all() and float(np.abs(values).max()) < 2**53
            if small and bool((values == np.rint(values)).all()):
                columns[name] = values.astype(np.int64)


def _check_extent(columns: dict[str, Any], where: str, notes: list[str], *, said: bool) -> None:
    """Refuse or remark positions whose extent does not fit nanometres.

    What is physically impossible is refused; what is only rare is remarked. When the caller said
    the unit (`said`), only what no unit can explain is refused.
    """
    n = len(columns["x_nm"])
    if n < 2:
        return
    spans = [float(np.ptp(columns[axis])) for axis in ("x_nm", "y_nm")]
    extent = max(spans)
    if extent == 0:
        if "z_nm" not in columns or float(np.ptp(columns["z_nm"])) == 0:
            notes.append("all positions are equal")
        return
    advice = (
        "Pass units='{unit}' to read (command line: --units {unit}) or correct the header of the "
        "file."
    )
    if extent < _SMALLEST_EXTENT_NM:
        raise FileUnitsError(
            f"{where}: the positions span {extent:.3g} nm, less than an atom: they look like "
            f"metres taken for nanometres. {advice.format(unit='m')}"
        )
    precision = columns.get("precision_x_nm")
    typical = _median(precision) if precision is not None else None
    if said:
        return
    # Even one molecule, seen again and again, scatters by its precision.
    every = max(1, n // 10_000)
    spread = max(float(np.std(columns[axis][::every])) for axis in ("x_nm", "y_nm"))
    if typical is not None and n >= 10 and (extent < typical or spread < typical / 2):
        raise FileUnitsError(
            f"{where}: the positions span {extent:.3g} nm, but one is precise to {typical:.3g} nm "
            f"only: they look like micrometres or pixels taken for nanometres. "
            f"{advice.format(unit='um')}"
        )
    spot = _median(columns["sigma_x_nm"]) if "sigma_x_nm" in columns else None
    if spot is not None and 0.2 < spot < _SMALLEST_SPOT_NM and extent < _WIDEST_IN_PIXELS:
        raise FileUnitsError(
            f"{where}: the fitted spots are {spot:.3g} nm wide, which no light microscope gives: "
            f"positions and widths look like pixels taken for nanometres. "
            f"{advice.format(unit='px')} With pixels pass pixel_size_nm as well; if they are "
            "nanometres indeed, pass units='nm'."
        )
    if extent < _SMALL_EXTENT_NM and n >= 10:
        notes.append(
            f"the positions span only {extent:.3g} nm: if they are micrometres or pixels, pass "
            "units='um' or units='px' with pixel_size_nm"
        )
    elif n >= _MANY and extent < _FIELD_NM and n > _DENSEST_PER_NM2 * spans[0] * spans[1]:
        notes.append(
            f"{n} localizations within {spans[0]:.4g} x {spans[1]:.4g} nm are very many: if the "
            "positions are pixels or micrometres, pass units='px' with pixel_size_nm or units='um'"
        )
    if extent > _LARGEST_EXTENT_NM:
        notes.append(
            f"the positions span {extent / 1e6:.3g} mm, more than a field of view: are they "
            "nanometres, and is there an outlier?"
        )


def _median(values: Any) -> float | None:
    # Of every k-th value: it only tells orders of magnitude apart.
    array = np.asarray(values[:: max(1, len(values) // 10_000)], dtype=np.float64)
    array = array[np.isfinite(array)]
    return float(np.median(array)) if len(array) else None
