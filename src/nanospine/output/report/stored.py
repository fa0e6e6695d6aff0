"""A report read back, so that it can be written again with statistics and corrections."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from nanospine.core.errors import SchemaError
from nanospine.output.corrections import Correction, corrected_table
from nanospine.output.report.content import Content, type_rows
from nanospine.output.report.curves import Curve, curves_of_table

__all__ = ["read_report", "with_corrections", "with_statistics"]

_DATA = re.compile(r'<script id="data" type="application/json">(.*?)</script>', re.S)
_OVERVIEW = re.compile(r'<img id="overview"[^>]*? src="(data:[^"]*)"')
# What a page must hold to be written again: pages of early versions hold less
_NEEDED = ("title", "summary", "rows", "profiles", "steps", "settings", "mesh", "points", "types")
_PER_SPINE = ("profiles", "rings", "pictures")


def read_report(path: str | os.PathLike[str]) -> tuple[Content, str]:
    """Read what a report shows out of it, and the address of its overview picture.

    Raises
    ------
    SchemaError
        When the file is no report of this or a later version.
    """
    text = Path(path).read_text(encoding="utf-8")
    found, picture = _DATA.search(text), _OVERVIEW.search(text)
    if found is None or picture is None:
        raise SchemaError(f"{path}: a report of nanospine was expected; its data are not in it.")
    content: Content = json.loads(found[1])
    missing = [name for name in _NEEDED if name not in content]
    if missing:
        raise SchemaError(
            f"{path}: the report is of an earlier version and lacks {', '.join(missing)}."
        )
    return content, picture[1]


def with_statistics(content: Content, files: Iterable[Path]) -> Content:
    """Add charts of tables (csv or Parquet); a chart of the same title is replaced.

    Raises
    ------
    SchemaError
        When a table is no statistic.
    """
    curves: dict[str, Curve] = {curve["title"]: curve for curve in content.get("curves", [])}
    for file in files:
        parquet = file.suffix.lower() == ".parquet"
        try:
            table = pd.read_parquet(file) if parquet else pd.read_csv(file)
        except ValueError as error:
            raise SchemaError(f"{file}: a table was expected ({error}).") from error
        try:
            found = curves_of_table(table, file.stem.replace("_", " "))
        except SchemaError as error:
            raise SchemaError(f"{file}: {error}") from error
        curves.update({curve["title"]: curve for curve in found})
    return {**content, "curves": list(curves.values())}


def with_corrections(content: Content, corrections: Iterable[Correction]) -> Content:
    """Apply what a person changed: types in the table and the view, spines left out, notes."""
    rows = content["rows"]
    table = pd.DataFrame(rows, columns=content["all_columns"])
    changed, notes = corrected_table(table, corrections)
    place = {int(row["spine"]): number for number, row in enumerate(rows)}
    kept = [place[int(number)] for number in changed["spine"]]
    result: dict[str, Any] = {name: content[name] for name in content}
    new_rows = []
    for number, (_, row) in zip(kept, changed.iterrows(), strict=True):
        new_rows.append({**rows[number], "type": row["type"], "note": row["note"]})
    result["rows"] = new_rows
    for name in _PER_SPINE:
        of_spine = content.get(name, [])
        result[name] = [of_spine[i] if i < len(of_spine) else None for i in kept]
    numbers = ["neck_diameter_nm", "head_diameter_nm", "length_nm"]
    measured = changed.assign(**{n: pd.to_numeric(changed[n], errors="coerce") for n in numbers})
    result["types"] = type_rows(measured, content["summary"]["shaft_um"])
    necks = measured["neck_diameter_nm"].dropna()
    quartiles = [float(v) for v in necks.quantile([0.25, 0.5, 0.75])] if len(necks) else None
    result["summary"] = {
        **content["summary"], "necks": len(necks), "neck_quartiles_nm": quartiles,
    }  # fmt: skip
    result["notes"] = [*content["notes"], *notes]
    return result
