"""ThunderSTORM: comma-separated tables with `name [unit]` labels, and its tab-separated "xls".

Also what close relatives write in the same way (Picasso's export, Abbelight has its own reader).
Labels: MeasurementDescriptor of ThunderSTORM; a pixel size for `[px]` comes from the argument or
from `<name>-protocol.txt` beside the table.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from nanospine.core.errors import SchemaError
from nanospine.core.files import atomic_path
from nanospine.core.localizations import Localizations
from nanospine.io.names import map_columns
from nanospine.io.registry import register, register_writer
from nanospine.io.safe_decode import json_from
from nanospine.io.safe_files import Source
from nanospine.io.table import ReadOptions, ReadTable
from nanospine.io.text_decode import parse
from nanospine.io.text_layout import need_table, sniff
from nanospine.io.units import parse_label

__all__ = ["labels_of", "pixel_size_from_protocol", "read_thunderstorm", "write_thunderstorm"]

_NAMES = frozenset({
    "id", "frame", "x", "y", "z", "z_rel", "sigma", "sigma1", "sigma2", "sigma3", "sigma4",
    "angle", "intensity", "offset", "offset1", "offset2", "bkgstd", "chi2", "uncertainty",
    "uncertainty_xy", "uncertainty_z", "detections", "gt_id", "gt_dist_xy", "gt_dist_z",
    "gt_dist_xyz",
})  # fmt: skip
_SIGNS = frozenset({
    "sigma", "sigma1", "intensity", "offset", "bkgstd", "chi2", "uncertainty", "uncertainty_xy",
})  # fmt: skip


def labels_of(source: Source) -> dict[str, str | None]:
    """Give name -> unit of the labels of a text table; empty for other sources."""
    table = sniff(source)
    if table is None or not table.has_header:
        return {}
    # Without the `_nm` spellings: ThunderSTORM and its relatives write brackets.
    return {label.name: label.unit for label in map(parse_label, table.names) if label.name}


def _recognise(source: Source) -> float:
    table = sniff(source)
    if table is None or table.separator not in ",\t;":
        return 0.0
    labels = labels_of(source)
    if "x" not in labels or "y" not in labels or labels["x"] is None:
        return 0.0
    if not any(
        re.match(r"^x\s*\[", name.strip().strip('"'), re.IGNORECASE) for name in table.names
    ):
        return 0.0
    signs = len(_SIGNS & labels.keys())
    others = [name for name in labels if name not in _NAMES]
    return max(0.0, min(0.95, 0.55 + 0.15 * signs) - 0.03 * min(len(others), 6))


@register(
    name="thunderstorm",
    title="ThunderSTORM table",
    suffixes=(".csv", ".xls"),
    recognise=_recognise,
)
def read_thunderstorm(source: Source, options: ReadOptions) -> ReadTable:
    """Read a ThunderSTORM table (csv, or tab-separated "xls").

    Frames keep their numbers (the first is 1). `[px]` needs a pixel size; `[ADU]` stays ADU
    under its own name; NaN stays NaN outside the positions; huge uncertainties are kept and
    remarked.
    """
    table = need_table(source)
    details: dict[str, Any] = {}
    notes: list[str] = []
    in_pixels = any(parse_label(name).is_pixels for name in table.names)
    if in_pixels and options.pixel_size_nm is None:
        found = pixel_size_from_protocol(source)
        if found is not None:
            name, size = found
            options = ReadOptions((size, size), options.z_scale, options.units)
            notes.append(f"pixel size {size:g} nm taken from {name}")
    if in_pixels and options.pixel_size_nm is not None:
        details["pixel_size_used_nm"] = list(options.pixel_size_nm)
    parsed = parse(source, table)
    columns = {name: values for name, values in parsed.columns.items() if name.lower() != "id"}
    if len(columns) < len(parsed.columns):
        identity = next(name for name in parsed.columns if name.lower() == "id")
        columns["id"] = parsed.columns[identity]
    mapped = map_columns(columns, options, source.path.name)
    if "frame" in mapped.columns:
        details["frame_base"] = _frame_base(mapped.columns["frame"])
    return ReadTable(mapped.columns, [*parsed.notes, *notes, *mapped.notes], details)


def _recognise_json(source: Source) -> float:
    if source.kind != "text":
        return 0.0
    start = source.head[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    return 0.95 if start.startswith(b"[") and re.search(rb'"x \[\w+\]"\s*:', start) else 0.0


@register(
    name="thunderstorm-json",
    title="ThunderSTORM JSON",
    suffixes=(".json",),
    recognise=_recognise_json,
)
def read_thunderstorm_json(source: Source, options: ReadOptions) -> ReadTable:
    """Read ThunderSTORM's JSON export: a list of molecules, labels as in the csv."""
    where = source.path.name
    found = json_from(source.read_bytes(), where)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise SchemaError(f"{where}: a list of molecules with labels and numbers was expected.")
    names = list(found[0]) if found else ["x [nm]", "y [nm]"]
    columns: dict[str, Any] = {}
    for name in names:
        try:
            columns[name] = np.array([item.get(name, np.nan) for item in found], dtype=np.float64)
        except (TypeError, ValueError):
            raise SchemaError(f'{where}: numbers were expected in "{name}".') from None
    mapped = map_columns(columns, options, where)
    return ReadTable(mapped.columns, mapped.notes)


