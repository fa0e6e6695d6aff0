"""rapidSTORM text: an XML comment names the columns; track files nest localizations in rows.

The XML is read with expressions for `<field .../>`, never by an XML parser: no entities.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

from nanospine.core.errors import SchemaError
from nanospine.io.registry import register
from nanospine.io.rules import FWHM_PER_SIGMA
from nanospine.io.safe_files import Source
from nanospine.io.table import ReadOptions, ReadTable
from nanospine.io.text_decode import body_handle
from nanospine.io.text_layout import need_table, sniff
from nanospine.io.units import PIXELS, length_factors

__all__ = ["read_rapidstorm"]

_FIELD = re.compile(r"<field\s+([^>]*?)/?>")
_ATTRIBUTE = re.compile(r'([\w:-]+)\s*=\s*"([^"]*)"')
_AXES = "xyz"


@dataclass(frozen=True)
class _Field:
    identifier: str
    unit: str


def _header(source: Source) -> str | None:
    table = sniff(source)
    if table is None or not table.comments:
        return None
    first = table.comments[0]
    return first if first.startswith("<localizations") else None


@register(
    name="rapidstorm",
    title="rapidSTORM text",
    suffixes=(".txt",),
    recognise=lambda source: 0.97 if _header(source) is not None else 0.0,
)
def read_rapidstorm(source: Source, options: ReadOptions) -> ReadTable:
    """Read rapidSTORM localizations; a track file gives one row per track with its count.

    Amplitudes are camera counts and stay `intensity_adu`; PSF widths are FWHM and become sigma.
    """
    where = source.path.name
    header = _header(source)
    if header is None:
        raise SchemaError(f"{where}: a first line `# <localizations ...>` was expected.")
    outer, inner = _fields(header)
    if not outer:
        raise SchemaError(f"{where}: the first line names no fields.")
    notes: list[str] = []
    if inner:
        values, counts = _track_rows(source, len(outer), len(inner), where)
        notes.append("a track file: one row per track, positions as rapidSTORM averaged them")
    else:
        values, counts = _plain_rows(source, len(outer), where), None
    columns: dict[str, Any] = {}
    for number, field in enumerate(outer):
        name, array = _column(field, values[:, number], options, where)
        columns[name if name not in columns else f"{name}_{number}"] = array
    if counts is not None:
        columns["n_localizations"] = counts
    return ReadTable(columns, [*source.notes, *notes], {"frame_base": 0})


def _fields(header: str) -> tuple[list[_Field], list[_Field]]:
    """Give the fields of the rows, and of the localizations nested in them."""
    nested = header.find("<localizations", len("<localizations"))
    split = nested if nested >= 0 else len(header)
    return _parse(header[:split]), _parse(header[split:])


def _parse(text: str) -> list[_Field]:
    found = []
    for match in _FIELD.finditer(text):
        attributes = dict(_ATTRIBUTE.findall(match[1]))
        found.append(_Field(attributes.get("identifier", ""), attributes.get("unit", "")))
    return found


def _plain_rows(source: Source, width: int, where: str) -> npt.NDArray[np.float64]:
    table = need_table(source)
    if table.separator != " " and len(table.names) != width:
        raise SchemaError(f"{where}, row {table.skip_lines + 1}: {width} columns were expected.")
    names = [str(number) for number in range(width)]
    try:
        with body_handle(source, table, None) as handle:
            arrow = pa_csv.read_csv(
                handle,
                read_options=pa_csv.ReadOptions(
                    skip_rows=table.skip_lines, column_names=names, encoding=table.encoding
                ),
                parse_options=pa_csv.ParseOptions(delimiter=table.separator),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.float64())
                ),
            )
    except pa.ArrowInvalid as error:
        reason = str(error).split("\n")[0][:160]
        raise SchemaError(
            f"{where}: {width} numbers per row were expected ({reason}). Was the file cut?"
        ) from None
    if arrow.num_rows == 0:
        return np.zeros((0, width))
    return np.column_stack([arrow.column(name).to_numpy() for name in names])


def _track_rows(
    source: Source, n_outer: int, n_inner: int, where: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Rows of a track file: outer fields, a count, then count x inner fields."""
    rows, counts = [], []
    text = source.read_bytes().decode("utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("#") or not line.strip():
            continue
        cells = line.split()
        try:
            outer = [float(cell) for cell in cells[:n_outer]]
            count = int(cells[n_outer])
        except (ValueError, IndexError):
            raise SchemaError(
                f"{where}, row {number}: {n_outer} numbers and a count were expected."
            ) from None
        expected = n_outer + 1 + count * n_inner
        if count < 0 or len(cells) != expected:
            raise SchemaError(
                f"{where}, row {number}: {expected} cells were expected for {count} localizations, "
                f"found {len(cells)}. Was the file cut?"
            )
        rows.append(outer)
        counts.append(count)
    return np.array(rows, dtype=np.float64).reshape(-1, n_outer), np.array(counts, dtype=np.int64)


def _column(
    field: _Field, values: npt.NDArray[np.float64], options: ReadOptions, where: str
) -> tuple[str, npt.NDArray[np.float64]]:
    """Give canonical name and values of a field."""
    parts = field.identifier.split("-")
    if parts[0] in ("Position", "PSFWidth") and len(parts) >= 3 and parts[1] in "012":
        axis = _AXES[int(parts[1])]
        unit = options.units or field.unit or None
        if unit in (None, "dimensionless", "pixel"):
            unit = "px"
        factors = length_factors(str(unit), options.pixel_size_nm, where)
        factor = factors[1] if axis == "y" and unit in PIXELS else factors[0]
        if parts[0] == "PSFWidth":
            return f"sigma_{axis}_nm", values * factor / FWHM_PER_SIGMA
        if parts[-1] == "uncertainty":
            return f"precision_{axis}_nm", values * factor
        return f"{axis}_nm", values * factor
    if parts[0] == "ImageNumber":
        return "frame", values
    return {
        "Amplitude": "intensity_adu", "LocalBackground": "background_adu",
        "FitResidues": "fit_residues", "TwoKernelImprovement": "two_kernel_improvement",
    }.get(parts[0], field.identifier or "unnamed"), values  # fmt: skip
