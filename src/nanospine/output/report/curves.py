"""Statistics on the page: summary functions (Ripley and others) and SODA, where a run has them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from nanospine.core.errors import SchemaError

__all__ = ["Curve", "curves_of", "curves_of_table", "gathered"]

#: One chart as JSON: title, x, values, and what belongs to them.
Curve = dict[str, Any]

_LOW = ("low", "lower", "envelope_low", "low_global")
_HIGH = ("high", "upper", "envelope_high", "high_global")
_UNITS = {"K": "K (nm² or nm³)", "L": "L (nm)", "H": "H = L − r (nm)", "g": "g(r)"}


def curves_of(result: Any, title: str | None = None) -> list[Curve]:
    """Charts of a statistic: a summary function, a SODA result, or their table.

    Parameters
    ----------
    result : object
        With `to_frame()` that has a column `radius_nm` (summary functions), with `rings`
        (SODA), or such a table itself.
    title : str, optional
        Stands over the chart.

    Raises
    ------
    SchemaError
        When it is none of these.

    Examples
    --------
    >>> table = pd.DataFrame({"radius_nm": [10.0, 20], "L": [11.0, 25], "theory": [10.0, 20]})
    >>> chart = curves_of(table)[0]
    >>> chart["title"], chart["theory"]
    ('L', [10.0, 20.0])
    """
    rings = getattr(result, "rings", None)
    if isinstance(rings, pd.DataFrame):
        charts = curves_of_table(rings, title or "SODA")
        charts[0]["facts"] |= _soda_facts(result)
        charts[0]["notes"] = [str(note) for note in getattr(result, "notes", ())]
        return charts
    table = result if isinstance(result, pd.DataFrame) else result.to_frame()
    charts = curves_of_table(table, title or getattr(result, "name", None))
    for chart in charts:
        chart["notes"] = [str(note) for note in getattr(result, "notes", ())]
    return charts


def curves_of_table(table: pd.DataFrame, title: str | None = None) -> list[Curve]:
    """Charts of a table: by `radius_nm` a curve, by `low_nm` and `high_nm` rings as bars."""
    names = [str(name) for name in table.columns]
    if "radius_nm" in names:
        return [_function(table, names, title)]
    if {"low_nm", "high_nm"} <= set(names):
        return [_rings(table, names, title or "SODA")]
    raise SchemaError(
        "report: a statistic has a column radius_nm, or low_nm and high_nm; found "
        f"{', '.join(names) or 'no column'}."
    )


def _function(table: pd.DataFrame, names: list[str], title: str | None) -> Curve:
    about = {"radius_nm", "theory", *_LOW, *_HIGH}
    values = [
        name for name in names if name not in about and pd.api.types.is_numeric_dtype(table[name])
    ]
    if not values:
        raise SchemaError(f"report: no column of values beside {', '.join(names)}.")
    name = values[0]
    low = next((item for item in _LOW if item in names), None)
    high = next((item for item in _HIGH if item in names), None)
    return {
        "title": title or name,
        "xlabel": "distance r (nm)",
        "ylabel": _what(name, title),
        "x": _plain(table["radius_nm"]),
        "values": _plain(table[name]),
        "theory": _plain(table["theory"]) if "theory" in names else None,
        "low": _plain(table[low]) if low and high else None,
        "high": _plain(table[high]) if low and high else None,
    }


def _what(name: str, title: str | None) -> str:
    """The name of a function's values with its unit; a column `observed` is what the title says."""
    function = (title or name).split()[-1] if name == "observed" else name
    return _UNITS.get(function.removesuffix("_cross"), name)


def _rings(table: pd.DataFrame, names: list[str], title: str) -> Curve:
    known = ("coupled_pairs", "observed", "g")
    value = next((name for name in known if name in names), None)
    if value is None:
        raise SchemaError(
            f"report: rings have one of {', '.join(known)}; found {', '.join(names)}."
        )
    low, high = table["low_nm"], table["high_nm"]
    expected = value == "observed" and "expected" in names
    significant = "significant" in names
    facts = {}
    if significant and value == "coupled_pairs":
        pairs = float(table[value][table["significant"].astype(bool)].sum())
        facts = {"coupled pairs in significant rings": f"{pairs:.0f}"}
    return {
        "title": "SODA" if title.lower() == "soda" else title,
        "facts": facts,
        "bars": True,
        "xlabel": "distance (nm)",
        "ylabel": value.replace("_", " "),
        "x": _plain((low + high) / 2),
        "from": _plain(low),
        "to": _plain(high),
        "values": _plain(table[value]),
        "theory": _plain(table["expected"]) if expected else None,
        "marked": [bool(v) for v in table["significant"]] if significant else None,
    }


def _soda_facts(result: Any) -> dict[str, str]:
    """The numbers of a SODA result with their intervals, in words."""
    facts = {}
    for name, label, unit, factor in (
        ("coupled_fraction_a", "coupled, first channel", " %", 100),
        ("coupled_fraction_b", "coupled, second channel", " %", 100),
        ("mean_distance_nm", "mean distance of coupled pairs", " nm", 1),
    ):
        value = getattr(result, name, None)
        if value is None or not math.isfinite(value):
            continue
        text = f"{factor * value:.1f}{unit}"
        ends = [getattr(result, f"{name}_{end}", math.nan) for end in ("low", "high")]
        if all(math.isfinite(end) for end in ends):
            text += f" ({factor * ends[0]:.1f} to {factor * ends[1]:.1f})"
        facts[label] = text
    p_value = getattr(result, "p_value", None)
    if p_value is not None and math.isfinite(p_value):
        facts["p"] = f"{p_value:.2g}"
    return facts


def gathered(statistics: Mapping[str, Any] | Iterable[Any]) -> list[Curve]:
    """Charts of several statistics, with their names as titles where they have names."""
    if isinstance(statistics, Mapping):
        return [chart for name, item in statistics.items() for chart in curves_of(item, name)]
    return [chart for item in statistics for chart in curves_of(item)]


def _plain(values: Any) -> list[float | None]:
    array = np.asarray(values, dtype=np.float64)
    return [float(f"{v:.6g}") if np.isfinite(v) else None for v in array]