def _frame_base(frames: Any) -> int | None:
    """Give 0 when a frame 0 occurs, else 1, the first frame of ThunderSTORM."""
    if len(frames) == 0:
        return None
    return 0 if bool((frames == 0).any()) else 1


def pixel_size_from_protocol(source: Source) -> tuple[str, float] | None:
    """Give name and pixel size (nm) of the `-protocol.txt` beside a table, where there is one."""
    stem = PurePosixPath(source.name).stem
    side = source.sidecar(f"{stem}-protocol.txt", f"{source.path.stem}-protocol.txt")
    if side is None:
        return None
    name, data = side
    match = re.search(rb'"?pixelSize"?\s*[:=]\s*"?([0-9.eE+\-]+)', data)
    if match is None:
        return None
    try:
        size = float(match[1])
    except ValueError:
        return None
    return (name, size) if np.isfinite(size) and size > 0 else None


_WRITTEN = {
    "x_nm": "x [nm]", "y_nm": "y [nm]", "z_nm": "z [nm]", "photons": "intensity [photon]",
    "background_photons": "offset [photon]", "precision_z_nm": "uncertainty_z [nm]",
    "n_localizations": "detections", "time_s": "time [s]", "efo_hz": "efo [Hz]",
    "background_hz": "fbg [Hz]",
}  # fmt: skip


@register_writer(name="thunderstorm", suffix=".csv")
def write_thunderstorm(locs: Localizations, path: Path) -> None:
    """Write a ThunderSTORM csv: quoted `name [unit]` labels, one row per localization.

    A lateral precision that is equal along x and y is written as `uncertainty_xy [nm]`, unequal
    ones as `precision_x [nm]` and `precision_y [nm]` beside their quadratic mean.
    """
    table = locs.table
    columns: dict[str, Any] = {}
    if "id" not in table:
        columns["id"] = np.arange(1, len(table) + 1)
    for name in table.columns:
        values = table[name].to_numpy()
        if name == "channel":
            values = table[name].astype(str).to_numpy(dtype=object)
        if name in ("precision_x_nm", "precision_y_nm", "sigma_x_nm", "sigma_y_nm"):
            _lateral(columns, str(name), table)
            continue
        columns[_WRITTEN.get(str(name), str(name))] = values
    arrow = pa.table({name: pa.array(values) for name, values in columns.items()})
    header = io.StringIO()
    csv.writer(header, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(columns)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(header.getvalue().encode())
        pa_csv.write_csv(arrow, file, pa_csv.WriteOptions(include_header=False))


def _lateral(columns: dict[str, Any], name: str, table: Any) -> None:
    quantity, axis = name.split("_")[:2]
    other = f"{quantity}_{'y' if axis == 'x' else 'x'}_nm"
    mine = table[name].to_numpy()
    label = "uncertainty_xy [nm]" if quantity == "precision" else "sigma [nm]"
    if other in table and np.array_equal(mine, table[other].to_numpy(), equal_nan=True):
        columns[label] = mine
        return
    if quantity == "precision" and other in table:
        columns[label] = np.sqrt((mine**2 + table[other].to_numpy() ** 2) / 2)
    plain = {"sigma_x_nm": "sigma1 [nm]", "sigma_y_nm": "sigma2 [nm]"}
    columns[plain.get(name, f"{quantity}_{axis} [nm]")] = mine
