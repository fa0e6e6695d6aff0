"""Several tables of localizations as one, and one as several: files, rounds, channels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

from nanospine.core.errors import ConfigError, GeometryError, SchemaError, TooFewPointsError
from nanospine.core.history import HistoryEntry, entry
from nanospine.core.localizations import Localizations
from nanospine.core.region import Box, Polygon, Prism, Region

__all__ = ["UNASSIGNED", "merge_localizations", "split_channels"]

#: Channel of localizations of which nobody can say where they belong.
UNASSIGNED = "unassigned"

_IDS = ("trace", "molecule")


def split_channels(localizations: Localizations) -> dict[str, Localizations]:
    """Give the localizations of each channel; those without a channel as "unassigned".

    Raises
    ------
    SchemaError
        When the table has no channels.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[0, 0], [1, 1], [2, 2]], channel=["pre", "post", "pre"])
    >>> {name: len(part) for name, part in split_channels(locs).items()}
    {'post': 1, 'pre': 2}
    """
    if "channel" not in localizations.table:
        known = ", ".join(str(name) for name in localizations.table.columns)
        raise SchemaError(
            "split_channels: the table has no column 'channel'; assign_dcr, assign_ratio or the "
            f"names of merge_localizations make one. The columns: {known}."
        )
    codes = localizations.table["channel"].cat.codes.to_numpy()
    categories = [str(name) for name in localizations.table["channel"].cat.categories]
    result = {}
    for name in localizations.channels:
        rows = codes == categories.index(name)
        if name == UNASSIGNED:
            rows |= codes < 0
        result[name] = localizations.select(rows, operation="channel", arguments={"name": name})
    if UNASSIGNED not in result and (codes < 0).any():
        result[UNASSIGNED] = localizations.select(
            codes < 0, operation="channel", arguments={"name": None}
        )
    return result


def merge_localizations(
    items: Sequence[Localizations],
    *,
    names: Sequence[str] | None = None,
    frames: str = "keep",
    region: Region | None = None,
) -> Localizations:
    """Make one table of several: files, rounds or channels of one sample.

    Ids of traces and molecules are unique within a file only; each table gets the next free
    numbers (negative ids, which mean background or none, stay). Columns that not every table has
    are empty (NaN) where they are missing.

    Parameters
    ----------
    items : sequence of Localizations
        Two or more, all in the same coordinates, all 2-D or all 3-D.
    names : sequence of str, optional
        Channel of each table. A table that has several channels keeps them apart as
        "name: channel". Without names the tables keep their channels.
    frames : str
        "keep", or "shift": frames and times follow those of the table before.
    region : Region, optional
        Where the merged sample was observed. Without it the union of the regions, when a box, a
        polygon or a prism can hold it.

    Returns
    -------
    Localizations
        With the histories of all tables in its own, and notes of what was renumbered or empty.

    Raises
    ------
    ConfigError, TooFewPointsError
        For impossible options, or without two tables.
    GeometryError
        When 2-D and 3-D are mixed, or the union of the regions is no region.

    Examples
    --------
    >>> import nanospine as ns
    >>> a = ns.from_arrays([[0, 0], [1, 1]], trace=[0, 1])
    >>> b = ns.from_arrays([[5, 5], [6, 6]], trace=[0, 0])
    >>> both = merge_localizations([a, b], names=("pre", "post"))
    >>> both.table["trace"].tolist(), both.channels
    ([0, 1, 2, 2], ('pre', 'post'))
    """
    tables = list(items)
    _check(tables, names, frames)
    notes: list[str] = []
    # Shallow copies: columns are replaced, never written into.
    frames_of = [item.table.copy(deep=False) for item in tables]
    _renumber(frames_of, notes)
    if frames == "shift":
        _shift(frames_of, notes)
    frames_of = [_with_channel(table, None if names is None else str(names[i]))
                 for i, table in enumerate(frames_of)]  # fmt: skip
    merged = _concatenate(frames_of, [len(item) for item in tables], notes)
    found = _union(tables, notes) if region is None else region
    step: HistoryEntry = entry(
        "merge_localizations",
        {
            "names": None if names is None else list(names),
            "frames": frames,
            "rows": [len(item) for item in tables],
            "histories": [list(item.history) for item in tables],
        },
        n_before=sum(len(item) for item in tables),
        n_after=len(merged),
        notes=notes,
    )
    return Localizations(merged, found, (step,))  # type: ignore[arg-type]


def _check(tables: list[Localizations], names: Sequence[str] | None, frames: str) -> None:
    if len(tables) < 2:
        raise TooFewPointsError(
            f"merge_localizations: two or more tables were expected, found {len(tables)}."
        )
    if names is not None and (isinstance(names, str) or len(names) != len(tables)):
        raise ConfigError(
            f"merge_localizations: {len(tables)} names were expected, one for each table, "
            f"found {names!r}."
        )
    if frames not in ("keep", "shift"):
        raise ConfigError(
            f"merge_localizations: frames 'keep' or 'shift' was expected, found {frames!r}."
        )
    dimensions = [item.dimension for item in tables if len(item)]
    if len(set(dimensions)) > 1:
        raise GeometryError(
            f"merge_localizations: tables of {' and '.join(f'{d}-D' for d in dimensions)} cannot "
            "be one: a z of 0 would stand for an unknown z. Drop z_nm of the 3-D ones, or give "
            "the 2-D ones a z_nm."
        )


def _renumber(tables: list[pd.DataFrame], notes: list[str]) -> None:
    for name in _IDS:
        offset = 0
        offsets = []
        for table in tables:
            if name not in table or not len(table):
                offsets.append(0)
                continue
            ids = table[name].to_numpy()
            real = ids[ids >= 0]  # NaN compares as False
            offsets.append(offset)
            if offset:
                if not np.issubdtype(ids.dtype, np.floating):
                    ids = ids.astype(np.int64)  # an unsigned or short id has no room to grow
                table[name] = np.where(ids >= 0, ids + offset, ids)
            if len(real):
                offset += int(real.max()) + 1
        if any(offsets):
            notes.append(f"{name} ids are renumbered; offsets {offsets}")


def _shift(tables: list[pd.DataFrame], notes: list[str]) -> None:
    for name in ("frame", "time_s"):
        offset = 0.0
        offsets = []
        for table in tables:
            offsets.append(0.0)
            if name not in table or not len(table):
                continue
            values = table[name].to_numpy()
            if offset:
                first = float(np.nanmin(values))
                offsets[-1] = offset - first if name == "frame" else offset
                shift = int(offsets[-1]) if name == "frame" else offset
                if name == "frame" and not np.issubdtype(values.dtype, np.floating):
                    values = values.astype(np.int64)
                table[name] = values + shift
            offset = float(np.nanmax(table[name])) + (1 if name == "frame" else 0)
        if any(offsets):
            notes.append(f"{name} is shifted; offsets {[f'{value:g}' for value in offsets]}")


def _with_channel(table: pd.DataFrame, name: str | None) -> pd.DataFrame:
    if name is None:
        return table
    if "channel" in table and table["channel"].nunique() > 1:
        categories = {item: f"{name}: {item}" for item in table["channel"].cat.categories}
        return table.assign(channel=table["channel"].cat.rename_categories(categories))
    codes = np.zeros(len(table), dtype=np.int8)
    return table.assign(channel=pd.Categorical.from_codes(codes, categories=pd.Index([name])))


def _concatenate(tables: list[pd.DataFrame], rows: list[int], notes: list[str]) -> pd.DataFrame:
    columns = list(dict.fromkeys(str(name) for table in tables for name in table.columns))
    merged: dict[str, Any] = {}
    for name in columns:
        having = [name in table for table in tables]
        if name == "channel":
            merged[name] = _concatenate_channels(tables, rows)
        elif all(having):
            merged[name] = pd.concat([table[name] for table in tables], ignore_index=True)
        elif name == "z_nm":  # who has none is 2-D, and so are the others, or it is empty
            parts = [
                table[name] if name in table else pd.Series(np.zeros(n))
                for table, n in zip(tables, rows, strict=True)
            ]
            merged[name] = pd.concat(parts, ignore_index=True)
            continue
        else:
            parts = [
                table[name] if name in table else pd.Series(np.full(n, np.nan))
                for table, n in zip(tables, rows, strict=True)
            ]
            numeric = all(pd.api.types.is_numeric_dtype(part) for part in parts)
            parts = [part.astype(np.float64 if numeric else object) for part in parts]
            merged[name] = pd.concat(parts, ignore_index=True)
        if not all(having):
            missing = [str(i + 1) for i, has in enumerate(having) if not has]
            notes.append(f"column {name} is empty for the localizations of table "
                         f"{', '.join(missing)}")  # fmt: skip
    return pd.DataFrame(merged)


def _concatenate_channels(tables: list[pd.DataFrame], rows: list[int]) -> pd.Categorical[str]:
    categories: list[str] = []
    for table in tables:
        if "channel" in table:
            present = table["channel"].cat.categories
            categories += [str(item) for item in present if str(item) not in categories]
    parts = []
    for table, n in zip(tables, rows, strict=True):
        if "channel" not in table:
            parts.append(np.full(n, -1, dtype=np.int32))
            continue
        new = [categories.index(str(item)) for item in table["channel"].cat.categories]
        lookup = np.array([*new, -1], dtype=np.int32)
        parts.append(lookup[table["channel"].cat.codes.to_numpy()])
    return pd.Categorical.from_codes(np.concatenate(parts), categories=pd.Index(categories))


def _union(items: list[Localizations], notes: list[str]) -> Region | None:
    """Give the union of the regions; None when all were assumed, so that it is assumed again."""
    if all(item.region.assumed for item in items):
        return None
    stated = [item.region for item in items if not item.region.assumed]
    for item in items:
        if item.region.assumed and not any(
            region.contains(item.xyz_nm[:, : region.dimension]).all() for region in stated
        ):
            raise _no_union("where one of the tables was observed is not known")
        if item.region.assumed:
            notes.append("a table without a region is taken to be observed in that of the others")
    first = stated[0].to_dict()
    if all(region.to_dict() == first for region in stated[1:]):
        return stated[0]
    return reduce(_pair, stated)


def _pair(a: Region, b: Region) -> Region:
    if isinstance(a, Box) and isinstance(b, Box) and a.dimension == b.dimension:
        low, high = np.minimum(a.low_nm, b.low_nm), np.maximum(a.high_nm, b.high_nm)
        shared = np.minimum(a.high_nm, b.high_nm) - np.maximum(a.low_nm, b.low_nm)
        overlap = float(np.prod(shared)) if (shared > 0).all() else 0.0
        whole = Box(low, high)
        if abs(whole.size - (a.size + b.size - overlap)) <= 1e-9 * whole.size:
            return whole
    flat_a, flat_b = _flat(a), _flat(b)
    if flat_a is None or flat_b is None or flat_a[1:] != flat_b[1:]:
        raise _no_union(f"a {type(a).__name__} and a {type(b).__name__} have no simple union")
    union = flat_a[0].shape.union(flat_b[0].shape)
    if union.geom_type != "Polygon":
        raise _no_union("the regions lie apart")
    polygon = Polygon(
        np.asarray(union.exterior.coords)[:-1],
        tuple(np.asarray(ring.coords)[:-1] for ring in union.interiors),
    )
    return polygon if flat_a[1] is None else Prism(polygon, flat_a[1], flat_a[2])


def _flat(region: Region) -> tuple[Polygon, float | None, float] | None:
    """Outline in x and y, and the two heights of a region of space."""
    if isinstance(region, Polygon):
        return region, None, 0.0
    if isinstance(region, Prism):
        return region.polygon, float(region.z_low_nm), float(region.z_high_nm)
    if isinstance(region, Box):
        (x0, y0), (x1, y1) = region.low_nm[:2], region.high_nm[:2]
        outline = Polygon(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]))
        if region.dimension == 2:
            return outline, None, 0.0
        return outline, float(region.low_nm[2]), float(region.high_nm[2])
    return None


def _no_union(reason: str) -> GeometryError:
    return GeometryError(
        f"merge_localizations: the regions cannot be united: {reason}; say where the merged "
        "sample was observed with region=..."
    )
