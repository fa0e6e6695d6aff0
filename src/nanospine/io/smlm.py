"""`.smlm` of ShareLoc: a zip with a manifest and binary tables, read and written.

Numbers are little-endian and row by row; each column may have an `offset` that is added, and a
`shape` (raw patches), both of which other readers ignore. Counts may be written as text. Tables of
several files are joined; their channel names stay.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ReadError, SchemaError
from nanospine.core.files import atomic_path
from nanospine.core.localizations import Localizations
from nanospine.io.names import map_columns
from nanospine.io.registry import register, register_writer
from nanospine.io.safe_decode import json_from
from nanospine.io.safe_files import Source
from nanospine.io.table import ReadOptions, ReadTable

__all__ = ["read_smlm", "write_smlm"]

_DTYPES = {
    "int8": "i1", "uint8": "u1", "int16": "<i2", "uint16": "<u2", "int32": "<i4", "uint32": "<u4",
    "int64": "<i8", "uint64": "<u8", "float16": "<f2", "float32": "<f4", "float64": "<f8",
    "double": "<f8", "float": "<f4",
}  # fmt: skip


def _recognise(source: Source) -> float:
    return 0.97 if source.kind == "zip" and "manifest.json" in source.members() else 0.0


@register(name="smlm", title="ShareLoc .smlm", suffixes=(".smlm",), recognise=_recognise)
def read_smlm(source: Source, options: ReadOptions) -> ReadTable:
    """Read all tables of an `.smlm` file."""
    where = source.path.name
    manifest = json_from(source.member("manifest.json"), f"{where}/manifest.json")
    if not isinstance(manifest, dict) or not isinstance(manifest.get("formats"), dict):
        raise SchemaError(f"{where}: manifest.json with formats and files was expected.")
    listed = manifest.get("files")
    files = [item for item in listed or [] if isinstance(item, dict)] if listed else []
    tables = [item for item in files if item.get("type", "table") == "table"]
    notes: list[str] = []
    if len(tables) < len(files):
        notes.append(f"{len(files) - len(tables)} files that are no tables were left out")
    if not tables:
        raise SchemaError(f"{where}: the manifest lists no table.")
    parts = []
    for item in tables:
        layout = manifest["formats"].get(item.get("format"))
        if not isinstance(layout, dict):
            raise SchemaError(f"{where}: the manifest lists no format {item.get('format')!r}.")
        parts.append(_one_table(source, item, layout, options))
    channels = [str(item.get("channel", "default")) for item in tables]
    columns = _joined(parts, channels, notes)
    return ReadTable(columns, notes, {"format_version": manifest.get("format_version")})


def _one_table(
    source: Source, item: dict[str, Any], layout: dict[str, Any], options: ReadOptions
) -> dict[str, Any]:
    where = f"{source.path.name}/{item.get('name')}"
    headers = [str(name) for name in layout.get("headers", [])]
    kinds = [str(kind) for kind in layout.get("dtype", [])]
    shapes = layout.get("shape") or [1] * len(headers)
    units = layout.get("units") or [""] * len(headers)
    if not headers or not len(headers) == len(kinds) == len(shapes) == len(units):
        raise SchemaError(f"{where}: headers, dtype, shape and units must have one length.")
    if layout.get("mode", "binary") != "binary":
        raise ReadError(f"{where}: mode {layout.get('mode')!r} is not read; binary was expected.")
    if len(set(headers)) < len(headers):
        raise SchemaError(f"{where}: a column occurs twice.")
    fields: list[Any] = []
    for name, kind, shape in zip(headers, kinds, shapes, strict=True):
        if kind not in _DTYPES:
            raise SchemaError(f"{where}: dtype {kind!r} of column {name} is not known.")
        fields.append((name, _DTYPES[kind], _shape(shape, where)))
    record = np.dtype(fields)
    data = source.member(str(item.get("name")))
    n = _count(item.get("rows"), where)
    if n * record.itemsize > len(data):
        raise ReadError(
            f"{where}: {n} rows of {record.itemsize} bytes were expected, found {len(data)} bytes. "
            "The file is cut short."
        )
    rows = np.frombuffer(data, record, count=n)
    told = item.get("offset")
    offsets: dict[str, Any] = told if isinstance(told, dict) else {}
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, unit in zip(headers, units, strict=True):
        values = rows[name]
        if values.ndim != 1:
            continue  # a patch of the raw image
        offset = _number(offsets.get(name))
        # In float64, because unsigned integers are shifted to negative positions this way.
        values = values.astype(np.float64) + offset if offset else values.copy()
        label = name if not str(unit).strip() else f"{name} [{unit}]"
        arrays[label] = values
    return map_columns(arrays, options, where, default_unit="nm").columns


def _shape(shape: Any, where: str) -> tuple[int, ...]:
    sizes = shape if isinstance(shape, list) else [shape]
    numbers = tuple(_count(size, where) for size in sizes)
    return () if numbers in ((1,), ()) else numbers


def _count(value: Any, where: str) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = -1
    if not 0 <= number < 2**40:
        raise SchemaError(f"{where}: a count was expected, found {str(value)[:40]!r}.")
    return number


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if np.isfinite(number) else 0.0


def _joined(parts: list[dict[str, Any]], channels: list[str], notes: list[str]) -> dict[str, Any]:
    if len(parts) == 1 and channels[0] == "default":
        return parts[0]
    shared = [name for name in parts[0] if all(name in part for part in parts)]
    left_out = sorted({name for part in parts for name in part} - set(shared))
    if left_out:
        notes.append(f"columns that not every table has were left out: {', '.join(left_out)}")
    columns = {name: np.concatenate([part[name] for part in parts]) for name in shared}
    if "channel" not in columns:
        sizes = [len(part["x_nm"]) for part in parts]
        columns["channel"] = np.repeat(np.array(channels, dtype=object), sizes)
    return columns


_UNITS = {"photons": "photon", "background_photons": "photon", "time_s": "s"}


@register_writer(name="smlm", suffix=".smlm")
def write_smlm(locs: Localizations, path: Path) -> None:
    """Write `.smlm` 0.2: one binary table per channel, float64 and int32, nanometres.

    Columns of text have no place in this format and are left out; channels become table names.
    """
    names = [str(name) for name in locs.table.columns if locs.table[name].dtype.kind in "iufb"]
    kinds = {name: _written_kind(locs.table[name].to_numpy()) for name in names}
    layout = {
        "name": "smlm-table(binary)-0", "type": "table", "mode": "binary", "columns": len(names),
        "headers": [_label(name) for name in names],
        "dtype": [kinds[name] for name in names],
        "shape": [1] * len(names),
        "units": [_UNITS.get(name, "nm" if name.endswith("_nm") else "") for name in names],
        "description": "localizations written by nanospine",
    }  # fmt: skip
    channels = locs.channels or ("default",)
    record = np.dtype([(name, _DTYPES[kinds[name]]) for name in names])
    files = []
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for number, channel in enumerate(channels):
            part = locs.channel(channel).table if locs.channels else locs.table
            rows = np.zeros(len(part), record)
            for name in names:
                rows[name] = part[name].to_numpy()
            archive.writestr(f"table-{number}.bin", rows.tobytes())
            files.append(_entry(f"table-{number}.bin", channel, names, rows))
        manifest = {
            "format_version": "0.2", "formats": {layout["name"]: layout}, "files": files,
            "name": path.stem, "description": "", "tags": [], "thumbnail": "", "sample": "",
            "labeling": "", "date": "", "author": "", "citation": "", "email": "",
        }  # fmt: skip
        archive.writestr("manifest.json", json.dumps(manifest, indent=1))


def _written_kind(values: npt.NDArray[Any]) -> str:
    if values.dtype.kind == "f":
        return "float64"
    small = len(values) == 0 or (values.min() >= -(2**31) and values.max() < 2**31)
    return "int32" if small else "int64"


def _label(name: str) -> str:
    plain = {"photons": "intensity", "background_photons": "background", "time_s": "time"}
    return plain.get(name, name.removesuffix("_nm"))


def _entry(name: str, channel: str, names: list[str], rows: npt.NDArray[Any]) -> dict[str, Any]:
    filled = len(rows) > 0
    return {
        "name": name, "type": "table", "format": "smlm-table(binary)-0", "channel": channel,
        "rows": len(rows), "offset": {_label(item): 0 for item in names},
        "min": {_label(item): _bound(rows[item], np.nanmin) for item in names if filled},
        "max": {_label(item): _bound(rows[item], np.nanmax) for item in names if filled},
    }  # fmt: skip


def _bound(values: npt.NDArray[Any], of: Any) -> float | None:
    finite = values[np.isfinite(values)]
    return float(of(finite)) if len(finite) else None
